"""The scheduler `priority` against a model that looks at every task, and what its own design promises."""

from __future__ import annotations

import math
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core import OptionsError, PriorityScheduler, TaskPriority, get_scheduler
from pipe_core.testing.waiting import WaitingTask

LOW, NORMAL, HIGH, URGENT = (priority.value for priority in TaskPriority)
NUMBERS = [0.0, 0.0, 0.0, 1.0, 2.5, -3.0, 1e9]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3), st.sampled_from(NUMBERS), st.sampled_from([0, 0, 0, 5, 100])),
        st.tuples(st.just("pop"), st.sampled_from([0.0, 0.0, 1.0, 9.5, 10.0, 60.0])),
        st.tuples(st.just("remove"), st.integers(0, 80)),
        st.tuples(st.just("again"), st.integers(0, 80), st.booleans()),
    ),
    max_size=80,
)


class Model:
    """All tasks in a list; the next one is found by looking at each."""

    def __init__(self, age_after: float) -> None:
        self.age_after = age_after
        self.waiting: list[Any] = []

    def band(self, task: Any, now: float) -> int:
        steps = 0
        while task.band + steps < URGENT and task.since + (steps + 1) * self.age_after <= now:
            steps += 1
        return int(task.band + steps)

    def pop(self, now: float) -> Any | None:
        if not self.waiting:
            return None
        task = min(self.waiting, key=lambda one: (-self.band(one, now), one.number, one.sequence))
        self.waiting.remove(task)
        return task


def moved(task: Any, since: float) -> WaitingTask:
    return WaitingTask(task.sequence, band=task.band, number=task.number, since=since)


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(STEPS, st.sampled_from([10.0, 60.0, 0.3, math.inf]))
def test_it_does_what_the_model_does(steps: list[tuple[Any, ...]], age_after: float) -> None:
    scheduler, model = PriorityScheduler(age_after=age_after), Model(age_after)
    tasks: list[Any] = []
    now = 0.0
    for name, *arguments in steps:
        if name == "push":
            band, number, earlier = arguments
            task = WaitingTask(len(tasks), band=band, number=number, since=now - earlier)
            tasks.append(task)
            scheduler.push(task)
            model.waiting.append(task)
        elif name == "pop":
            now += arguments[0]
            assert scheduler.pop(0, now) is model.pop(now)
        elif tasks and name == "remove":
            task = tasks[arguments[0] % len(tasks)]
            waits = task in model.waiting
            assert scheduler.remove(task) is waits
            if waits:
                model.waiting.remove(task)
        elif tasks and name == "again":
            number = arguments[0] % len(tasks)
            if tasks[number] not in model.waiting:
                tasks[number] = moved(tasks[number], now if arguments[1] else tasks[number].since)
                scheduler.push(tasks[number])
                model.waiting.append(tasks[number])
        assert len(scheduler) == len(model.waiting)
        assert_invariants(scheduler)
    while model.waiting:
        assert scheduler.pop(0, now) is model.pop(now)
        now += 1.0
    assert scheduler.pop(0, now) is None


def assert_invariants(scheduler: PriorityScheduler) -> None:
    for lanes in scheduler._lanes:
        assert [lane.last for lane in lanes] == sorted((lane.last for lane in lanes), reverse=True)
        assert len(lanes) == 1 or all(lane.tasks for lane in lanes)
        for lane in lanes:
            keys = [(task.number, task.sequence) for task in lane.tasks.values()]
            times = [task.since for task in lane.tasks.values()]
            assert keys == sorted(keys)
            assert times == sorted(times)
    busy = [lane for lanes in scheduler._lanes for lane in lanes if lane.tasks]
    assert len(busy) == scheduler._busy
    assert scheduler._only is (busy[0] if len(busy) == 1 else None)
    if len(busy) < 2:
        assert not scheduler._heap
        assert not scheduler._due
    assert len(scheduler._heap) + len(scheduler._due) <= 4 * len(busy) + 64


