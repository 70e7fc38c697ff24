from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipe_core import PipeError
from pipe_core.runtime.loops import LoopThread, shared_loop
from pipe_core.runtime.run_loop import LoopLeft


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    loop = LoopThread()
    yield loop
    loop.close()


async def echo(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


def test_a_coroutine_runs_on_a_thread_of_the_loop_s_own(loop: LoopThread) -> None:
    async def where() -> tuple[str, bool]:
        thread = threading.current_thread()
        return thread.name, thread.daemon

    assert loop.run(where()) == ("pipe-loop", True)


def test_many_threads_use_one_loop(loop: LoopThread) -> None:
    """They meet at a barrier of the loop, so none of them blocks it."""
    barrier = asyncio.Barrier(8)

    async def meet(value: int) -> int:
        await barrier.wait()
        return value

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda value: loop.run(meet(value)), range(8), timeout=20)) == list(range(8))


def test_the_thread_is_started_when_it_is_first_needed() -> None:
    before = threading.active_count()
    loop = LoopThread()
    assert threading.active_count() == before
    assert loop.run(echo(1)) == 1
    assert threading.active_count() == before + 1
    loop.close()

    assert threading.active_count() == before


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(2), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()], ids=repr
)
def test_whatever_a_coroutine_raises_is_raised_to_the_caller(loop: LoopThread, error: BaseException) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # its identity is asserted
        loop.run(fail(error))

    assert caught.value is error
    assert loop.run(echo(1)) == 1


@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt()], ids=repr)
def test_the_loop_outlives_a_task_that_would_end_it(loop: LoopThread, error: BaseException) -> None:
    async def starts() -> None:
        await asyncio.get_running_loop().create_task(fail(error))

    with pytest.raises(type(error)):
        loop.run(starts())
    assert loop.run(echo(1)) == 1


def test_a_coroutine_that_would_wait_for_its_own_loop_is_told(loop: LoopThread) -> None:
    async def outer() -> None:
        loop.run(echo(1))

    with pytest.raises(PipeError, match="Use await"):
        loop.run(outer())
    assert loop.run(echo(1)) == 1


def test_closing_cancels_what_is_left_and_joins_the_thread() -> None:
    loop, ended = LoopThread(), []

    async def start() -> None:
        async def forever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(threading.current_thread().name)

        begun.append(asyncio.create_task(forever()))
        await asyncio.sleep(0)

    begun: list[asyncio.Task[None]] = []
    loop.run(start())
    thread = loop._thread
    assert thread is not None
    loop.close()

    assert ended == ["pipe-loop"]
    assert begun[0].cancelled()
    assert not thread.is_alive()


def ends_who_waits(loop: LoopThread, end: Callable[[], object]) -> None:
    """*end* cancels what runs on *loop*, for which another thread waits."""
    running = threading.Event()

    async def forever() -> None:
        running.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: loop.run(forever()))
        assert running.wait(20)
        end()
        assert isinstance(waiting.exception(timeout=20), concurrent.futures.CancelledError)


def test_closing_ends_those_who_wait() -> None:
    loop = LoopThread()
    ends_who_waits(loop, loop.close)


def test_closing_finishes_asynchronous_generators() -> None:
    loop, closed = LoopThread(), []
    generators = []

    async def generator() -> Any:
        try:
            yield 1
        finally:
            closed.append(True)

    async def begin() -> None:
        generators.append(generator())
        await anext(generators[0])

    loop.run(begin())
    loop.close()

    assert closed == [True]


def test_a_loop_may_be_closed_twice_and_used_again() -> None:
    loop = LoopThread()
    loop.close()
    assert loop.run(echo(1)) == 1
    loop.close()
    loop.close()
    assert loop.run(echo(2)) == 2
    loop.close()


def test_somebody_else_s_loop_is_used_and_left_open() -> None:
    async def main() -> bool:
        mine = asyncio.get_running_loop()
        loop = LoopThread(mine)

        async def where() -> bool:
            return asyncio.get_running_loop() is mine

        found = await asyncio.to_thread(lambda: loop.run(where()))
        loop.close()
        return found and not mine.is_closed() and mine.is_running()

    assert asyncio.run(main())


def test_what_runs_may_be_cancelled_from_another_thread(loop: LoopThread) -> None:
    ends_who_waits(loop, loop.cancel)
    assert loop.run(echo(1)) == 1


class Cleaning:
    """A call that awaits in its clean-up, until `go_on` is set."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.ending = threading.Event()
        self.cleaned: list[str] = []
        self.go_on: asyncio.Event | None = None

    async def __call__(self) -> None:
        self.go_on = asyncio.Event()
        try:
            self.running.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self.nested())
        finally:
            await asyncio.sleep(0)
            self.cleaned.append("outer")

    async def nested(self) -> None:
        assert self.go_on is not None
        try:
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            await self.go_on.wait()
            self.cleaned.append("inner")


def cancelled(loop: LoopThread, call: Cleaning, pool: ThreadPoolExecutor) -> None:
    waiting = pool.submit(lambda: loop.run(call()))
    assert call.running.wait(20)
    loop.cancel()
    assert isinstance(waiting.exception(timeout=20), concurrent.futures.CancelledError)
    assert call.ending.wait(20)


def test_closing_lets_what_was_cancelled_clean_up() -> None:
    loop, call = LoopThread(), Cleaning()
    with ThreadPoolExecutor(1) as pool:
        cancelled(loop, call, pool)
        assert call.go_on is not None
        loop.loop.call_later(0.1, call.go_on.set)
        loop.close()
    assert call.cleaned == ["inner", "outer"]


def test_a_clean_up_that_does_not_end_is_cancelled_in_the_end() -> None:
    loop, call = LoopThread(), Cleaning()
    with ThreadPoolExecutor(1) as pool:
        cancelled(loop, call, pool)
        loop.close()
    assert call.cleaned == ["outer"]


def test_settling_waits_for_the_clean_up_of_what_was_cancelled(loop: LoopThread) -> None:
    call = Cleaning()
    with ThreadPoolExecutor(1) as pool:
        loop.settle()  # nothing runs
        cancelled(loop, call, pool)
        assert call.go_on is not None
        loop.loop.call_later(0.1, call.go_on.set)
        loop.settle()
        assert call.cleaned == ["inner", "outer"]


def test_what_was_on_a_loop_that_is_left_cleans_up_when_it_can() -> None:
    loop, call, blocks, released = LoopThread(), Cleaning(), threading.Event(), threading.Event()

    def block() -> None:
        blocks.set()
        released.wait(20)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: loop.run(call()))
        assert call.running.wait(20)
        assert call.go_on is not None
        own, thread = loop.loop, loop._thread
        own.call_soon_threadsafe(block)
        assert blocks.wait(20)
        loop.leave()
        assert isinstance(waiting.exception(timeout=20), LoopLeft)
        own.call_soon_threadsafe(own.call_later, 0.1, call.go_on.set)
        released.set()
        assert thread is not None
        thread.join(20)
        assert not thread.is_alive()
    assert call.cleaned == ["inner", "outer"]


def test_nothing_but_clean_up_starts_while_it_is_being_stopped() -> None:
    loop = LoopThread(stopping=lambda: True)
    try:
        with pytest.raises(concurrent.futures.CancelledError):
            loop.run(echo(1))
        assert loop.run(echo(2), cleanup=True) == 2
    finally:
        loop.close()


def test_a_process_has_one_shared_loop() -> None:
    assert shared_loop() is shared_loop()
    assert shared_loop().run(echo(3)) == 3
