"""Coroutines and other calls side by side: how many at once, where they run, how they are given up, how they end."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from threading import Event, Thread
from typing import Any

import pytest

from pipe_asyncio import AsyncIOExecutor
from pipe_asyncio.backend import AsyncIOBackend
from pipe_core import UnsupportedCapabilityError
from pipe_core.testing.leaks import no_leaks

PATIENCE = 20


def ours() -> list[Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pipe-asyncio")]


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


class Held:
    """Calls of one kind that run until they are let go, and how many of them ran at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._gate = Event()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def _enter(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self._changed.notify_all()

    def _leave(self) -> None:
        with self._lock:
            self.now -= 1

    def sync(self) -> str:
        self._enter()
        assert self._gate.wait(PATIENCE)
        self._leave()
        return "sync"

    async def coroutine(self) -> str:
        self._enter()
        while not self._gate.is_set():  # noqa: ASYNC110  # the gate is opened by another thread
            await asyncio.sleep(0.001)
        self._leave()
        return "coroutine"

    def wait_for(self, number: int) -> None:
        with self._lock:
            assert self._changed.wait_for(lambda: self.now == number, PATIENCE)

    def let_go(self) -> None:
        self._gate.set()


# --- how many at once ---


def test_both_kinds_have_a_limit_of_their_own() -> None:
    waiting, running = Held(), Held()
    with AsyncIOExecutor(concurrency=6, max_workers=2) as executor:
        assert executor.slots == 6
        coroutines = [executor.submit(waiting.coroutine) for _ in range(3)]
        calls = [executor.submit(running.sync) for _ in range(3)]
        waiting.wait_for(3)
        running.wait_for(2)
        waiting.let_go()
        running.let_go()
        assert [future.result(PATIENCE) for future in coroutines] == ["coroutine"] * 3
        assert [future.result(PATIENCE) for future in calls] == ["sync"] * 3
    assert (waiting.most, running.most) == (3, 2)


def test_no_more_coroutines_than_its_concurrency_run_at_once() -> None:
    held = Held()
    with AsyncIOExecutor(concurrency=2, max_workers=5) as executor:
        assert executor.slots == 5
        futures = [executor.submit(held.coroutine) for _ in range(4)]
        held.wait_for(2)
        assert executor.submit(abs, -1).result(PATIENCE) == 1  # of the other kind there is room
        futures += [executor.submit(held.coroutine) for _ in range(5)]
        held.let_go()
        assert [future.result(PATIENCE) for future in futures] == ["coroutine"] * 9
    assert held.most == 2


@pytest.mark.parametrize(
    ("given", "slots"),
    [({}, 10), ({"concurrency": 3}, 3), ({"max_workers": 4}, 4), ({"concurrency": 30, "max_workers": 4}, 30)],
)
def test_what_is_not_said_follows_what_is(given: dict[str, int], slots: int) -> None:
    held = Held()
    with AsyncIOExecutor(**given) as executor:
        assert executor.slots == slots
        futures = [executor.submit(held.coroutine) for _ in range(slots)]
        held.wait_for(slots)
        held.let_go()
        assert len([future.result(PATIENCE) for future in futures]) == slots


def test_a_thread_that_waits_does_not_hold_up_a_coroutine() -> None:
    held = Held()
    with AsyncIOExecutor(concurrency=2, max_workers=1) as executor:
        blocked = executor.submit(held.sync)
        held.wait_for(1)
        assert list(executor.map(double, range(20))) == [2 * i for i in range(20)]
        held.let_go()
        assert blocked.result(PATIENCE) == "sync"


# --- where they run ---


def test_coroutines_share_one_loop_that_nothing_else_blocks() -> None:
    async def where() -> tuple[int, asyncio.AbstractEventLoop]:
        return threading.get_ident(), asyncio.get_running_loop()

    held = Held()
    with AsyncIOExecutor(concurrency=3) as executor:
        executor.submit(held.sync)
        held.wait_for(1)
        places = {executor.submit(where).result(PATIENCE) for _ in range(5)}
        held.let_go()
        assert len(places) == 1
        assert executor.submit(threading.get_ident).result() not in {thread for thread, _ in places}


def test_a_loop_that_is_given_runs_the_coroutines_and_goes_on() -> None:
    async def main() -> None:
        here = asyncio.get_running_loop()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)  # the ticker's own pace

        async def where() -> bool:
            await asyncio.sleep(0.1)
            return asyncio.get_running_loop() is here

        ticker = asyncio.create_task(tick())
        async with AsyncIOExecutor(loop=here) as executor:
            results = [here.run_in_executor(executor, where) for _ in range(30)]
            assert await asyncio.gather(*results) == [True] * 30
            assert await here.run_in_executor(executor, threading.current_thread) is not threading.current_thread()
        assert here.is_running()
        assert ticks > 5
        ticker.cancel()

    with no_leaks():
        asyncio.run(main())


