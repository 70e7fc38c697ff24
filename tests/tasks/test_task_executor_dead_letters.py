"""Calls that are looked at, and those that failed for good, which are submitted again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from held_calls import LIMIT, ON_THREADS, held, wait_for

from pipe_core import (
    CircuitBreaker,
    IllegalTransitionError,
    OptionsError,
    QueueFullError,
    Retention,
    Retry,
    TaskExecutor,
    TaskPriority,
)
from pipe_core.runtime.ledger import TaskStatus

pytestmark = ON_THREADS


class Service:
    """Answers when it is well."""

    def __init__(self) -> None:
        self.well = False
        self.asked: list[int] = []

    def ask(self, number: int, times: int = 1) -> int:
        self.asked.append(number)
        if not self.well:
            raise ConnectionError(f"no answer to {number}")
        return number * times


@pytest.fixture
def keeping() -> Iterator[TaskExecutor]:
    """One worker, and what failed is kept, but of all others the last two only."""
    with TaskExecutor(max_workers=1, retention=Retention(count=2, keep_failed=True)) as executor:
        yield executor


def failed(executor: TaskExecutor, service: Service, number: int = 3, **options: Any) -> Any:
    """A dead letter."""
    future = executor.submit_with(**options)(service.ask, number, times=2)
    assert isinstance(future.exception(LIMIT), ConnectionError)
    wait_for(lambda: executor.dead_letters)
    return executor.dead_letters[-1]


def test_what_failed_is_looked_at_and_submitted_again(keeping: TaskExecutor) -> None:
    service = Service()
    futures = [keeping.submit(service.ask, number) for number in range(10)]
    keeping.wait(futures, LIMIT)
    done = [keeping.submit(int) for _ in range(10)]
    keeping.wait(done, LIMIT)
    wait_for(lambda: len(keeping.dead_letters) == 10)
    assert [(call.args, str(call.error)) for call in keeping.dead_letters] == [
        ((number,), f"no answer to {number}") for number in range(10)
    ]
    service.well = True
    again = [keeping.requeue(call) for call in keeping.dead_letters if call.args[0] % 2]
    assert [future.result(LIMIT) for future in again] == [1, 3, 5, 7, 9]
    assert [call.args[0] for call in keeping.dead_letters] == [0, 2, 4, 6, 8]
    stats = keeping.get_stats()
    assert (stats.submitted_tasks, stats.completed_tasks, stats.failed_tasks) == (25, 15, 10)


def test_a_requeued_call_has_all_that_was_said_of_it(keeping: TaskExecutor) -> None:
    service, breaker = Service(), CircuitBreaker("service", failures=99)
    retry = Retry(1, delay=0.001)
    options = {"timeout": 50.0, "deadline": 60.0, "retries": retry, "breaker": breaker, "tags": ("a", "b")}
    letter = failed(keeping, service, priority=TaskPriority.HIGH, **options)
    assert (letter.attempt, service.asked) == (2, [3, 3])
    keeping.pause()
    future = keeping.requeue(letter)
    (call,) = keeping.tasks("pending")
    assert call.id != letter.id
    said = ("fn", "args", "kwargs", "tags", "timeout", "retry", "breaker", "band", "number", "name")
    for name in said:
        assert getattr(call, name) == getattr(letter, name), name
    assert call.deadline - call.since == pytest.approx(60.0)
    assert call.deadline > letter.deadline
    assert (call.attempt, call.started, call.ended, call.error) == (1, None, None, None)
    service.well = True
    keeping.resume()
    assert future.result(LIMIT) == 6


def test_one_that_fails_again_is_a_dead_letter_again(keeping: TaskExecutor) -> None:
    service = Service()
    letter = failed(keeping, service)
    future = keeping.requeue(letter)
    assert isinstance(future.exception(LIMIT), ConnectionError)
    wait_for(lambda: keeping.dead_letters)
    assert [call.id for call in keeping.dead_letters] == [letter.id + 1]


def test_a_dead_letter_is_requeued_once_by_whoever_is_first(keeping: TaskExecutor) -> None:
    service = Service()
    letter = failed(keeping, service)
    service.well = True
    ready, ends = threading.Barrier(8), []

    def requeue() -> None:
        ready.wait(LIMIT)
        try:
            ends.append(keeping.requeue(letter).result(LIMIT))
        except IllegalTransitionError as error:
            ends.append(error)

    threads = [threading.Thread(target=requeue) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len(ends) == 8
    assert ends.count(6) == 1
    assert service.asked == [3, 3]


def test_a_requeue_that_raises_changes_nothing() -> None:
    service = Service()
    options = {"queue_capacity": 1, "on_full": "raise", "retention": Retention(keep_failed=True)}
    with TaskExecutor(max_workers=1, **options) as executor:
        letter = failed(executor, service)
        gate = held(executor)
        executor.submit(int)
        with pytest.raises(QueueFullError):
            executor.requeue(letter)
        assert executor.dead_letters == [letter]
        gate.go.set()
        wait_for(lambda: not executor.tasks("pending"))
        service.well = True
        assert executor.requeue(letter).result(LIMIT) == 6
        assert executor.dead_letters == []


def test_what_is_no_dead_letter_is_not_requeued(keeping: TaskExecutor) -> None:
    service = Service()
    letter = failed(keeping, service)
    gate = held(keeping)
    (running,) = keeping.tasks("processing")
    waiting = keeping.submit(int)
    (pending,) = keeping.tasks("pending")
    for call, status in ((running, "processing"), (pending, "pending")):
        with pytest.raises(IllegalTransitionError, match=status):
            keeping.requeue(call)
    gate.go.set()
    waiting.result(LIMIT)
    wait_for(lambda: pending in keeping.tasks("completed"))
    with pytest.raises(IllegalTransitionError, match="completed"):
        keeping.requeue(pending)
    with TaskExecutor("sync", retention=Retention()) as other, pytest.raises(IllegalTransitionError, match="keeps"):
        other.requeue(letter)
    keeping.requeue(letter)
    with pytest.raises(IllegalTransitionError, match="once"):
        keeping.requeue(letter)


def test_refused_and_cancelled_calls_are_requeued_too() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=2, on_full="drop_oldest", retention=Retention()) as executor:
        gate = held(executor)
        dropped, cancelled = executor.submit(pow, 2, 3), executor.submit(pow, 2, 4)
        executor.submit(int)
        assert isinstance(dropped.exception(LIMIT), QueueFullError)
        assert cancelled.cancel()
        (refused,) = executor.dead_letters
        assert (refused.status, refused.args, refused.started) == (TaskStatus.ABORTED, (2, 3), None)
        assert isinstance(refused.error, QueueFullError)
        (given_up,) = executor.tasks(TaskStatus.CANCELLED)
        gate.go.set()
        wait_for(lambda: not executor.tasks("pending"))
        assert executor.requeue(refused).result(LIMIT) == 8
        assert executor.requeue(given_up).result(LIMIT) == 16


def test_letters_that_nobody_keeps_are_an_error(one: TaskExecutor) -> None:
    with pytest.raises(OptionsError, match=r"retention=Retention\(keep_failed=True\)"):
        _ = one.dead_letters
    with pytest.raises(OptionsError, match="a Retention"):
        TaskExecutor("sync", retention=5)  # type: ignore[arg-type]  # what it refuses


def test_calls_are_known_by_status(keeping: TaskExecutor) -> None:
    before = time.monotonic()
    gate = held(keeping)
    future = keeping.submit_with(tags="here")(max, [2, 1], key=abs)
    (running,), (waiting,) = keeping.tasks("processing"), keeping.tasks(TaskStatus.PENDING)
    assert keeping.tasks() == [waiting, running]
    assert (waiting.fn, waiting.args, waiting.kwargs, waiting.tags) == (max, ([2, 1],), {"key": abs}, ("here",))
    assert (waiting.name, waiting.started, waiting.ended) == ("max", None, None)
    assert [move.to for move in keeping.history(waiting.id)] == [TaskStatus.PENDING]
    assert running.started is not None
    assert running.ended is None
    gate.go.set()
    assert future.result(LIMIT) == 2
    wait_for(lambda: keeping.tasks() == [running, waiting])
    assert {call.status for call in keeping.tasks()} == {TaskStatus.COMPLETED}
    assert waiting.started is not None
    assert waiting.ended is not None
    assert before <= running.since <= waiting.since <= waiting.started <= waiting.ended <= time.monotonic()
    keeping.tasks().clear()
    assert len(keeping.tasks()) == 2, "a copy"


def test_what_every_worker_calls_is_no_call_of_anybody() -> None:
    with TaskExecutor(max_workers=1, retention=Retention()) as executor:
        (future,) = executor._submit_to_each(executor.tasks, ())
        assert future.result(LIMIT) == []
        assert executor.tasks() == []


@pytest.mark.parametrize("status", ["fialed", "", None, 3])
def test_an_unknown_status_is_an_error(one: TaskExecutor, status: Any) -> None:
    if status is None:
        assert one.tasks(status) == []
        return
    with pytest.raises(OptionsError, match="no status"):
        one.tasks(status)
