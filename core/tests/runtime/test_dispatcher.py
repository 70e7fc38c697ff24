"""The dispatcher over random histories of submits, cancels, failures, denials, pauses and ticks of a clock."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipe_core.kernel.access import get_scheduler
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.history import History, replay
from pipe_core.runtime.ledger import TRANSITIONS, TaskStatus, Tracked
from pipe_core.runtime.permits import CircuitBreaker, RateLimit

SLOTS = 3
PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING


class Work(Tracked):
    """A task as the dispatcher sees it."""

    def __init__(self, sequence: int, band: int = 1, number: float = 0.0, permit: Any = None) -> None:
        super().__init__()
        self.sequence, self.band, self.number, self.permit = sequence, band, number, permit
        self.tag, self.since, self.slot = sequence % 3, 0.0, 0
        self.cancelled = False

    def claim(self) -> bool:
        return not self.cancelled

    def __repr__(self) -> str:
        return f"<{self.sequence} {self.status}>"


class Book:
    """A listener that keeps every move, and checks it against the table."""

    def __init__(self) -> None:
        self.history = History(keep=1_000_000)

    def moved(self, task: Work, to: TaskStatus, now: float, reason: str) -> None:
        before = task.status
        assert before is not None or to is PENDING
        assert before is None or to in TRANSITIONS[before]
        attempt = task.attempt + (before is TaskStatus.FAILED)
        self.history.add((task.sequence, before, to, now, attempt, reason, -1, ""))


# Functions, and no lambdas: hypothesis parses the source of those, which now and then fails on Python 3.11.


def something_runs(machine: Histories) -> bool:
    return any(machine.dispatcher.hands)


def something_waits(machine: Histories) -> bool:
    return any(task.status is PENDING for task in machine.tasks)


def something_is_asked_for(machine: Histories) -> bool:
    return bool(machine.held)


class Histories(RuleBasedStateMachine):
    """Every task is in exactly one place, moves only as the table says, and is told exactly once how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.book = Book()
        self.rate = RateLimit(5, per=1.0, burst=2)
        self.breaker = CircuitBreaker("api", failures=2, reset_after=3.0, waits=True)
        self.strict = CircuitBreaker("strict", failures=1, reset_after=2.0)
        self.dispatcher: Dispatcher[Work] = self.make()
        self.tasks: list[Work] = []
        self.held: list[Work] = []  # picked, and with someone who asks for them
        self.ended: Counter[int] = Counter()
        self.refusals = 0

    def make(self) -> Dispatcher[Work]:
        return Dispatcher(get_scheduler("priority"), SLOTS, ready=1, permits=self.rate, listener=self.book)

    def _end(self, task: Work, to: TaskStatus) -> None:
        self.dispatcher.end(task, to, self.now)
        self.ended[task.sequence] += 1

    # --- what may happen ---

    @rule(band=st.integers(0, 3), number=st.integers(-2, 2), kind=st.sampled_from(["", "", "waits", "strict"]))
    def submit(self, band: int, number: int, kind: str) -> None:
        permit = {"": None, "waits": self.breaker, "strict": self.strict}[kind]
        task = Work(len(self.tasks), band, float(number), permit)
        self.tasks.append(task)
        self.dispatcher.add(task, self.now)

    @rule(slot=st.integers(0, SLOTS - 1))
    def take(self, slot: int) -> None:
        before = len(self.dispatcher.refused)
        begun = {task.sequence for task in self.tasks if task.status is PROCESSING}
        task = self.dispatcher.take(slot, self.now)
        for refused, error in self.dispatcher.refused[before:]:
            assert refused.status is TaskStatus.ABORTED
            assert error is not None
            self.ended[refused.sequence] += 1
        if task is not None:
            assert task.status is PROCESSING
            assert not self.dispatcher.paused or task.sequence in begun, "only what was given back goes on"

    @precondition(something_runs)
    @rule(data=st.data(), ok=st.booleans(), again=st.booleans(), after=st.floats(0, 5))
    def end(self, data: Any, ok: bool, again: bool, after: float) -> None:
        hand = data.draw(st.sampled_from([hand for hand in self.dispatcher.hands if hand]))
        task = hand[0]
        assert self.dispatcher.release(task)
        assert not self.dispatcher.release(task), "a second end must be refused"
        if task.permit is not None:
            task.permit.tell(ok, self.now)
        if ok:
            self._end(task, TaskStatus.COMPLETED)
        elif again and task.attempt < 3:
            self.dispatcher.retry(task, self.now, after)
        else:
            self._end(task, TaskStatus.FAILED)

    @precondition(something_runs)
    @rule(data=st.data())
    def lose_a_slot(self, data: Any) -> None:
        hand = data.draw(st.sampled_from([hand for hand in self.dispatcher.hands if hand]))
        for task in list(hand):
            self.dispatcher.release(task)
            self.dispatcher.give_back(task)

    @precondition(something_waits)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        task = data.draw(st.sampled_from([task for task in self.tasks if task.status is PENDING]))
        if self.dispatcher.withdraw(task):
            assert task not in self.held
            assert not self.dispatcher.withdraw(task) or task.status is PENDING
            self._end(task, TaskStatus.CANCELLED)
        else:
            assert task in self.held, "it waits nowhere, and nobody has it"

    @rule(slot=st.integers(0, SLOTS - 1))
    def ask(self, slot: int) -> None:
        task = self.dispatcher.pick(slot, self.now)
        if task is not None:
            assert task.status is PENDING
            self.held.append(task)

    @precondition(something_is_asked_for)
    @rule(answer=st.sampled_from(["deny", "refuse"]), wait=st.floats(0.01, 3))
    def answer(self, answer: str, wait: float) -> None:
        task = self.held.pop()
        if answer == "deny":
            self.dispatcher.put_off(task, self.now + wait)
        else:
            self.dispatcher.refuse(task, PermissionError("no"), self.now)
            self.ended[task.sequence] += 1

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.dispatcher.paused = paused

    @rule(seconds=st.floats(0, 10))
    def tick(self, seconds: float) -> None:
        self.now += seconds

    # --- what holds at any moment ---

    @invariant()
    def every_task_is_in_one_place(self) -> None:
        ledger = self.dispatcher.ledger
        for status in (PENDING, PROCESSING):
            assert ledger.count(status) == sum(task.status is status for task in self.tasks)
            assert {id(task) for task in ledger.tasks(status)} == {id(t) for t in self.tasks if t.status is status}
        assert ledger.added == len(self.tasks)
        final = [task for task in self.tasks if task.status is not None and task.status.final]
        assert self.ended == Counter(task.sequence for task in final), "told once, neither less nor more"

    @invariant()
    def hands_and_free_slots_agree(self) -> None:
        hands = self.dispatcher.hands
        assert self.dispatcher.free == sum(not hand for hand in hands)
        assert all(task.status is PROCESSING for hand in hands for task in hand)
        assert len({id(task) for hand in hands for task in hand}) == sum(map(len, hands))

    @invariant()
    def who_sleeps_is_woken(self) -> None:
        """When nothing may be taken now though something waits, there is a time at which to look again."""
        if self.dispatcher.paused or self.held or any(self.dispatcher.hands) or not self.dispatcher.open:
            return
        due = self.dispatcher.due(self.now)
        assert due is not None or len(self.dispatcher) > 0

    def teardown(self) -> None:
        """Everything ends when the clock goes on, and the log tells the same as the ledger."""
        self.dispatcher.paused = False
        for task in self.held:
            self.dispatcher.put_off(task, self.now)
        self.held = []
        for _ in range(100_000):
            if not self.dispatcher.open:
                break
            for slot in range(SLOTS):
                self.take(slot)
                while self.dispatcher.hands[slot]:
                    task = self.dispatcher.hands[slot][0]
                    self.dispatcher.release(task)
                    if task.permit is not None:
                        task.permit.tell(True, self.now)
                    self._end(task, TaskStatus.COMPLETED)
            due = self.dispatcher.due(self.now)
            self.now += max(due or 0.0, 1e-6)
        assert self.dispatcher.open == 0, "something never ends"
        self.every_task_is_in_one_place()
        ledger, tasks = replay(self.book.history)
        assert {id: task.status for id, task in tasks.items()} == {task.sequence: task.status for task in self.tasks}
        assert {id: task.attempt for id, task in tasks.items()} == {task.sequence: task.attempt for task in self.tasks}
        assert ledger.added == len(self.tasks)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


