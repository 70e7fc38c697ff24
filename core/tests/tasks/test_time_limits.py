"""Limits of time: who is late, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from pipe_core.runtime.alarm import Alarm
from pipe_core.runtime.ledger import Ledger, TaskStatus
from pipe_core.tasks.call import TaskCall
from pipe_core.tasks.time_limits import TimeLimits

PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING


class Clock(Alarm):
    """Notes down when it should ring."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def set(self, at: float) -> None:
        self.times.append(at)


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="limits")
def _limits(clock: Clock) -> TimeLimits:
    return TimeLimits(clock)


class Calls:
    """Makes calls, and moves them."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def __call__(self, *to: TaskStatus, timeout: float | None = None) -> TaskCall:
        anyone: Any = None
        call = TaskCall(anyone, self.ledger.added + 1, int, (), {})
        call.since, call.timeout = 0.0, timeout
        self.ledger.add(call)
        return self.move(call, *to)

    def move(self, call: TaskCall, *to: TaskStatus) -> TaskCall:
        for status in to:
            self.ledger.move(call, status)
        return call


@pytest.fixture(name="calls")
def _calls() -> Calls:
    return Calls()


def test_the_alarm_rings_at_every_time(limits: TimeLimits, clock: Clock, calls: Calls) -> None:
    for at in (5.0, 3.0, 7.0):
        limits.add(at, calls(), 0)
    assert clock.times == [5.0, 3.0, 7.0]
    assert len(limits.late(4.0)) == 1
    assert clock.times[3:] == [5.0], "the next one"
    assert len(limits.late(9.0)) == 2
    assert clock.times[4:] == []
    assert len(limits) == 0


def test_each_is_told_what_it_was_late_for(limits: TimeLimits, calls: Calls) -> None:
    waiting, running, slow = calls(), calls(PROCESSING), calls(PROCESSING, timeout=2.5)
    limits.add(1.0, waiting, 0)
    limits.add(2.0, running, 0)
    limits.add(3.0, slow, 1)
    assert limits.late(0.9) == []
    late = limits.late(3.0)
    assert [call for call, _ in late] == [waiting, running, slow]
    assert [(str(error), error.retryable) for _, error in late[1:]] == [
        ("int ran longer than its deadline, and was given up.", False),
        ("int ran longer than its timeout of 2.5 s, and was given up.", True),
    ]
    assert str(late[0][1]) == "int was not begun within 1 s, by its deadline."


@pytest.mark.parametrize("first", ["timeout", "deadline"])
def test_a_call_that_is_late_for_both_has_no_time_for_another_attempt(
    limits: TimeLimits, calls: Calls, first: str
) -> None:
    call = calls(PROCESSING, timeout=1.0)
    limits.add(1.0 if first == "timeout" else 1.2, call, 1)
    limits.add(1.1, call, 0)
    ((late, error),) = limits.late(2.0)
    assert late is call
    assert "its deadline" in str(error)
    assert not error.retryable


def test_what_has_ended_is_not_late(limits: TimeLimits, calls: Calls) -> None:
    again = calls(PROCESSING, TaskStatus.FAILED, PENDING, timeout=1.0)
    other = calls(PROCESSING, TaskStatus.FAILED, PENDING, PROCESSING, timeout=1.0)
    done = calls(PROCESSING, TaskStatus.COMPLETED)
    for call in (again, other, done):
        limits.add(1.0, call, 1)
        limits.add(1.0, call, 0)
    limits.add(1.0, other, 2)
    assert {call: str(error) for call, error in limits.late(1.0)} == {
        again: "int was not begun within 1 s, by its deadline.",
        other: "int ran longer than its deadline, and was given up.",
    }


def test_what_has_ended_is_forgotten_and_nothing_else(limits: TimeLimits, calls: Calls) -> None:
    waiting = [calls() for _ in range(200)]
    for call in waiting:
        limits.add(9.0, call, 0)
    for _ in range(5_000):
        limits.add(8.0, calls(PROCESSING, TaskStatus.COMPLETED), 1)
        assert len(limits) < 1_000
    assert [call for call, _ in limits.late(9.0)] == waiting
