"""What PyFerris's document of its executor shows, block by block, with our names and the results that it states.

`Executor` is `TaskExecutor` here. Work and waits are small; how they relate is the same.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from queue import Queue
from typing import Any

import psutil
import pytest

from pipe_core import (
    AdaptiveScheduler,
    ExecutorStats,
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

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif("threads" not in entry_points(group="pipe_core.executors").names, reason="threads is missing"),
]
LIMIT = 30.0


def cpu_intensive_task(n: int) -> int:
    result = 0
    for i in range(n * 100):
        result += i
    return result


def expected(n: int) -> int:
    return sum(range(n * 100))


def square(n: int) -> int:
    return n**2


class Gate:
    """Calls that begin, and go on when they are let."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()

    def __call__(self, value: Any = None) -> Any:
        self.begun.release()
        assert self.go.wait(LIMIT)
        return value

    def hold(self, executor: TaskExecutor) -> list[Any]:
        """Keep all slots busy."""
        held = [executor.submit(self) for _ in range(executor.slots)]
        for _ in held:
            assert self.begun.acquire(timeout=LIMIT)
        return held


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
        held = [executor.submit(gate) for _ in range(9)]
        for _ in range(8):
            assert gate.begun.acquire(timeout=LIMIT)
        stats = executor.get_stats()
        assert (executor.max_workers, stats.active_threads, stats.queued_tasks) == (8, 8, 1)
        gate.go.set()
        assert executor.wait(held, timeout=LIMIT) == held


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
        gate = Gate()
        gate.hold(executor)
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
        held = executor.submit(gate)
        assert gate.begun.acquire(timeout=LIMIT)
        others = [executor.submit(square, i) for i in range(20)]  # half of them are dealt to the slot that is held
        assert [other.result(LIMIT) for other in others] == [i**2 for i in range(20)]
        assert not held.done()
        assert executor.get_stats().steals > 0
        gate.go.set()


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
        found = robust_task_execution(executor, tasks, 0.2)
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
        start_time = time.monotonic()
        held = [executor.submit(gate, i) for i in range(executor.slots)]
        futures = [executor.submit(square, i) for i in range(1000)]
        submission_time = time.monotonic() - start_time
        assert not any(future.done() for future in [*held, *futures]), "all were submitted before the first one ended"
        gate.go.set()
        assert [future.result(LIMIT) for future in futures] == [i**2 for i in range(1000)]
        total_time = time.monotonic() - start_time
    assert 0 < submission_time < total_time


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