# --- one rule at a time ---


def dispatcher(slots: int = 1, **options: Any) -> Dispatcher[Work]:
    return Dispatcher(get_scheduler(options.pop("scheduler", "priority")), slots, **options)


def test_an_urgent_task_overtakes_all_that_were_not_taken() -> None:
    machine = dispatcher()
    for sequence in range(5):
        machine.add(Work(sequence), 0.0)
    first = machine.take(0, 0.0)
    assert first is not None
    urgent = Work(99, band=3)
    machine.add(urgent, 1.0)
    machine.release(first)
    machine.end(first, TaskStatus.COMPLETED, 1.0)
    assert machine.take(0, 1.0) is urgent


def test_a_busy_slot_holds_no_more_than_it_may_and_none_while_another_is_free() -> None:
    machine = dispatcher(2, ready=1)
    for sequence in range(6):
        machine.add(Work(sequence), 0.0)
    assert machine.take(0, 0.0) is not None
    assert machine.take(1, 0.0) is not None
    assert machine.take(0, 0.0) is not None
    assert machine.take(0, 0.0) is None, "one runs, one is ready"
    machine = dispatcher(2, ready=1)
    machine.add(Work(0), 0.0)
    machine.add(Work(1), 0.0)
    machine.take(0, 0.0)
    assert machine.take(0, 0.0) is None, "slot 1 is free for it"


