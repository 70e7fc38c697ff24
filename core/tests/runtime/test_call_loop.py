from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import Any

import pytest

from pipe_core import Executor
from pipe_core.kernel.contracts import Outcome
from pipe_core.runtime import call_loop
from pipe_core.runtime.wire import open_answer, pack_call, run_frame


def answered(fn: Any, *args: Any) -> Outcome:
    return open_answer(run_frame(pack_call(fn, args, {})))


async def loop_id() -> int:
    return id(asyncio.get_running_loop())


def test_all_calls_of_a_worker_share_a_loop(processes: Executor) -> None:
    async def where() -> tuple[int, int]:
        return os.getpid(), id(asyncio.get_running_loop())

    seen = [processes.submit(where).result() for _ in range(20)]

    assert len(set(seen)) == len({process for process, _ in seen})


def test_what_a_call_binds_to_the_loop_is_good_in_the_next(processes: Executor) -> None:
    async def locked() -> bool:
        import builtins

        lock = vars(builtins).setdefault("_lock_of_this_test", asyncio.Lock())
        waiter = asyncio.create_task(lock.acquire())
        await waiter
        second = asyncio.create_task(lock.acquire())  # waits, which ties the lock to its loop
        await asyncio.sleep(0)
        lock.release()
        await second
        lock.release()
        return True

    assert all(processes.submit(locked).result() for _ in range(6))


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, ValueError])
def test_whatever_a_coroutine_raises_the_loop_goes_on(kind: type[BaseException]) -> None:
    async def raising() -> None:
        await asyncio.sleep(0)
        raise kind("x")

    before = answered(loop_id).value
    error = answered(raising).error

    assert type(error) is kind
    assert error.args == ("x",)
    assert answered(loop_id).value == before


def test_a_task_that_exits_ends_the_call_and_not_the_worker(processes: Executor) -> None:
    async def exits() -> None:
        async def leave() -> None:
            raise SystemExit(3)

        asyncio.get_running_loop().create_task(leave())
        await asyncio.sleep(10)

    async def fine() -> int:
        await asyncio.sleep(0)
        return 1

    assert isinstance(processes.submit(exits).exception(), SystemExit)
    assert [processes.submit(fine).result() for _ in range(4)] == [1] * 4


def test_what_a_call_leaves_running_is_cancelled_before_its_answer() -> None:
    seen = []

    async def background() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cancelled")
            raise

    async def leaving() -> str:
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        return task.get_name()

    call_loop.run(leaving())

    assert seen == ["cancelled"]


def test_what_a_call_leaves_running_may_exit() -> None:
    async def background() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise SystemExit(4) from None

    async def leaving() -> int:
        leaving.task = asyncio.create_task(background())  # type: ignore[attr-defined]  # keeps it alive
        await asyncio.sleep(0)
        return 5

    for _ in range(2):
        assert call_loop.run(leaving()) == 5
        assert isinstance(leaving.task.exception(), SystemExit)  # type: ignore[attr-defined]  # and nobody logs it later


def test_a_task_that_does_not_end_is_told_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(call_loop, "_GRACE", 0.05)
    stop = False

    async def stubborn() -> None:
        while not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    async def leaving() -> int:
        leaving.task = asyncio.create_task(stubborn())  # type: ignore[attr-defined]  # keeps it alive
        await asyncio.sleep(0)
        return 5

    with caplog.at_level(logging.WARNING):
        assert call_loop.run(leaving()) == 5
    assert "1 tasks that a call left behind do not let themselves be cancelled" in caplog.text
    stop = True
    assert call_loop.run(asyncio.sleep(0.05, "done")) == "done"


def test_a_call_that_stops_the_loop_fails_alone() -> None:
    async def stops() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(10)

    before = answered(loop_id).value
    error = answered(stops).error

    assert isinstance(error, RuntimeError)
    assert "stopped" in str(error)
    assert answered(loop_id).value == before


def test_a_frame_may_be_run_from_a_coroutine() -> None:
    frame = pack_call(loop_id, (), {})

    async def outer() -> tuple[int, int]:
        return await loop_id(), open_answer(run_frame(frame)).value

    mine, other = asyncio.run(outer())
    assert mine != other


def test_each_thread_has_its_own_loop_which_ends_with_it() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def here() -> None:
        loops.append(asyncio.get_running_loop())

    for _ in range(2):
        thread = threading.Thread(target=lambda: [call_loop.run(here()) for _ in range(2)])
        thread.start()
        thread.join()

    assert loops[0] is loops[1]
    assert loops[2] is loops[3] is not loops[0]
    assert all(loop.is_closed() for loop in loops)


def test_async_generators_are_usable_in_later_calls() -> None:
    async def counting() -> list[int]:
        async def numbers() -> Any:
            yield 1
            yield 2

        return [number async for number in numbers()]

    assert [answered(counting).value for _ in range(2)] == [[1, 2]] * 2


def test_a_call_leaves_no_context_behind(processes: Executor) -> None:
    def change() -> str:
        import builtins
        from contextvars import ContextVar

        variable: ContextVar[str] = vars(builtins).setdefault("_variable", ContextVar("variable", default="clean"))
        before = variable.get()
        variable.set("dirty")
        return before

    assert [processes.submit(change).result() for _ in range(6)] == ["clean"] * 6
