"""`TaskExecutor` over every installed executor: the same calls, the same numbers."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from held_calls import LIMIT, note, wait_for

from pipe_core import Executor, QueueFullError, Retry, TaskExecutor, TaskPriority, WorkerKilled
from pipe_core.testing.leaks import no_leaks

pytestmark = pytest.mark.timeout(150)


@contextmanager
def tasks(executor: Executor, **options: Any) -> Iterator[TaskExecutor]:
    """Tasks on *executor*, which stays open."""
    with TaskExecutor(executor, **options) as made:
        yield made


def gate(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.005)


def fail(text: str) -> None:
    raise KeyError(text)


def test_results_errors_and_numbers(started: Executor) -> None:
    with tasks(started) as executor:
        futures = [executor.submit(pow, 2, n) for n in range(50)]
        wrong = executor.submit(fail, "why")
        assert [future.result(LIMIT) for future in futures] == [2**n for n in range(50)]
        assert isinstance(wrong.exception(LIMIT), KeyError)
        stats = executor.get_stats()
        assert (stats.submitted_tasks, stats.completed_tasks, stats.failed_tasks) == (51, 50, 1)
        assert (stats.queued_tasks, stats.active_threads, stats.cancelled_tasks) == (0, 0, 0)
        assert stats.total_execution_time > 0
        assert stats.run_time.max >= stats.run_time.p50 > 0


def test_the_urgent_one_goes_next(started: Executor, tmp_path: Path) -> None:
    if started.name == "sync":
        pytest.skip("a call has ended when submit returns")
    order, opened = str(tmp_path / "order"), [tmp_path / f"open-{slot}" for slot in range(started.slots)]
    with tasks(started) as executor:
        held = [executor.submit(gate, str(one)) for one in opened]
        wait_for(lambda: executor.get_stats().active_threads == executor.slots)
        calls: list[tuple[str, Any]] = [
            ("low", TaskPriority.LOW),
            ("normal", None),
            ("late", 5),
            ("soon", -5),
            ("high", TaskPriority.HIGH),
            ("urgent", TaskPriority.URGENT),
        ]
        futures = [executor.submit_with(priority=priority)(note, order, text) for text, priority in calls]
        opened[0].touch()  # one slot runs them all: two would begin two calls at the same moment, in either order
        concurrent.futures.wait(futures, LIMIT)
        for one in opened:
            one.touch()
        concurrent.futures.wait(held, LIMIT)
    assert Path(order).read_text().split() == ["urgent", "high", "soon", "normal", "late", "low"]


def test_cancelling_makes_room_at_once(started: Executor, tmp_path: Path) -> None:
    if started.name == "sync":
        pytest.skip("a call has ended when submit returns")
    opened = str(tmp_path / "open")
    with tasks(started, queue_capacity=3, on_full="raise") as executor:
        held = [executor.submit(gate, opened) for _ in range(executor.slots)]
        wait_for(lambda: executor.get_stats().active_threads == executor.slots)
        waiting = [executor.submit(pow, 2, n) for n in range(3)]
        with pytest.raises(QueueFullError) as caught:
            executor.submit(pow, 2, 9)
        assert (caught.value.queue_size, caught.value.max_size, caught.value.retryable) == (3, 3, True)
        assert waiting[1].cancel()
        assert waiting[1].cancelled()
        late = executor.submit(pow, 2, 10)
        Path(opened).touch()
        assert [waiting[0].result(LIMIT), waiting[2].result(LIMIT), late.result(LIMIT)] == [1, 4, 1024]
        assert all(future.result(LIMIT) is None for future in held)
        assert not waiting[0].cancel()
        stats = executor.get_stats()
        assert (stats.cancelled_tasks, stats.rejected_tasks, stats.submitted_tasks) == (1, 1, executor.slots + 4)


def test_a_failed_attempt_is_followed_by_another_one(started: Executor, tmp_path: Path) -> None:
    path = str(tmp_path / "attempts")

    def flaky() -> int:
        note(path, "x")
        with open(path) as file:
            attempts = len(file.readlines())
        if attempts < 3:
            raise ConnectionError(f"attempt {attempts}")
        return attempts

    with tasks(started) as executor:
        future = executor.submit_with(retries=Retry(5, delay=0.01))(flaky)
        assert future.result(LIMIT) == 3
        stats = executor.get_stats()
        assert (stats.completed_tasks, stats.failed_tasks, stats.retries) == (1, 0, 2)
        log = [(move.to.value, move.attempt) for move in executor.history(future)]
        assert log == [
            ("pending", 1),
            ("processing", 1),
            ("failed", 1),
            ("pending", 2),
            ("processing", 2),
            ("failed", 2),
            ("pending", 3),
            ("processing", 3),
            ("completed", 3),
        ]
        gone = executor.submit_with(retries=Retry(2, delay=0.01))(fail, "always")
        assert isinstance(gone.exception(LIMIT), KeyError)
        assert executor.get_stats().retries == 4


def test_a_dead_worker_takes_one_call_and_a_retry_brings_it_back(started: Executor, tmp_path: Path) -> None:
    if not started.capabilities.survives_worker_death:
        pytest.skip("its workers are threads of this process")
    path = str(tmp_path / "attempts")

    def die_once() -> str:
        first = not os.path.exists(path)
        note(path, "x")
        if first:
            os._exit(3)
        return "here"

    with tasks(started) as executor:
        assert isinstance(executor.submit(os._exit, 3).exception(LIMIT), WorkerKilled)
        future = executor.submit_with(retries=Retry(3, delay=0.01, on=WorkerKilled))(die_once)
        assert future.result(LIMIT) == "here"
        assert executor.submit(pow, 2, 3).result(LIMIT) == 8


def test_a_rate_limit_spreads_the_starts(started: Executor) -> None:
    with tasks(started, rate_limit=(10, 1.0)) as executor:
        began = time.monotonic()
        futures = [executor.submit(pow, 2, n) for n in range(6)]
        assert [future.result(LIMIT) for future in futures] == [2**n for n in range(6)]
        assert time.monotonic() - began >= 0.45
        moves = [move.at for move in executor.history() if move.to.value == "processing"]
        assert all(later - earlier >= 0.09 for earlier, later in pairwise(moves))


def test_a_batch_gives_each_call_its_own_end(started: Executor) -> None:
    with tasks(started) as executor:
        calls: list[tuple[Any, ...]] = [(pow, 2, 5), (fail, "one"), (pow, 2, 6)]
        first, second, third = executor.submit_batch(calls, batch_size=2)
        assert (first.result(LIMIT), third.result(LIMIT)) == (32, 64)
        assert isinstance(second.exception(LIMIT), KeyError)
        assert executor.get_stats().submitted_tasks == 2


def test_what_the_standard_library_waits_with_works(started: Executor) -> None:
    with tasks(started) as executor:
        futures = [executor.submit(pow, 2, n) for n in range(8)]
        done, pending = concurrent.futures.wait(futures, LIMIT)
        assert (len(done), pending) == (8, set())
        assert {future.result() for future in concurrent.futures.as_completed(futures, LIMIT)} == {
            2**n for n in range(8)
        }
        assert [future.result() for future in executor.wait(futures)] == [2**n for n in range(8)]
        assert list(executor.map(pow, [2, 3], [3, 2])) == [8, 9]


def test_an_executor_given_stays_open_and_nothing_is_left(started: Executor) -> None:
    with tasks(started) as executor:
        executor.submit(pow, 2, 3).result(LIMIT)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 2, 3)
    assert started.submit(pow, 2, 3).result(LIMIT) == 8


def test_usage_is_told(started: Executor) -> None:
    with tasks(started) as executor:
        executor.get_cpu_usage()
        deadline = time.monotonic() + LIMIT
        futures = [executor.submit(_spin, 0.6) for _ in range(executor.slots)]
        for future in futures:
            future.result(LIMIT)
        assert time.monotonic() < deadline
        assert 0 < executor.get_cpu_usage() <= 100
        assert executor.get_memory_usage() > 10_000_000


def _spin(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_submits_from_many_threads_are_all_counted(started: Executor) -> None:
    with tasks(started) as executor:
        found: list[Any] = []

        def submit(number: int) -> None:
            found.extend(executor.submit(divmod, number, n) for n in range(1, 26))

        threads = [threading.Thread(target=submit, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        concurrent.futures.wait(found, LIMIT)
        stats = executor.get_stats()
        assert (stats.submitted_tasks, stats.completed_tasks) == (100, 100)


def test_a_hundred_executors_leave_nothing_behind() -> None:
    def run() -> None:
        with TaskExecutor("sync", rate_limit=10_000) as executor:
            assert executor.submit_with(retries=1)(pow, 2, 3).result() == 8

    run()
    with no_leaks(patience=10):
        for _ in range(100):
            run()
