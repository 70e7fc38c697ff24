"""The schedulers with a queue for each slot: `round_robin` keeps to it, `work_stealing` does not."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from simulation import makespan

from pipe_core import FifoScheduler, OptionsError, RoundRobinScheduler, WorkStealingScheduler
from pipe_core.testing.waiting import WaitingTask


def bound(scheduler: Any, slots: int, tasks: int) -> Any:
    if hasattr(scheduler, "bind"):
        scheduler.bind(slots)
    for sequence in range(tasks):
        scheduler.push(WaitingTask(sequence))
    return scheduler


def popped(scheduler: Any, *slots: int) -> list[int | None]:
    tasks = [scheduler.pop(slot, 0.0) for slot in slots]
    return [None if task is None else task.sequence for task in tasks]


def test_round_robin_deals_in_turn_and_each_slot_keeps_to_its_own() -> None:
    scheduler = bound(RoundRobinScheduler(), 3, 7)
    assert popped(scheduler, 1, 1, 1, 0, 0, 2) == [1, 4, None, 0, 3, 2]
    assert len(scheduler) == 2
    assert popped(scheduler, 2, 2, 0, 0) == [5, None, 6, None]


def test_a_removed_task_leaves_its_slot_with_less() -> None:
    scheduler = bound(RoundRobinScheduler(), 2, 4)
    assert scheduler.remove(WaitingTask(0))
    assert popped(scheduler, 0, 0, 1, 1) == [2, None, 1, 3]


def test_work_stealing_takes_its_own_first_and_then_the_last_of_the_longest() -> None:
    scheduler = bound(WorkStealingScheduler(), 3, 7)  # 0 3 6 | 1 4 | 2 5
    assert popped(scheduler, 1, 1) == [1, 4]
    assert scheduler.steals == 0
    assert popped(scheduler, 1) == [6]
    assert scheduler.steals == 1
    assert popped(scheduler, 0, 0, 0, 2, 2) == [0, 3, 5, 2, None]
    assert scheduler.steals == 2


@pytest.mark.parametrize("kind", [RoundRobinScheduler, WorkStealingScheduler])
def test_until_it_is_bound_there_is_one_queue(kind: Callable[[], Any]) -> None:
    scheduler = bound(kind(), 1, 3)
    assert popped(scheduler, 5, 0, 2) == [0, 1, 2]


@pytest.mark.parametrize("kind", [RoundRobinScheduler, WorkStealingScheduler])
def test_wrong_binding_is_refused(kind: Callable[[], Any]) -> None:
    with pytest.raises(OptionsError, match="at least one slot"):
        kind().bind(0)
    scheduler = bound(kind(), 2, 1)
    with pytest.raises(OptionsError, match="holds 1 tasks already"):
        scheduler.bind(3)
    assert popped(scheduler, 0) == [0]
    scheduler.bind(3)


# --- skewed work ---


def end_of(scheduler: Any, seconds: list[float], slots: int = 8) -> float:
    """When the last of the tasks ends."""
    end = makespan(bound(scheduler, slots, len(seconds)), seconds, slots)
    assert len(scheduler) == 0
    return end


def test_stealing_ends_skewed_work_earlier_than_dealing_and_about_as_early_as_one_queue() -> None:
    """1,000 tasks on 8 slots; how long they take is Pareto distributed, as sizes of files and of requests are."""
    gains, losses = [], []
    for seed in range(40):
        chance = random.Random(seed)
        seconds = [chance.paretovariate(1.3) for _ in range(1000)]
        stealing = end_of(WorkStealingScheduler(), seconds)
        gains.append(end_of(RoundRobinScheduler(), seconds) / stealing)
        losses.append(stealing / end_of(FifoScheduler(), seconds))
    assert min(gains) >= 1.0
    assert median(gains) >= 1.2
    assert 0.99 <= median(losses) <= 1.01


def test_equal_work_needs_no_stealing() -> None:
    scheduler = WorkStealingScheduler()
    assert end_of(scheduler, [1.0] * 80) == 10.0
    assert scheduler.steals == 0
