"""What PyFerris's document of its executor shows: constructor, usage, futures, monitoring and scheduling.

`Executor` is `TaskExecutor` here. Work and waits are small; how they relate is the same.
"""

from __future__ import annotations

import threading
import time

import psutil
import pytest
from held_calls import LIMIT, ON_THREADS, Gate, held

from pipe_core import (
    ExecutorStats,
    TaskExecutor,
    TaskPriority,
    WorkStealingScheduler,
)
from pipe_core.runtime.cores import cores

pytestmark = ON_THREADS


def cpu_intensive_task(n: int) -> int:
    result = 0
    for i in range(n * 100):
        result += i
    return result


def expected(n: int) -> int:
    return sum(range(n * 100))


def square(n: int) -> int:
    return n**2


def counted(stats: ExecutorStats) -> int:
    ended = stats.completed_tasks + stats.failed_tasks + stats.cancelled_tasks + stats.aborted_tasks
    return stats.queued_tasks + stats.active_threads + ended


# --- the constructor ---


def test_workers_are_the_cores_unless_told() -> None:
    with TaskExecutor() as executor:
        assert (executor.max_workers, executor.queue_capacity) == (cores(), 10_000)
        assert executor.submit(square, 3).result(LIMIT) == 9


def test_as_many_workers_as_told() -> None:
    gate = Gate()
    with TaskExecutor(max_workers=8) as executor:
        calls = [executor.submit(gate) for _ in range(9)]
        for _ in range(8):
            assert gate.begun.acquire(timeout=LIMIT)
        stats = executor.get_stats()
        assert (executor.max_workers, stats.active_threads, stats.queued_tasks) == (8, 8, 1)
        gate.go.set()
        assert executor.wait(calls, timeout=LIMIT) == calls


def test_an_executor_with_all_that_can_be_said() -> None:
    before = threading.stack_size()
    with TaskExecutor(max_workers=16, queue_capacity=1000, thread_stack_size=2_097_152) as executor:
        assert (executor.max_workers, executor.queue_capacity) == (16, 1000)
        assert executor.submit(square, 4).result(LIMIT) == 16
    assert threading.stack_size() == before


# --- basic usage ---


def test_single_tasks_and_several() -> None:
    with TaskExecutor(max_workers=4) as executor:
        assert executor.submit(cpu_intensive_task, 100).result(LIMIT) == expected(100)
        tasks = [executor.submit(cpu_intensive_task, i) for i in range(10, 20)]
        assert [task.result(LIMIT) for task in tasks] == [expected(i) for i in range(10, 20)]


def test_a_map_over_chunks() -> None:
    def process_data_chunk(data_chunk: list[int]) -> int:
        return sum(x**2 for x in data_chunk)

    data = list(range(10_000))
    chunks = [data[i : i + 1000] for i in range(0, len(data), 1000)]
    with TaskExecutor(max_workers=8) as executor:
        results = list(executor.map(process_data_chunk, chunks))
    assert results == [process_data_chunk(chunk) for chunk in chunks]
    assert (len(results), sum(results)) == (10, 333_283_335_000)


# --- futures ---


def test_futures_are_looked_at_waited_for_and_taken_as_they_complete() -> None:
    go = threading.Event()

    def long_running_task(duration: float, task_id: int) -> str:
        assert go.wait(LIMIT)
        time.sleep(duration)
        return f"Task {task_id} completed after {duration}s"

    with TaskExecutor() as executor:
        futures = [executor.submit(long_running_task, (i + 1) / 100, i) for i in range(5)]
        assert [future.done() for future in futures] == [False] * 5
        early = executor.wait(futures, timeout=0.02)
        assert (early, early.not_done) == ([], futures), "a wait that runs out raises nothing"
        go.set()
        completed_futures = executor.wait(futures, timeout=LIMIT)
        assert (len(completed_futures), completed_futures.not_done) == (5, [])
        results = [future.result() for future in executor.as_completed(futures)]
        assert sorted(results) == [f"Task {i} completed after {(i + 1) / 100}s" for i in range(5)]


def test_futures_come_in_the_order_in_which_they_complete() -> None:
    with TaskExecutor(max_workers=2) as executor:
        gate = Gate()
        slow = executor.submit(gate, "slow")
        quick = executor.submit(str, "quick")
        order = executor.as_completed([slow, quick], timeout=LIMIT)
        assert next(order) is quick
        gate.go.set()
        assert next(order) is slow


