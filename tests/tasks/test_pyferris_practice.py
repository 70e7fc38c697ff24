"""What PyFerris's document of its executor shows: integration, tuning, practice, troubles and schedulers.

`Executor` is `TaskExecutor` here. Work and waits are small; how they relate is the same.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from queue import Queue
from typing import Any

import psutil
import pytest
from held_calls import LIMIT, ON_THREADS, Gate

from pipe_core import (
    AdaptiveScheduler,
    QueueFullError,
    RoundRobinScheduler,
    TaskExecutor,
    TaskPriority,
    WorkStealingScheduler,
)
from pipe_core.runtime.cores import cores
from pipe_core.tasks.recipes import (
    create_priority_task,
    execute,
    execute_with_priority,
    recommended_workers,
    staged,
)

pytestmark = ON_THREADS


def square(n: int) -> int:
    return n**2


# --- integration ---


def test_a_loop_runs_calls_and_goes_on() -> None:
    ticked = threading.Event()

    async def async_with_executor() -> int:
        executor = TaskExecutor(max_workers=4)
        loop = asyncio.get_event_loop()

        def cpu_bound_task(n: int) -> int:
            assert ticked.wait(LIMIT), "the loop stands still"
            return sum(i * i for i in range(n))

        async def tick() -> None:
            ticked.set()

        result, _ = await asyncio.gather(loop.run_in_executor(executor, cpu_bound_task, 1000), tick())
        executor.shutdown()
        return result

    assert asyncio.run(async_with_executor()) == 332_833_500


def process_stage1(data: int) -> int:
    return data * 2


def process_stage2(data: int) -> int:
    return data + 1


def test_a_pipeline_of_two_stages_keeps_the_order() -> None:
    with TaskExecutor(max_workers=6) as executor:
        input_queue: Queue[int | None] = Queue()
        output_queue: Queue[Any] = Queue()

        def stage1_processor() -> None:
            while (item := input_queue.get()) is not None:
                result = executor.submit(process_stage1, item).result()
                output_queue.put(executor.submit(process_stage2, result))

        pipeline_thread = threading.Thread(target=stage1_processor)
        pipeline_thread.start()
        for i in range(100):
            input_queue.put(i)
        input_queue.put(None)
        results = [output_queue.get(timeout=LIMIT).result(LIMIT) for _ in range(100)]
        pipeline_thread.join(LIMIT)
    assert results == [2 * i + 1 for i in range(100)]


def test_a_pipeline_of_two_stages_is_one_call_here() -> None:
    with TaskExecutor(max_workers=6) as executor:
        results = list(staged(executor, range(100), process_stage1, process_stage2, buffersize=12))
    assert results == [2 * i + 1 for i in range(100)]


# --- tuning ---


def test_workers_follow_the_kind_of_work() -> None:
    assert recommended_workers("cpu_bound") == cores()
    assert recommended_workers("io_bound") == cores() * 2
    assert recommended_workers("mixed") == int(cores() * 1.5)
    with TaskExecutor(max_workers=recommended_workers("cpu_bound")) as executor:
        assert executor.max_workers == cores()
    with pytest.raises(ValueError, match="'cpu_bound'"):
        recommended_workers("gpu_bound")  # type: ignore[arg-type]  # on purpose


def test_memory_is_looked_at_before_a_submit() -> None:
    waited = []

    class MemoryAwareExecutor:
        def __init__(self, max_workers: int | None = None, memory_limit_gb: float = 8) -> None:
            self.memory_limit = memory_limit_gb * 1024 * 1024 * 1024
            self.executor = TaskExecutor(max_workers=max_workers)

        def submit_with_memory_check(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if psutil.virtual_memory().used > self.memory_limit:
                waited.append(fn)
                time.sleep(0.01)
            return self.executor.submit(fn, *args, **kwargs)

    for limit, waits in ((1_000_000, 0), (0, 1)):
        memory_executor = MemoryAwareExecutor(max_workers=4, memory_limit_gb=limit)
        assert memory_executor.submit_with_memory_check(square, 5).result(LIMIT) == 25
        assert len(waited) == waits
        memory_executor.executor.shutdown()


def test_a_limit_of_memory_is_an_option_here() -> None:
    with TaskExecutor(max_workers=4, memory_limit="1000GB") as executor:
        assert executor.submit(square, 5).result(LIMIT) == 25
    with TaskExecutor(max_workers=4, memory_limit="1MB", on_full="raise") as executor:
        with pytest.raises(QueueFullError, match="in memory"):
            executor.submit(square, 5)
        assert executor.get_stats().rejected_tasks == 1


# --- best practices ---


def test_what_is_made_is_shut_down() -> None:
    executor = TaskExecutor(max_workers=8)
    try:
        futures = [executor.submit(square, i) for i in range(100)]
        results = [future.result(LIMIT) for future in futures]
    finally:
        executor.shutdown(wait=True)
    assert results == [i**2 for i in range(100)]
    executor.shutdown(wait=True)  # a second time does no harm


def test_one_task_that_fails_or_hangs_spoils_no_other() -> None:
    def robust_task_execution(
        executor: TaskExecutor, tasks: list[tuple[Callable[..., Any], tuple[Any, ...]]], timeout: float
    ) -> tuple[list[Any], list[str]]:
        futures = []
        for task_func, args in tasks:
            future = executor.submit(task_func, *args)
            futures.append((future, task_func.__name__))
        successful_results, failed_tasks = [], []
        for future, task_name in futures:
            try:
                successful_results.append(future.result(timeout=timeout))
            except TimeoutError:
                failed_tasks.append(f"{task_name} timed out")
            except Exception as error:
                failed_tasks.append(f"{task_name} failed: {error}")
        return successful_results, failed_tasks

    gate = Gate()

    def hangs() -> Any:
        return gate()

    def breaks() -> None:
        raise LookupError("it breaks")

    with TaskExecutor(max_workers=2) as executor:
        tasks: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
            (square, (2,)),
            (hangs, ()),
            (breaks, ()),
            (square, (3,)),
        ]
        found = robust_task_execution(executor, tasks, 1.0)
        gate.go.set()
    assert found == ([4, 9], ["hangs timed out", "breaks failed: it breaks"])


def test_small_tasks_go_in_batches() -> None:
    small_tasks: list[Callable[[], int]] = [lambda n=n: square(n) for n in range(250)]  # type: ignore[misc]  # a default binds n

    def process_batch(task_batch: list[Callable[[], int]]) -> list[int]:
        return [task() for task in task_batch]

    with TaskExecutor(max_workers=os.cpu_count()) as cpu_executor:
        batches = [small_tasks[i : i + 100] for i in range(0, len(small_tasks), 100)]
        futures = [cpu_executor.submit(process_batch, batch) for batch in batches]
        assert [result for future in futures for result in future.result(LIMIT)] == [n**2 for n in range(250)]
        assert cpu_executor.get_stats().submitted_tasks == 3


def test_batches_are_one_call_here() -> None:
    with TaskExecutor(max_workers=2) as executor:
        futures = list(executor.submit_batch(((square, n) for n in range(250)), batch_size=100))
        assert [future.result(LIMIT) for future in futures] == [n**2 for n in range(250)]
        assert executor.get_stats().submitted_tasks == 3


def test_a_call_is_waited_for_no_longer_than_that() -> None:
    def execute_with_timeout(
        executor: TaskExecutor, task_func: Callable[..., Any], args: tuple[Any, ...], timeout: float = 60
    ) -> Any:
        future = executor.submit(task_func, *args)
        try:
            return future.result(timeout=timeout)
        except TimeoutError:
            return None

    gate = Gate()
    with TaskExecutor(max_workers=2) as executor:
        assert execute_with_timeout(executor, square, (6,)) == 36
        assert execute_with_timeout(executor, gate, (), timeout=0.05) is None
        assert executor.call(square, 6, timeout=LIMIT) == 36
        with pytest.raises(TimeoutError):
            executor.call(gate, timeout=0.05)
        gate.go.set()


# --- troubleshooting ---


def test_a_large_set_goes_in_small_batches() -> None:
    large_dataset = list(range(95))
    results, most = [], 0
    with TaskExecutor(max_workers=2) as executor:
        for i in range(0, len(large_dataset), 10):
            futures = [executor.submit(square, item) for item in large_dataset[i : i + 10]]
            stats = executor.get_stats()
            most = max(most, stats.queued_tasks + stats.active_threads)
            results += [future.result(LIMIT) for future in futures]
    assert results == [n**2 for n in large_dataset]
    assert most <= 10


def test_a_task_that_waits_for_a_task_ends_here() -> None:
    """There it can deadlock, here a worker that waits runs what it waits for."""
    with TaskExecutor(max_workers=1) as executor:

        def bad_nested_task() -> int:
            return executor.submit(square, 7).result()

        assert executor.submit(bad_nested_task).result(LIMIT) == 49


def test_a_task_calls_another_in_line() -> None:
    def good_approach() -> int:
        return square(7)

    with TaskExecutor(max_workers=1) as executor:
        assert executor.submit(good_approach).result(LIMIT) == 49
        assert executor.get_stats().submitted_tasks == 1


def test_submitting_does_not_wait_for_the_work() -> None:
    gate = Gate()
    with TaskExecutor() as executor:
        calls = [executor.submit(gate, i) for i in range(executor.slots)]
        futures = [executor.submit(square, i) for i in range(1000)]
        assert not any(future.done() for future in [*calls, *futures]), "all were submitted before the first one ended"
        gate.go.set()
        assert [future.result(LIMIT) for future in futures] == [i**2 for i in range(1000)]


# --- the helpers of its schedulers ---


@pytest.mark.parametrize(
    "make", [lambda: None, lambda: "fifo", AdaptiveScheduler, RoundRobinScheduler, WorkStealingScheduler]
)
def test_results_come_in_the_order_of_the_tasks(make: Callable[[], Any]) -> None:
    tasks = [lambda n: -n, square, lambda n: n + 1]
    assert execute(tasks, [(3,), (3,), (3,)], scheduler=make(), max_workers=2) == [-3, 9, 4]
    assert execute([], scheduler=make()) == []


def test_every_task_wants_its_arguments() -> None:
    with pytest.raises(ValueError, match="2 tasks and 1"):
        execute([square, square], [(1,)])


def test_the_first_error_is_raised() -> None:
    def fails(error: Exception) -> None:
        raise error

    with pytest.raises(KeyError, match="first"):
        execute([square, fails, fails], [(1,), (KeyError("first"),), (OSError("second"),)])


def test_the_urgent_tasks_of_a_list_go_first() -> None:
    order: list[str] = []

    def task(name: str) -> Callable[[], str]:
        def run() -> str:
            order.append(name)
            return name

        return run

    results = execute_with_priority(
        [
            (task("low"), TaskPriority.LOW),
            create_priority_task(task("normal"), TaskPriority.NORMAL),
            create_priority_task(task("high"), TaskPriority.HIGH),
            (task("normal too"), TaskPriority.NORMAL),
        ],
        max_workers=1,
    )
    assert results == ["low", "normal", "high", "normal too"]
    assert order == ["high", "normal", "normal too", "low"]


def test_map_raises_where_the_item_stands_and_reads_no_further_than_told() -> None:
    taken: list[int] = []

    def items() -> Any:
        for n in range(100):
            taken.append(n)
            yield n

    with TaskExecutor(max_workers=2) as executor:
        results = executor.map(lambda n: 10 // (n - 3), items(), buffersize=4)
        assert [next(results) for _ in range(3)] == [-4, -5, -10]
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert len(taken) <= 8
        assert list(executor.map(pow, [2, 3, 4], [5, 2, 1], chunksize=2, timeout=LIMIT)) == [32, 9, 4]
