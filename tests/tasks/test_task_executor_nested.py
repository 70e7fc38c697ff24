"""`TaskExecutor` on threads: tasks that submit tasks."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from held_calls import LIMIT, ON_THREADS, wait_for

from pipe_core import (
    DeadlockError,
    Retry,
    TaskExecutor,
    TaskPriority,
)

pytestmark = ON_THREADS


# --- tasks that submit tasks ---


def test_one_worker_runs_what_it_waits_for(one: TaskExecutor) -> None:
    def deep(n: int) -> int:
        return 0 if n == 0 else one.submit(deep, n - 1).result() + 1

    def broad() -> list[int]:
        futures = [one.submit(pow, n, 2) for n in range(20)]
        assert len(one.wait(futures)) == 20
        return [future.result() for future in one.as_completed(futures)]

    assert one.submit(deep, 60).result(LIMIT) == 60
    assert sorted(one.submit(broad).result(LIMIT)) == [n**2 for n in range(20)]
    stats = one.get_stats()
    assert (stats.submitted_tasks, stats.completed_tasks) == (61 + 21, 61 + 21)


def test_nothing_else_runs_in_line(one: TaskExecutor) -> None:
    order: list[str] = []

    def outer() -> None:
        one.submit(order.append, "urgent", priority=TaskPriority.URGENT)
        one.submit(order.append, "mine").result()

    one.submit(outer).result(LIMIT)
    wait_for(lambda: len(order) == 2)
    assert order == ["mine", "urgent"]


def test_with_a_timeout_nothing_runs_in_line(one: TaskExecutor) -> None:
    def outer() -> str:
        inner = one.submit(int)
        try:
            inner.result(0.05)
        except TimeoutError:
            return "waited"
        return "ran"

    assert one.submit(outer).result(LIMIT) == "waited"

    def waits() -> tuple[int, int]:
        done = one.wait([one.submit(int)], 0.05)
        return len(done), len(done.not_done)

    assert one.submit(waits).result(LIMIT) == (0, 1)


def test_a_retry_that_is_waited_for_comes_in_line_when_it_is_due(one: TaskExecutor) -> None:
    tries: list[int] = []

    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OSError
        return len(tries)

    def outer() -> int:
        found: int = one.submit_with(retries=Retry(5, delay=0.02))(flaky).result()
        return found

    assert one.submit(outer).result(LIMIT) == 3


def test_waiting_by_the_standard_library_is_a_named_error(one: TaskExecutor) -> None:
    def wait() -> Any:
        return concurrent.futures.wait([one.submit(int)])

    def as_completed() -> Any:
        return list(concurrent.futures.as_completed([one.submit(int)]))

    for function in (wait, as_completed):
        with pytest.raises(DeadlockError, match=r"executor's own wait\(\)"):
            one.submit(function).result(LIMIT)

    def of_another() -> int:
        with TaskExecutor(max_workers=1) as other:
            done, _ = concurrent.futures.wait([other.submit(int, "3")], LIMIT)
            return int(done.pop().result())

    assert one.submit(of_another).result(LIMIT) == 3


def test_a_task_never_waits_for_room(one: TaskExecutor) -> None:
    with TaskExecutor(max_workers=1, queue_capacity=2) as executor:

        def outer() -> list[int]:
            return [future.result() for future in [executor.submit(int, str(n)) for n in range(50)]]

        assert executor.submit(outer).result(LIMIT) == list(range(50))
