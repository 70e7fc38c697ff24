"""`TaskExecutor` on threads: admission, permits, limits of time, nesting, and its end."""

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
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest

from pipe_core import (
    CircuitBreaker,
    CircuitOpenError,
    DeadlockError,
    OptionsError,
    QueueFullError,
    Retention,
    Retry,
    TaskExecutor,
    TaskPriority,
    TaskTimeoutError,
    UnsupportedCapabilityError,
)

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif("threads" not in entry_points(group="pipe_core.executors").names, reason="threads is missing"),
]
LIMIT = 30.0


class Held:
    """A call that runs until it is let go."""

    def __init__(self, executor: TaskExecutor) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.future = executor.submit(self._run)
        assert self.begun.wait(LIMIT)

    def _run(self) -> str:
        self.begun.set()
        assert self.go.wait(LIMIT)
        return "held"


@pytest.fixture
def one() -> Iterator[TaskExecutor]:
    """One worker."""
    with TaskExecutor(max_workers=1) as executor:
        yield executor


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


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
        held = Held(executor)
        waiting = [executor.submit(int, str(n)) for n in range(2)]
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(executor.submit(int, "9")))
        thread.start()
        time.sleep(0.1)
        assert not found, "there was no room"
        waiting[0].cancel()
        thread.join(LIMIT)
        assert len(found) == 1
        held.go.set()
        assert (waiting[1].result(LIMIT), found[0].result(LIMIT)) == (1, 9)


def test_a_submit_that_waits_ends_when_the_executor_does() -> None:
    executor = TaskExecutor(max_workers=1, queue_capacity=1)
    held = Held(executor)
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
    held.go.set()
    thread.join(LIMIT)
    assert "after shutdown" in str(errors[0])


def test_the_caller_runs_what_has_no_room() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=1, on_full="caller_runs") as executor:
        held = Held(executor)
        executor.submit(int)
        assert executor.submit(threading.get_ident).result(0) == threading.get_ident()
        held.go.set()
    stats = executor.get_stats()
    assert (stats.submitted_tasks, stats.completed_tasks) == (3, 3)


def test_the_oldest_is_dropped() -> None:
    with TaskExecutor(max_workers=1, queue_capacity=2, on_full="drop_oldest") as executor:
        held = Held(executor)
        waiting = [executor.submit(int, str(n)) for n in range(4)]
        held.go.set()
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
        loop = asyncio.get_running_loop()
        ticks = 0
        held.go.set()
        result = asyncio.ensure_future(asyncio.wrap_future(waiting))
        while not result.done():
            ticks += 1
            await asyncio.sleep(0)
        assert await loop.run_in_executor(executor, pow, 2, 5) == 32
        return ticks

    with TaskExecutor(max_workers=1, queue_capacity=1, on_full=on_full) as executor:
        held = Held(executor)
        waiting = executor.submit(time.sleep, 0.1)
        assert asyncio.run(submit(executor)) > 1


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
        ({"rate_limit": -1}, "rate limit"),
        ({"max_workers": 0}, "max_workers"),
        ({"thread_stack_size": 5}, "thread_stack_size"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        TaskExecutor(**options)


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
    first, go = threading.Event(), threading.Event()

    def hang_once() -> str:
        if not first.is_set():
            first.set()
            go.wait(LIMIT)
            return "of the first attempt"
        go.set()
        time.sleep(0.2)  # the first attempt ends meanwhile
        return "of the second attempt"

    future = one.submit_with(timeout=1.0, retries=Retry(1, delay=0.01))(hang_once)
    assert future.result(LIMIT) == "of the second attempt"
    stats = one.get_stats()
    assert (stats.completed_tasks, stats.retries, stats.submitted_tasks) == (1, 1, 1)


def test_a_deadline_passes_for_those_who_wait_and_for_those_who_run(one: TaskExecutor) -> None:
    held = Held(one)
    waiting = one.submit_with(deadline=0.1)(int)
    with pytest.raises(TaskTimeoutError, match=r"int was not begun within 0\.1 s"):
        waiting.result(LIMIT)
    held.go.set()
    running = one.submit_with(deadline=0.1, retries=5)(time.sleep, 2.0)
    with pytest.raises(TaskTimeoutError, match="deadline"):
        running.result(LIMIT)
    stats = one.get_stats()
    assert (stats.aborted_tasks, stats.failed_tasks, stats.retries) == (1, 1, 0)


def test_limits_of_many_calls_that_have_ended_are_forgotten(one: TaskExecutor) -> None:
    for _ in range(2_000):
        one.submit_with(timeout=3_600.0, deadline=3_600.0)(int).result(LIMIT)
    assert len(one._expiries) < 200


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
    breaker = CircuitBreaker("api", failures=2, reset_after=0.3)
    ask = one.submit_with(breaker=breaker)
    for _ in range(2):
        assert isinstance(ask(int, "no").exception(LIMIT), ValueError)
    refused = ask(int, "1")
    with pytest.raises(CircuitOpenError, match="'api' has failed 2 times in a row"):
        refused.result(LIMIT)
    assert one.submit(int, "2").result(LIMIT) == 2, "others are not concerned"
    time.sleep(0.35)
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
    held = Held(one)
    with pytest.raises(TimeoutError):
        one.call(int, timeout=0.05)
    assert one.get_stats().cancelled_tasks == 1
    held.go.set()


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
        held = Held(one)
        assert other.submit(int, "5").result(LIMIT) == 5
        held.go.set()
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
        assert len(running) <= 2, "one is used before anything has waited"
        wait_for(lambda: len(running) == 4)
        time.sleep(0.2)
        assert len(running) == 4
        go.set()
        concurrent.futures.wait(futures, LIMIT)
        assert executor.get_stats().completed_tasks == 8
