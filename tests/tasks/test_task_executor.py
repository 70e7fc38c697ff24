"""`TaskExecutor` on threads: admission, what is seen from outside, and its end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import math
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

import pytest
from held_calls import LIMIT, ON_THREADS, Gate, held, wait_for

from pipe_core import (
    OptionsError,
    QueueFullError,
    Retention,
    Retry,
    TaskExecutor,
    TaskPriority,
)
from pipe_core.tasks.elastic import PATIENCE

pytestmark = ON_THREADS


# --- the keyword priority ---


def test_the_keyword_is_ours_unless_the_function_has_it(one: TaskExecutor) -> None:
    def own(priority: int = 0) -> int:
        return priority

    def any_keyword(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    assert one.submit(own, priority=7).result(LIMIT) == 7
    assert one.submit(any_keyword, priority=7).result(LIMIT) == {}
    assert one.submit(any_keyword, priority=TaskPriority.HIGH).result(LIMIT) == {}
    assert one.submit(any_keyword, priority="mine").result(LIMIT) == {"priority": "mine"}
    assert one.submit(any_keyword, priority=True).result(LIMIT) == {"priority": True}
    assert one.submit(int, "8", priority=1).result(LIMIT) == 8
    assert one.submit_with(priority=TaskPriority.LOW)(own, priority=9).result(LIMIT) == 9


@pytest.mark.parametrize("priority", [math.nan, math.inf, 10**400])
def test_a_priority_is_finite(one: TaskExecutor, priority: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        one.submit(int, priority=priority)
    assert one.get_stats().submitted_tasks == 0


def test_a_scheduler_without_priorities_refuses_them() -> None:
    with TaskExecutor(max_workers=1, scheduler="fifo") as executor:
        with pytest.raises(OptionsError, match="knows no priorities"):
            executor.submit(int, priority=TaskPriority.HIGH)
        assert executor.submit(int, "3").result(LIMIT) == 3


@pytest.mark.parametrize("scheduler", ["fifo", "priority", "work_stealing", "round_robin", "fair"])
def test_every_scheduler_runs_everything(scheduler: str) -> None:
    with TaskExecutor(max_workers=3, scheduler=scheduler) as executor:
        futures = [executor.submit_with(tags=n % 5)(pow, n, 2) for n in range(300)]
        assert [future.result(LIMIT) for future in futures] == [n**2 for n in range(300)]


# --- a full queue ---


def test_submit_waits_for_room_and_no_longer() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=2) as executor:
        gate = held(executor)
        waiting = [executor.submit(int, str(n)) for n in range(2)]
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(executor.submit(int, "9")))
        thread.start()
        time.sleep(0.1)
        assert not found, "there was no room"
        waiting[0].cancel()
        thread.join(LIMIT)
        assert len(found) == 1
        gate.go.set()
        assert (waiting[1].result(LIMIT), found[0].result(LIMIT)) == (1, 9)


def test_a_submit_that_waits_ends_when_the_executor_does() -> None:
    executor = TaskExecutor(max_workers=1, queue_capacity=1)
    gate = held(executor)
    executor.submit(int)
    errors: list[BaseException] = []

    def submit() -> None:
        try:
            executor.submit(int)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.1)
    executor.shutdown(wait=False, cancel_futures=True)
    gate.go.set()
    thread.join(LIMIT)
    assert "after shutdown" in str(errors[0])


def test_the_caller_runs_what_has_no_room() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=1, on_full="caller_runs") as executor:
        gate = held(executor)
        executor.submit(int)
        assert executor.submit(threading.get_ident).result(0) == threading.get_ident()
        gate.go.set()
    stats = executor.get_stats()
    assert (stats.submitted_tasks, stats.completed_tasks) == (3, 3)


def test_the_oldest_is_dropped() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=2, on_full="drop_oldest") as executor:
        gate = held(executor)
        waiting = [executor.submit(int, str(n)) for n in range(4)]
        gate.go.set()
        for dropped in waiting[:2]:
            with pytest.raises(QueueFullError, match="dropped to make room"):
                dropped.result(LIMIT)
        assert [future.result(LIMIT) for future in waiting[2:]] == [2, 3]
        stats = executor.get_stats()
        assert (stats.aborted_tasks, stats.completed_tasks, stats.submitted_tasks) == (2, 3, 5)
        assert [move.to.value for move in executor.history(waiting[0])] == ["pending", "aborted"]


@pytest.mark.parametrize("on_full", ["block", "caller_runs"])
def test_an_event_loop_is_never_kept_waiting(on_full: Any) -> None:
    async def submit(executor: TaskExecutor) -> int:
        with pytest.raises(QueueFullError, match="event loop"):
            executor.submit(int)
        gate.go.set()
        assert await asyncio.to_thread(last.begun.acquire, timeout=LIMIT)
        assert not waiting.done()
        last.go.set()  # nobody else does
        await asyncio.wrap_future(waiting)
        return await asyncio.get_running_loop().run_in_executor(executor, pow, 2, 5)

    with TaskExecutor(max_workers=1, queue_capacity=1, on_full=on_full) as executor:
        gate = held(executor)
        last = Gate()
        waiting = executor.submit(last)
        assert asyncio.run(submit(executor)) == 32


def test_memory_keeps_calls_out_until_there_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipe_core.tasks import usage

    used = [2_000_000_000]
    monkeypatch.setattr(usage, "resident", lambda: used[0])
    full = pytest.raises(QueueFullError, match="1907 MiB in memory, of 954")
    with TaskExecutor(max_workers=1, memory_limit="1GB", on_full="raise") as executor, full:
        executor.submit(int)
    with TaskExecutor(max_workers=1, memory_limit="1GB") as executor:
        threading.Timer(0.2, lambda: used.__setitem__(0, 1_000)).start()
        assert executor.submit(int, "4").result(LIMIT) == 4


@pytest.mark.parametrize("limit", ["8 XB", "GB", "", 0, -1, True, 1.5])
def test_a_wrong_memory_limit_is_refused(limit: Any) -> None:
    with pytest.raises(OptionsError, match="'8GB'"):
        TaskExecutor(max_workers=1, memory_limit=limit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_full": "wait"}, "'block', 'raise', 'caller_runs', 'drop_oldest'"),
        ({"queue_capacity": 0}, "queue_capacity"),
        ({"queue_capacity": True}, "queue_capacity"),
        ({"rate_limit": -1}, "rate_limit"),
        ({"max_workers": 0}, "max_workers"),
        ({"thread_stack_size": 5}, "thread_stack_size"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        TaskExecutor(**options)


# --- seen from outside ---


def test_a_pause_keeps_everything_until_it_ends(one: TaskExecutor) -> None:
    one.pause()
    futures = [one.submit(int, str(n)) for n in range(5)]
    time.sleep(0.1)
    assert one.get_stats().queued_tasks == 5
    one.resume()
    assert [future.result(LIMIT) for future in futures] == [0, 1, 2, 3, 4]


def test_call_waits_and_gives_up(one: TaskExecutor) -> None:
    assert one.call(pow, 2, 3) == 8
    gate = held(one)
    with pytest.raises(TimeoutError):
        one.call(int, timeout=0.05)
    assert one.get_stats().cancelled_tasks == 1
    gate.go.set()


def test_numbers_agree_at_any_moment() -> None:
    with TaskExecutor(max_workers=4, queue_capacity=50) as executor:
        seen, over = [], threading.Event()

        def look() -> None:
            while not over.is_set():
                seen.append(executor.get_stats())

        thread = threading.Thread(target=look)
        thread.start()
        futures = []
        for n in range(2_000):
            retries = {"retries": Retry(1, delay=0.0)} if n % 50 == 0 else {}
            future = executor.submit_with(**retries)(int, "no" if n % 10 == 0 else "1")
            if n % 7 == 0:
                future.cancel()
            futures.append(future)
        concurrent.futures.wait(futures, LIMIT)
        over.set()
        thread.join()
        for stats in seen:
            ended = stats.completed_tasks + stats.failed_tasks + stats.cancelled_tasks + stats.aborted_tasks
            assert stats.submitted_tasks == stats.queued_tasks + stats.active_threads + ended
        end = executor.get_stats()
        assert (end.queued_tasks, end.active_threads) == (0, 0)
        assert end.cancelled_tasks == sum(future.cancelled() for future in futures)
        assert end.failed_tasks == sum(not f.cancelled() and f.exception() is not None for f in futures)


def test_a_call_is_counted_before_its_future_is_done(one: TaskExecutor) -> None:
    counts = []
    for _ in range(199):
        future = one.submit(int)
        future.add_done_callback(lambda _: counts.append(one.get_stats().completed_tasks))
        future.result(LIMIT)
    wait_for(lambda: len(counts) == 199)
    assert counts == list(range(1, 200))


def test_ended_calls_are_kept_as_long_as_was_said() -> None:
    from pipe_core.runtime.ledger import TaskStatus

    with TaskExecutor(max_workers=1, retention=Retention(count=3, keep_failed=True)) as executor:
        for n in range(10):
            executor.submit(int, "no" if n == 2 else str(n)).exception(LIMIT)
        wait_for(lambda: executor.get_stats().completed_tasks == 9)
        ledger = executor.ledger
        assert ledger.count(TaskStatus.FAILED) == 1
        assert ledger.count(TaskStatus.COMPLETED) in (2, 3)


def test_a_future_keeps_nothing_but_its_result(one: TaskExecutor) -> None:
    class Big:
        pass

    big = Big()
    seen = weakref.ref(big)
    future = one.submit(id, big)
    future.result(LIMIT)
    del big
    wait_for(lambda: future.done() and one.get_stats().active_threads == 0)
    deadline = time.monotonic() + LIMIT
    while seen() is not None and time.monotonic() < deadline:
        one.submit(int).result(LIMIT)  # an idle thread lets go of its last call
    gc.collect()
    assert seen() is None


# --- the end ---


FORGOTTEN = """
import threading, time
from pipe_core import TaskExecutor
executor = TaskExecutor(max_workers=2)
futures = [executor.submit(time.sleep, 0.01) for _ in range(20)]
futures[-1].add_done_callback(lambda future: print("all of them"))
"""


def test_an_executor_that_nobody_shuts_down_ends_what_it_has() -> None:
    done = subprocess.run([sys.executable, "-c", FORGOTTEN], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("all of them\n", "")


def test_two_executors_share_nothing() -> None:
    with TaskExecutor(max_workers=1) as one, TaskExecutor(max_workers=1) as other:
        gate = held(one)
        assert other.submit(int, "5").result(LIMIT) == 5
        gate.go.set()
    with TaskExecutor(max_workers=1) as again:
        assert again.submit(int, "6").result(LIMIT) == 6


def test_nothing_is_submitted_after_the_end(one: TaskExecutor) -> None:
    one.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        one.submit(int)
    with pytest.raises(RuntimeError, match="after shutdown"):
        one.map(int, ["1"])
    with pytest.raises(TypeError, match="something to call"):
        one.submit(3)  # type: ignore[arg-type]  # on purpose


def test_workers_follow_the_work() -> None:
    with TaskExecutor(max_workers=(1, 4)) as executor:
        go, running = threading.Event(), []

        def work() -> None:
            running.append(threading.get_ident())
            go.wait(LIMIT)

        futures = [executor.submit(work) for _ in range(8)]
        wait_for(lambda: len(running) == 4)
        came, *_ = (move.at for move in executor.history() if move.to.value == "pending")
        began = [move.at for move in executor.history() if move.to.value == "processing"]
        assert all(at - came >= n * PATIENCE - 0.001 for n, at in enumerate(began)), "one more for each wait"
        time.sleep(0.2)
        assert len(running) == 4
        go.set()
        concurrent.futures.wait(futures, LIMIT)
        assert executor.get_stats().completed_tasks == 8
