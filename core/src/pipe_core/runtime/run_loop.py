"""The event loop of one run, made when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pipe_core.kernel.errors import PipeError, RunningError

if TYPE_CHECKING:
    import contextvars
    from asyncio import AbstractEventLoop

    from pipe_core.runtime.loops import LoopThread

T = TypeVar("T")


class LoopLeft(PipeError):
    """What ran on a loop, or wanted to, was dropped: a call blocks the loop, and it was left behind."""


class RunLoop:
    """A `LoopThread` that does not exist before its first coroutine.

    asyncio takes 25 ms to import, and most runs have nothing to await.

    Args:
        loop: A running loop of somebody else's to use in place of an own thread.
        stopping: Whether nothing but clean-up may start any more.
        blocks: Whether the thread that starts the run waits for its end.
    """

    def __init__(
        self,
        loop: AbstractEventLoop | None = None,
        *,
        stopping: Callable[[], bool] = lambda: False,
        blocks: bool = False,
    ) -> None:
        self._loop = loop
        self._blocks = blocks
        self._stopping = stopping
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._kept = False
        self._next: RunLoop | None = None

    def use(self, loop: AbstractEventLoop) -> None:
        """Use the running *loop* of an executor, unless the run has been given one of its own.

        Raises:
            RunningError: It runs in the calling thread, which would block it.
        """
        if self._loop is not None:
            return
        import asyncio  # there is a loop, so it has been imported

        if self._blocks and asyncio._get_running_loop() is loop:
            raise RunningError(
                "This would block the event loop that its executor was given, and wait for it at the same time. "
                "There, await pipe.arun(), or iterate by async for."
            )
        self._loop = loop

    def running(self) -> AbstractEventLoop:
        """As `LoopThread.loop`."""
        return self._made().loop

    def run(self, coroutine: Coroutine[Any, Any, T], *, cleanup: bool = False) -> T:
        """As `LoopThread.run`."""
        return self._made().run(coroutine, cleanup=cleanup)

    def cancel(self) -> None:
        """As `LoopThread.cancel`."""
        if self._thread is not None:
            self._thread.cancel()
        if self._next is not None:
            self._next.cancel()

    def settle(self) -> None:
        """As `LoopThread.settle`."""
        if self._thread is not None:
            self._thread.settle()

    def close(self) -> None:
        """As `LoopThread.close`."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()
        if self._next is not None:
            self._next.close()

    # --- a loop that is blocked ---

    def keep(self) -> None:
        """Something lives on the loop that another one could not take over: it is never `stuck`."""
        self._kept = True

    def stuck(self, variable: contextvars.ContextVar[T]) -> T | None:
        """The *variable* of the task that keeps the loop from going on since somebody asked the last time, if any.

        Only of a thread of its own: a loop of somebody else's is theirs.
        """
        context = None if self._thread is None or self._kept else self._thread.stuck()
        return None if context is None else context.get(variable)

    def successor(self) -> RunLoop:
        """The loop to go on with, in a thread of its own. It is cancelled and closed with this one."""
        self._next = RunLoop(stopping=self._stopping, blocks=self._blocks)
        return self._next

    def leave(self) -> None:
        """Leave the blocked thread behind. What waits for it, now or later, raises `LoopLeft`."""
        if self._thread is not None:
            self._thread.leave()

    def leave_if_in_the_way(self) -> bool:
        """As `LoopThread.leave_if_in_the_way`."""
        return self._thread is not None and self._thread.leave_if_in_the_way()

    def _made(self) -> LoopThread:
        from pipe_core.runtime.loops import LoopThread

        with self._lock:
            if self._thread is None:
                self._thread = LoopThread(self._loop, stopping=self._stopping)
            return self._thread
