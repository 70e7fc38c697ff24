"""The event loop of one run, made when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

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
    """

    def __init__(self, loop: AbstractEventLoop | None = None, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self._loop = loop
        self._stopping = stopping
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None

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