def test_a_retry_waits_for_its_time_and_others_pass() -> None:
    machine = dispatcher()
    task, other = Work(0), Work(1)
    machine.add(task, 0.0)
    assert machine.take(0, 0.0) is task
    machine.release(task)
    machine.retry(task, 1.0, 5.0)
    machine.add(other, 1.0)
    assert machine.take(0, 2.0) is other
    machine.release(other)
    machine.end(other, TaskStatus.COMPLETED, 2.0)
    assert machine.take(0, 5.9) is None
    assert machine.due(5.9) == pytest.approx(0.1)
    assert machine.take(0, 6.0) is task
    assert task.attempt == 2


def test_a_withdrawn_retry_leaves_no_time_behind() -> None:
    machine = dispatcher()
    for sequence in range(1_000):
        task = Work(sequence)
        machine.add(task, 0.0)
        assert machine.pick(0, 0.0) is task
        machine.put_off(task, math.inf)
        assert machine.withdraw(task)
        machine.end(task, TaskStatus.CANCELLED, 0.0)
    assert machine.due(1.0) is None
    assert len(machine._later) <= 32


def test_nothing_starts_while_paused_and_everything_after() -> None:
    machine = dispatcher(3)
    machine.paused = True
    machine.add(Work(0), 0.0)
    assert machine.take(0, 0.0) is None
    assert machine.due(0.0) is None
    machine.paused = False
    assert machine.take(0, 0.0) is not None


def test_slots_that_are_only_a_count_find_what_is_kept_for_another_one() -> None:
    scheduler = get_scheduler("round_robin")
    scheduler.bind(3)  # type: ignore[attr-defined]  # of those with a queue a slot
    machine: Dispatcher[Work] = Dispatcher(scheduler, 3)
    machine.add(Work(0), 0.0)
    taken = [machine.take(slot, 0.0) for slot in range(3)]
    assert sum(task is not None for task in taken) == 1
    machine.add(Work(1), 0.0)
    machine.add(Work(2), 0.0)
    free = next(slot for slot in range(3) if not machine.hands[slot])
    assert machine.take(free, 0.0, anywhere=True) is not None