def test_a_context_waits_and_shuts_down() -> None:
    with TaskExecutor(max_workers=6) as executor:
        futures = [executor.submit(square, i) for i in range(100)]
        done = [future.result() for future in executor.as_completed(futures)]
    assert sorted(done) == [i**2 for i in range(100)]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)


def test_errors_come_from_the_results() -> None:
    def risky_task(value: int) -> int:
        if value % 7 == 0:
            raise ValueError(f"Value {value} is divisible by 7!")
        return value**2

    results, failed = {}, {}
    with TaskExecutor() as executor:
        futures = [executor.submit(risky_task, i) for i in range(20)]
        for i, future in enumerate(futures):
            try:
                results[i] = future.result(LIMIT)
            except ValueError as error:
                failed[i] = str(error)
    assert results == {i: i**2 for i in range(20) if i % 7}
    assert failed == {i: f"Value {i} is divisible by 7!" for i in (0, 7, 14)}


# --- monitoring ---


def test_statistics_tell_what_has_happened() -> None:
    with TaskExecutor(max_workers=8) as executor:
        futures = [executor.submit(cpu_intensive_task, i) for i in range(100)]
        stats = executor.get_stats()
        assert counted(stats) == stats.submitted_tasks == 100
        assert 0 <= stats.active_threads <= 8
        executor.wait(futures)
        stats = executor.get_stats()
    assert (stats.active_threads, stats.queued_tasks, stats.completed_tasks, stats.failed_tasks) == (0, 0, 100, 0)
    assert stats.total_execution_time > 0


def test_progress_cores_and_memory_are_watched_while_tasks_run() -> None:
    gate = Gate()
    with TaskExecutor(max_workers=4) as executor:
        futures = [executor.submit(cpu_intensive_task, 500) for _ in range(19)]
        futures.append(executor.submit(gate))  # so that there is something to watch
        seen: list[tuple[int, float, int]] = []
        while not all(future.done() for future in futures):
            stats = executor.get_stats()
            seen.append((stats.completed_tasks, executor.get_cpu_usage(), executor.get_memory_usage()))
            if len(seen) > 3:
                gate.go.set()
            time.sleep(0.01)
        assert executor.get_stats().completed_tasks == 20
    progress = [completed for completed, _, _ in seen]
    assert progress == sorted(progress)
    assert all(0.0 <= usage <= 100.0 for _, usage, _ in seen)
    assert all(2**20 < memory < psutil.virtual_memory().total for _, _, memory in seen)


# --- scheduling ---


def test_more_urgent_tasks_are_executed_first() -> None:
    order: list[str] = []
    with TaskExecutor(max_workers=4) as executor:
        high_priority_future = executor.submit(order.append, "high", priority=TaskPriority.HIGH)
        normal_future = executor.submit(order.append, "normal")
        low_priority_future = executor.submit(order.append, "low", priority=TaskPriority.LOW)
        assert len(executor.wait([high_priority_future, normal_future, low_priority_future], LIMIT)) == 3
    assert sorted(order) == ["high", "low", "normal"]

    order.clear()
    with TaskExecutor(max_workers=1) as executor:
        gate = held(executor)
        executor.submit(order.append, "low", priority=TaskPriority.LOW)
        executor.submit(order.append, "normal")
        executor.submit(order.append, "high", priority=TaskPriority.HIGH)
        gate.go.set()
    assert order == ["high", "normal", "low"]


def test_a_scheduler_that_steals_balances_mixed_work() -> None:
    def slow_task(n: int) -> int:
        time.sleep(0.01)
        return -n

    with TaskExecutor(max_workers=8, scheduler=WorkStealingScheduler()) as executor:
        mixed_tasks = [executor.submit(square, i) for i in range(50)] + [
            executor.submit(slow_task, i) for i in range(10)
        ]
        results = [task.result(LIMIT) for task in mixed_tasks]
    assert results == [i**2 for i in range(50)] + [-i for i in range(10)]


def test_no_slot_idles_while_another_has_work_to_give() -> None:
    with TaskExecutor(max_workers=2, scheduler=WorkStealingScheduler()) as executor:
        gate = Gate()
        stuck = executor.submit(gate)
        assert gate.begun.acquire(timeout=LIMIT)
        others = [executor.submit(square, i) for i in range(20)]  # half of them are dealt to its slot
        assert [other.result(LIMIT) for other in others] == [i**2 for i in range(20)]
        assert not stuck.done()
        assert executor.get_stats().steals > 0
        gate.go.set()
