"""`TaskExecutor` on threads: limits of time and breakers."""

from __future__ import annotations

import math
import threading
import time

import pytest
from held_calls import LIMIT, ON_THREADS, Gate, held, wait_for

from pipe_core import (
    CircuitBreaker,
    CircuitOpenError,
    OptionsError,
    Retry,
    TaskExecutor,
    TaskTimeoutError,
    UnsupportedCapabilityError,
)

pytestmark = ON_THREADS


# --- limits of time ---


def test_a_call_that_takes_too_long_is_left_behind_and_its_result_refused(one: TaskExecutor) -> None:
    go, late = threading.Event(), threading.Event()

    def slow() -> str:
        go.wait(LIMIT)
        late.set()
        return "too late"

    future = one.submit_with(timeout=0.1)(slow)
    with pytest.raises(TaskTimeoutError, match=r"slow ran longer than its timeout of 0\.1 s"):
        future.result(LIMIT)
    assert one.submit(int, "5").result(LIMIT) == 5, "its slot has another thread"
    go.set()
    assert late.wait(LIMIT)
    assert isinstance(future.exception(), TaskTimeoutError)
    stats = one.get_stats()
    assert (stats.failed_tasks, stats.completed_tasks, stats.active_threads) == (1, 1, 0)


def test_an_attempt_that_hung_does_not_answer_for_the_next_one(one: TaskExecutor) -> None:
    first, go, ended = threading.Event(), threading.Event(), threading.Event()

    def hang_once() -> str:
        if not first.is_set():
            first.set()
            go.wait(LIMIT)
            ended.set()
            return "of the first attempt"
        go.set()
        assert ended.wait(LIMIT)
        time.sleep(0.1)  # the answer of the first attempt comes meanwhile
        return "of the second attempt"

    future = one.submit_with(timeout=2.0, retries=Retry(1, delay=0.01))(hang_once)
    assert future.result(LIMIT) == "of the second attempt"
    stats = one.get_stats()
    assert (stats.completed_tasks, stats.retries, stats.submitted_tasks) == (1, 1, 1)


def test_a_deadline_passes_for_those_who_wait_and_for_those_who_run(one: TaskExecutor) -> None:
    gate = held(one)
    waiting = one.submit_with(deadline=0.1)(int)
    with pytest.raises(TaskTimeoutError, match=r"int was not begun within 0\.1 s"):
        waiting.result(LIMIT)
    gate.go.set()
    wait_for(lambda: one.get_stats().active_threads == 0)
    last = Gate()
    running = one.submit_with(deadline=1.0, retries=5)(last)
    with pytest.raises(TaskTimeoutError, match="deadline"):
        running.result(LIMIT)
    last.go.set()
    stats = one.get_stats()
    assert (stats.aborted_tasks, stats.failed_tasks, stats.retries) == (1, 1, 0)


def test_limits_of_many_calls_that_have_ended_are_forgotten(one: TaskExecutor) -> None:
    for _ in range(2_000):
        one.submit_with(timeout=3_600.0, deadline=3_600.0)(int).result(LIMIT)
    assert len(one._limits) < 200


def test_limits_that_nobody_could_keep_are_refused() -> None:
    with (
        TaskExecutor("sync") as executor,
        pytest.raises(UnsupportedCapabilityError, match="a promise that nobody keeps"),
    ):
        executor.submit_with(timeout=1.0)
    with TaskExecutor(max_workers=1) as executor:
        for wrong in (0, -1, math.nan, True, "5"):
            with pytest.raises(OptionsError, match="timeout wants positive seconds"):
                executor.submit_with(timeout=wrong)  # type: ignore[arg-type]  # on purpose
        assert executor.submit_with(timeout=math.inf)(int, "5").result(LIMIT) == 5


# --- breakers ---


def test_an_open_breaker_refuses_and_closes_again(one: TaskExecutor) -> None:
    breaker = CircuitBreaker("api", failures=2, reset_after=2.0)
    ask = one.submit_with(breaker=breaker)
    for _ in range(2):
        assert isinstance(ask(int, "no").exception(LIMIT), ValueError)
    refused = ask(int, "1")
    with pytest.raises(CircuitOpenError, match="'api' has failed 2 times in a row"):
        refused.result(LIMIT)
    assert one.submit(int, "2").result(LIMIT) == 2, "others are not concerned"
    wait_for(lambda: breaker.state(time.monotonic()) == "half-open")
    assert ask(int, "3").result(LIMIT) == 3
    assert ask(int, "4").result(LIMIT) == 4
    assert one.get_stats().aborted_tasks == 1


def test_calls_wait_for_a_breaker_that_lets_them(one: TaskExecutor) -> None:
    breaker = CircuitBreaker("api", failures=1, reset_after=0.2, waits=True)
    ask = one.submit_with(breaker=breaker)
    began = time.monotonic()
    ask(int, "no").exception(LIMIT)
    waiting = [ask(int, str(n)) for n in range(5)]
    assert one.submit(int, "7").result(LIMIT) == 7
    assert [future.result(LIMIT) for future in waiting] == [0, 1, 2, 3, 4]
    assert time.monotonic() - began >= 0.2


def test_two_executors_that_share_a_breaker_try_once() -> None:
    breaker = CircuitBreaker("api", failures=1, reset_after=0.2, waits=True)
    lock, running, most, tried = threading.Lock(), [0], [0], []

    def ask(n: int) -> None:
        with lock:
            running[0] += 1
            tried.append(n)
            number = len(tried)
            if number <= 4:  # the last of which succeeds
                most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        if number <= 3:
            raise ConnectionError("away")

    with TaskExecutor(max_workers=4) as one, TaskExecutor(max_workers=4) as other:
        first = one.submit_with(breaker=breaker)(ask, -1)
        assert isinstance(first.exception(LIMIT), ConnectionError)
        futures = [x.submit_with(breaker=breaker)(ask, n) for n in range(20) for x in (one, other)]
        errors = [future.exception(LIMIT) for future in futures]
    assert most == [1], "while it was open one call tried, and no second one beside it"
    assert sum(error is not None for error in errors) == 2
    assert len(tried) == 41
