"""The event loop of one run, made when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pipe_core.kernel.errors import RunningError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.runtime.loops import LoopThread

T = TypeVar("T")


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

    def run(self, coroutine: Coroutine[Any, Any, T], *, cleanup: bool = False) -> T:
        """As `LoopThread.run`."""
        return self._made().run(coroutine, cleanup=cleanup)

    def cancel(self) -> None:
        """As `LoopThread.cancel`."""
        if self._thread is not None:
            self._thread.cancel()

    def close(self) -> None:
        """As `LoopThread.close`."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()

    def _made(self) -> LoopThread:
        from pipe_core.runtime.loops import LoopThread

        with self._lock:
            if self._thread is None:
                self._thread = LoopThread(self._loop, stopping=self._stopping)
            return self._thread