def test_a_loop_that_ended_is_named_as_the_reason() -> None:
    async def loop_of() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    with AsyncIOExecutor(loop=asyncio.run(loop_of())) as executor:
        assert executor.submit(abs, -1).result(PATIENCE) == 1
        with pytest.raises(RuntimeError, match=r"event loop of 'asyncio' is closed.*asyncio\.run"):
            executor.submit(double, 1).result(PATIENCE)
        assert executor.submit(abs, -1).result(PATIENCE) == 1


def test_a_call_whose_loop_ends_under_it_is_cancelled() -> None:
    executors = []

    async def main() -> Future[Any]:
        begun = asyncio.Event()

        async def hang() -> None:
            begun.set()
            await asyncio.Event().wait()

        executors.append(AsyncIOExecutor(loop=asyncio.get_running_loop()))
        future = executors[0].submit(hang)
        await begun.wait()
        return future

    future = asyncio.run(main())
    with pytest.raises(CancelledError, match="loop cancelled"):
        future.result(PATIENCE)
    executors[0].shutdown()


@pytest.mark.parametrize("kind", ["sync", "coroutine"])
def test_calls_see_the_context_of_their_submit_and_keep_what_they_set_to_themselves(kind: str) -> None:
    who = contextvars.ContextVar("who", default="nobody")

    def swap() -> str:
        before = who.get()
        who.set("a call")
        return before

    async def swap_async() -> str:
        await asyncio.sleep(0)
        return swap()

    with AsyncIOExecutor(concurrency=1) as executor:
        call: Callable[[], Any] = swap if kind == "sync" else swap_async
        who.set("one")
        first = executor.submit(call)
        who.set("two")
        second = executor.submit(call)
        assert (first.result(PATIENCE), second.result(PATIENCE)) == ("one", "two")
        assert who.get() == "two"


# --- what they leave alone ---


@pytest.mark.parametrize("kind", ["sync", "coroutine"])
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), ValueError("no")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_call_raises_the_others_go_on(error: BaseException, kind: str) -> None:
    def fail() -> None:
        raise error

    async def fail_async() -> None:
        await asyncio.sleep(0)
        raise error

    held = Held()
    with AsyncIOExecutor(concurrency=3) as executor:
        beside = executor.submit(held.coroutine)
        call: Callable[[], Any] = fail if kind == "sync" else fail_async
        with pytest.raises(type(error)):
            executor.submit(call).result(PATIENCE)
        held.let_go()
        assert beside.result(PATIENCE) == "coroutine"


def test_nothing_idle_keeps_a_result_alive() -> None:
    class Large:
        pass

    async def make() -> Large:
        return Large()

    with AsyncIOExecutor(concurrency=1) as executor:
        for call in (Large, make):
            large = weakref.ref(executor.submit(call).result())
            executor.submit(double, 1).result()
            executor.submit(abs, 1).result()
            assert large() is None


def test_calls_from_many_threads_run_once_each() -> None:
    ran: list[tuple[int, int]] = []

    async def append(item: tuple[int, int]) -> None:
        ran.append(item)

    def submit(number: int) -> None:
        for i in range(100):
            executor.submit(append if i % 2 else ran.append, (number, i))

    with AsyncIOExecutor(concurrency=3) as executor:
        submitters = [Thread(target=submit, args=[number]) for number in range(8)]
        for thread in submitters:
            thread.start()
        for thread in submitters:
            thread.join()
    assert sorted(ran) == [(number, i) for number in range(8) for i in range(100)]


# --- a call that hangs ---


@pytest.mark.parametrize("stubborn", [False, True], ids=["heeds", "stubborn"])
def test_a_coroutine_that_is_given_up_is_cancelled_and_leaves_its_place(stubborn: bool) -> None:
    begun, cancelled = Event(), Event()
    ends: list[asyncio.Event] = []

    async def hang() -> str:
        ends.append(asyncio.Event())
        begun.set()
        try:
            await ends[0].wait()
        except asyncio.CancelledError:
            cancelled.set()
            if not stubborn:
                raise
            await ends[0].wait()
        return "late"

    async def let_go() -> None:
        ends[0].set()

    with no_leaks(), AsyncIOExecutor(concurrency=1) as executor:
        hung = executor.submit(hang)
        waiting = executor.submit(double, 1)
        assert begun.wait(PATIENCE)
        assert executor.give_up(hung, TimeoutError("too long"))
        assert waiting.result(PATIENCE) == 2
        assert cancelled.wait(PATIENCE)
        executor.submit(let_go).result(PATIENCE)
        with pytest.raises(TimeoutError, match="too long"):
            hung.result()