def test_a_task_moves_up_exactly_when_it_has_waited_so_long() -> None:
    for waited, first in [(59.9, "new"), (60.0, "old")]:
        scheduler = get_scheduler("priority")
        old, new = WaitingTask(1, band=LOW, since=100.0), WaitingTask(2, band=NORMAL, since=100.0 + waited)
        scheduler.push(old)
        scheduler.push(new)
        assert scheduler.pop(0, 100.0 + waited) is {"old": old, "new": new}[first]


def test_a_task_that_moved_up_stands_by_its_number_among_those_of_its_new_band() -> None:
    scheduler = PriorityScheduler(age_after=10.0)
    aged = WaitingTask(1, band=NORMAL, number=5.0, since=0.0)
    high = [WaitingTask(2 + i, band=HIGH, number=number, since=9.0) for i, number in enumerate([9.0, 5.0, 1.0])]
    normal = WaitingTask(9, band=NORMAL, number=-1.0, since=9.0)
    for task in (aged, *high, normal):
        scheduler.push(task)
    assert [scheduler.pop(0, 10.0) for _ in range(5)] == [high[2], aged, high[1], high[0], normal]


def test_ageing_never_changes_the_order_of_those_that_came_together() -> None:
    def order(now: float) -> list[int]:
        scheduler, chance = PriorityScheduler(age_after=10.0), random.Random(7)
        for sequence in range(200):
            scheduler.push(WaitingTask(sequence, number=float(chance.randrange(20)), since=0.0))
        return [scheduler.pop(0, now).sequence for _ in range(200)]

    assert order(0.0) == order(10.0) == order(25.0) == order(1e9)


def test_low_is_behind_urgent_ones_that_come_all_the_time_for_three_steps_at_most() -> None:
    scheduler = PriorityScheduler(age_after=10.0)
    low = WaitingTask(0, band=LOW, since=0.0)
    scheduler.push(low)
    for second in range(1, 100):
        scheduler.push(WaitingTask(second, band=URGENT, since=float(second)))
        if scheduler.pop(0, float(second)) is low:
            break
    assert second == 30


@pytest.mark.parametrize("age_after", [None, math.inf])
def test_without_ageing_nothing_moves_up(age_after: float | None) -> None:
    scheduler = PriorityScheduler(age_after=age_after)
    scheduler.push(WaitingTask(0, band=LOW))
    scheduler.push(WaitingTask(1, band=NORMAL))
    assert scheduler.pop(0, 1e300).sequence == 1


def test_tasks_in_order_share_a_lane_and_others_need_few() -> None:
    """By creation time, one; with ten numbers, ten at most; by chance, about twice the root of how many there are."""

    def lanes(numbers: list[float]) -> int:
        scheduler = PriorityScheduler()
        for sequence, number in enumerate(numbers):
            scheduler.push(WaitingTask(sequence, number=number, since=float(sequence)))
        return sum(map(len, scheduler._lanes)) - 3  # those of the other bands, which are empty

    chance = random.Random(1)
    assert lanes([0.0] * 1000) == 1
    assert lanes([1.7e9 + i for i in range(1000)]) == 1
    assert lanes([float(chance.randrange(10)) for _ in range(1000)]) <= 10
    assert lanes([chance.random() for _ in range(2500)]) <= 110


@pytest.mark.parametrize("out", ["pop", "remove"])
def test_nothing_is_kept_of_a_crowd_that_has_gone(out: str) -> None:
    tasks = [WaitingTask(sequence) for sequence in range(20_000)]
    scheduler = PriorityScheduler()
    tracemalloc.start()
    try:
        for task in tasks:
            scheduler.push(task)
        crowded = tracemalloc.get_traced_memory()[0]
        for task in tasks:
            assert scheduler.pop(0, 0.0) is task if out == "pop" else scheduler.remove(task)
        assert tracemalloc.get_traced_memory()[0] < crowded / 100
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("age_after", [0, -1.0, math.nan])
def test_an_age_that_is_not_positive_is_refused(age_after: float) -> None:
    with pytest.raises(OptionsError, match="age_after") as caught:
        PriorityScheduler(age_after=age_after)
    assert list(caught.value.problems) == ["age_after"]
    with pytest.raises(OptionsError, match="age_after"):
        get_scheduler("priority", age_after=age_after)
