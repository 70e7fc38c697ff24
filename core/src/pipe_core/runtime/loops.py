"""Event loops: coroutines of one process run on one loop, on a thread of its own, whatever the caller's thread does."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import logging
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from pipe_core.kernel.errors import RunningError
from pipe_core.runtime.run_loop import LoopLeft

logger = logging.getLogger("pipe_core")

T = TypeVar("T")

_PATIENCE: Final = 1.0
"""Seconds that a loop has to answer when everything is being stopped. One that is not blocked does so at once."""
_CLEAN_UP: Final = 0.5
"""Seconds that what was cancelled has to clean up, before what it uses is torn down. Less than a Ctrl-C allows."""


_LONGEST_WAIT: Final = 1.0
"""So many seconds who waits for a coroutine waits at once: a Ctrl-C that comes just before is heard behind that."""


class LoopThread:
    """An event loop on a daemon thread. `run` blocks the calling thread, never the loop.

    Args:
        loop: A running loop of somebody else's to use in place of an own thread.
        stopping: Whether nothing but clean-up may start any more. Must be true before `cancel` is called.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, *, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._stopping = stopping
        self._cancels = 0
        self._own = loop is None
        self._loop = loop
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._running: set[concurrent.futures.Future[Any]] = set()
        self._inside: set[asyncio.Task[Any]] = set()  # what `run` started and has not ended; only the loop changes it
        self._left = False
        self._answers = True
        self._contexts: weakref.WeakKeyDictionary[Any, contextvars.Context] = weakref.WeakKeyDictionary()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; the first use starts its thread."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_task_factory(self._task)
                self._thread = threading.Thread(target=_serve, args=[self._loop], name="pipe-loop", daemon=True)
                self._thread.start()
            return self._loop

    def run(self, coroutine: Coroutine[Any, Any, T], *, cleanup: bool = False) -> T:
        """The result of *coroutine*, run on the loop.

        Args:
            coroutine: What to run.
            cleanup: Run it even while everything else is being stopped.

        Raises:
            concurrent.futures.CancelledError: `cancel` was called while it ran, or before it started.
            RunningError: Called on the loop itself, which would wait for itself.
            LoopLeft: `leave` was called while it ran, or before it started.
        """
        if asyncio._get_running_loop() is self._loop is not None:
            coroutine.close()
            raise RunningError("A coroutine would wait for another one of its own event loop. Use await.")
        cancels = self._cancels
        loop = self.loop
        with self._lock:
            if self._left:
                coroutine.close()
                raise LoopLeft("Its event loop was left behind, because a call blocks it.")
            future = asyncio.run_coroutine_threadsafe(self._contained(coroutine, cleanup), loop)
            self._running.add(future)
        if cancels != self._cancels:  # before the line above, where cancel() could not see it
            future.cancel()
        try:
            value: T = _awaited(future).get()
        except concurrent.futures.CancelledError:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # cancelled before its turn came: nobody awaits it any more
            if self._left:
                raise LoopLeft("Its event loop was left behind, because a call blocks it.") from None
            raise
        finally:
            self._running.discard(future)
        return value

    async def _contained(self, coroutine: Coroutine[Any, Any, Any], cleanup: bool) -> _Result:
        if self._stopping() and not cleanup:
            coroutine.close()
            return _Result(error=concurrent.futures.CancelledError())
        me = asyncio.current_task()
        assert me is not None  # it was made a task of its own
        self._inside.add(me)
        try:
            return _Result(await coroutine)
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            return _Result(error=error)
        except BaseException as error:  # handed to the waiting thread, which raises it
            return _Result(error=error)
        finally:
            self._inside.discard(me)

    def cancel(self) -> None:
        """Cancel what `run` waits for now, in whatever threads; each raises `concurrent.futures.CancelledError`."""
        self._cancels += 1
        for future in list(self._running):
            future.cancel()

    def settle(self) -> None:
        """Wait for the clean-up of what `cancel` has cancelled, for a moment: it may need what is torn down next."""
        loop = self._loop
        if not self._inside or self._left or loop is None or loop.is_closed():
            return
        ending = asyncio.run_coroutine_threadsafe(self._cleaned_up(), loop)
        concurrent.futures.wait([ending], timeout=2 * _CLEAN_UP)  # a loop of somebody else's may be blocked, or stopped

    def close(self) -> None:
        """Let what was cancelled on an own loop clean up, cancel what still runs, stop it and join its thread."""
        self.leave_if_in_the_way()
        with self._lock:
            loop, thread = self._loop, self._thread
            if not self._own or loop is None or thread is None or self._left:
                return
            self._loop = self._thread = None
        self._end(loop).result()
        thread.join()

    # --- a loop that is blocked ---

    def stuck(self) -> contextvars.Context | None:
        """The context of the task that keeps an own loop from going on since somebody asked the last time, if any."""
        if not self._own or self._left or self._loop is None:
            return None
        if self._answers:
            self._answers = False
            self._loop.call_soon_threadsafe(self._answer)
            return None
        task = asyncio.current_task(self._loop)
        return None if task is None else self._contexts.get(task)

    def leave(self) -> None:
        """Wait for nothing any more: the loop is blocked. It cleans up and ends when it can."""
        with self._lock:
            self._left, loop = True, self._loop
        self.cancel()
        if loop is not None:
            self._end(loop)

    def leave_if_in_the_way(self) -> bool:
        """Leave an own loop behind that is blocked while everything is being stopped. Whether that was so."""
        loop = self._loop
        if not self._own or self._left or loop is None or not self._stopping():
            return False
        goes_on = threading.Event()
        loop.call_soon_threadsafe(goes_on.set)
        if goes_on.wait(_PATIENCE):
            return False
        self.leave()
        return True

    def _end(self, loop: asyncio.AbstractEventLoop) -> concurrent.futures.Future[None]:
        """Stop it when nothing runs on it any more, whoever waits for that."""
        ending = asyncio.run_coroutine_threadsafe(self._wound_up(), loop)
        ending.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        return ending

    async def _wound_up(self) -> None:
        await self._cleaned_up()
        await _cancel_all()

    async def _cleaned_up(self) -> None:
        """Behind what was cancelled, whose clean-up may await as well, or when it has had its time."""
        if cancelled := {task for task in self._inside if task.cancelling()}:
            await asyncio.wait(cancelled, timeout=_CLEAN_UP)
            self._inside -= cancelled

    def _answer(self) -> None:
        self._answers = True

    def _task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Any,
        *,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        # Only to know the task's context: before Python 3.12 nobody else can see it.
        context = contextvars.copy_context() if context is None else context
        task = asyncio.Task(coroutine, loop=loop, context=context, **options)
        self._contexts[task] = context
        return task


def _awaited(future: concurrent.futures.Future[_Result]) -> _Result:
    while True:
        with contextlib.suppress(TimeoutError):  # nothing else raises it: the coroutine's own one is in the result
            return future.result(_LONGEST_WAIT)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        _run_forever(loop)
    finally:
        loop.close()


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            return loop.run_forever()
        except BaseException:  # of a task that user code started: its awaiter has it too, and the loop is sound
            logger.debug("a task tried to end the event loop", exc_info=True)


class _Result:
    """A value or an exception. `SystemExit` and `KeyboardInterrupt` would escape from an event loop and end it."""

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self._value = value
        self._error = error

    def get(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


def cancelled_from_outside() -> bool:
    """Whether the running task is being cancelled, as opposed to user code that raises `CancelledError` by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


_shared: LoopThread | None = None
_shared_lock = threading.Lock()


def shared_loop() -> LoopThread:
    """The process's loop for coroutine functions that were submitted to an executor outside of any run."""
    global _shared  # one a process
    with _shared_lock:
        if _shared is None:
            _shared = LoopThread()
        return _shared
