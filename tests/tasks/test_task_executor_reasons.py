"""The log says why a call failed, whatever the code of its error does."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from held_calls import LIMIT, ON_THREADS, held

from pipe_core import Retry, TaskExecutor, TaskTimeoutError
from pipe_core.runtime.ledger import TaskStatus

pytestmark = ON_THREADS


class Raising(Exception):
    """Has nothing to say."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


def fail(error: BaseException) -> None:
    raise error


def reasons(executor: TaskExecutor, future: Any) -> list[str]:
    """Those of its failures."""
    return [move.reason for move in executor.history(future) if move.to is TaskStatus.FAILED]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such thing"), "ValueError: no such thing"),
        (FileNotFoundError(2, "No such file", "a.csv"), "FileNotFoundError: [Errno 2] No such file: 'a.csv'"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (SystemExit(4), "SystemExit: 4"),
        (Raising(), "Raising"),
    ],
)
def test_a_failure_says_why(one: TaskExecutor, error: BaseException, reason: str) -> None:
    future = one.submit(fail, error)
    assert future.exception(LIMIT) is error
    assert reasons(one, future) == [reason]


def test_a_long_reason_is_cut_and_nothing_in_it_moves_a_terminal(one: TaskExecutor) -> None:
    future = one.submit(fail, ValueError("\x1b[2J" + "x" * 100_000))
    assert isinstance(future.exception(LIMIT), ValueError)
    (reason,) = reasons(one, future)
    assert len(reason) < 300
    assert reason.isprintable()


def test_every_attempt_says_why(one: TaskExecutor) -> None:
    future = one.submit_with(retries=Retry(2, delay=0.0))(fail, ConnectionError("away"))
    assert isinstance(future.exception(LIMIT), ConnectionError)
    assert reasons(one, future) == ["ConnectionError: away"] * 3


def test_an_error_that_cannot_be_told_loses_no_call_that_is_tried_again(one: TaskExecutor) -> None:
    future = one.submit_with(retries=Retry(1, delay=0.0))(fail, error := Raising())
    assert future.exception(LIMIT) is error
    assert reasons(one, future) == ["Raising", "Raising"]
    assert one.submit(int, "5").result(LIMIT) == 5


def test_a_call_out_of_time_says_so(one: TaskExecutor) -> None:
    go = threading.Event()
    future = one.submit_with(timeout=0.05)(go.wait, LIMIT)
    assert isinstance(future.exception(LIMIT), TaskTimeoutError)
    go.set()
    (reason,) = reasons(one, future)
    assert reason.startswith("TaskTimeoutError: ")
    assert "longer than its timeout of 0.05 s" in reason


def test_nobody_waits_for_an_error_that_takes_its_time() -> None:
    asked, go = threading.Event(), threading.Event()

    class Slow(Exception):
        def __str__(self) -> str:
            asked.set()
            go.wait(LIMIT)
            return "at last"

    with TaskExecutor(max_workers=2) as executor:
        slow = executor.submit(fail, Slow())
        assert asked.wait(LIMIT)
        assert executor.submit(int, "5").result(LIMIT) == 5, "the text is not asked for with the lock"
        assert not slow.done()
        go.set()
        assert isinstance(slow.exception(LIMIT), Slow)
        assert reasons(executor, slow) == ["Slow: at last"]


def test_a_call_that_its_caller_runs_says_why() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=1, on_full="caller_runs") as executor:
        gate = held(executor)
        executor.submit(int)
        here = executor.submit(fail, ValueError("here"))
        assert here.done()
        gate.go.set()
    assert reasons(executor, here) == ["ValueError: here"]


def test_what_has_not_failed_says_nothing(one: TaskExecutor) -> None:
    future = one.submit(int, "5")
    assert future.result(LIMIT) == 5
    assert [move.reason for move in one.history(future)] == ["", "", ""]