def test_a_thread_that_hangs_leaves_its_place() -> None:
    held = Held()
    with no_leaks(), AsyncIOExecutor(max_workers=1) as executor:
        hung = executor.submit(held.sync)
        waiting = executor.submit(abs, -1)
        held.wait_for(1)
        (left_behind,) = ours()
        assert executor.give_up(hung, TimeoutError())
        assert waiting.result(PATIENCE) == 1
        assert executor.submit(threading.current_thread).result(PATIENCE) is not left_behind
        held.let_go()
        left_behind.join(PATIENCE)
        assert not left_behind.is_alive()
        assert executor.submit(threading.current_thread).result(PATIENCE) is not left_behind
        assert isinstance(hung.exception(), TimeoutError)


def test_a_call_that_waits_for_a_thread_can_be_given_up_and_never_runs() -> None:
    held, ran = Held(), Event()
    with AsyncIOExecutor(concurrency=3, max_workers=1) as executor:
        first, second, third = executor.submit(held.sync), executor.submit(ran.set), executor.submit(abs, -1)
        held.wait_for(1)
        assert executor.give_up(second, TimeoutError())
        held.let_go()
        assert (first.result(PATIENCE), third.result(PATIENCE)) == ("sync", 1)
    assert not ran.is_set()


# --- how it ends ---


def test_a_hundred_rounds_leave_nothing_behind() -> None:
    with no_leaks():
        for _ in range(100):
            with AsyncIOExecutor(concurrency=2) as executor:
                assert list(executor.map(double, range(3))) == [0, 2, 4]
                assert list(executor.map(abs, range(3))) == [0, 1, 2]


@pytest.mark.parametrize("call", [abs, double])
def test_a_callback_may_shut_down_without_waiting(call: Callable[[int], Any]) -> None:
    executor = AsyncIOExecutor()
    closed = Event()

    def close(future: Future[Any]) -> None:
        executor.shutdown(wait=False)
        closed.set()

    with no_leaks():
        executor.submit(call, 1).add_done_callback(close)
        assert closed.wait(PATIENCE)
        executor.shutdown()
    assert ours() == []


def test_terminate_cancels_coroutines_and_waits_for_nothing() -> None:
    held, hung = Held(), Held()
    executor = AsyncIOExecutor()
    with no_leaks():
        coroutine, call = executor.submit(held.coroutine), executor.submit(hung.sync)
        held.wait_for(1)
        hung.wait_for(1)
        executor.terminate()
        with pytest.raises(CancelledError):
            coroutine.result(PATIENCE)
        assert not call.done()
        hung.let_go()
        assert call.result(PATIENCE) == "sync"


def test_the_executors_own_loop_cleans_up_behind_the_calls() -> None:
    cleaned = Event()
    tasks: list[Awaitable[None]] = []

    async def leave_a_task() -> None:
        async def background() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.set()

        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)

    with no_leaks(), AsyncIOExecutor() as executor:
        executor.submit(leave_a_task).result(PATIENCE)
    assert cleaned.is_set()


@pytest.mark.parametrize(
    "hang", ["def hang():\n    runs.set()\n    never.wait()", "async def hang():\n    runs.set()\n    never.wait()"]
)
def test_what_hangs_does_not_keep_the_interpreter(hang: str) -> None:
    script = f"""
import threading
from pipe_asyncio import AsyncIOExecutor
executor = AsyncIOExecutor(concurrency=2)
runs, never = threading.Event(), threading.Event()
{hang}
hung = executor.submit(hang)
runs.wait()
print(executor.submit(abs, -1).result())
executor.terminate()
print("end")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\nend\n", "")


def test_where_there_are_no_threads_to_be_had_the_calls_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with AsyncIOExecutor() as executor:
        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(abs, -1).result(PATIENCE)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(double, 1).result(PATIENCE)
        assert executor.submit(abs, -1).result(PATIENCE) == 1
        assert executor.submit(double, 1).result(PATIENCE) == 2


@pytest.mark.parametrize(("method", "args"), [("kill", [0]), ("put", ["", b""])])
def test_what_it_cannot_do_is_refused(method: str, args: list[Any]) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="asyncio"):
        getattr(AsyncIOBackend(), method)(*args)
