"""The places in which a processor's events run, or are asked for: so many at once, on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from pipe_core.kernel.errors import RunError
from pipe_core.tasks.book import Book
from pipe_core.tasks.record import EventRecord
from pipe_core.tasks.waiters import Waiters


class Places:
    """Each is a task of the loop. What its event raises is on the event; what else happens is told to the book.

    Args:
        book: Whose events they are.
        most: How many there are.
        changed: Called when one is free again.
    """

    def __init__(self, book: Book, most: int, changed: Callable[[], None]) -> None:
        self.most = most
        self._book, self._changed = book, changed
        self._taken: dict[asyncio.Task[Any], EventRecord] = {}
        self._waiting = Waiters()

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._taken)

    @property
    def full(self) -> bool:
        """Whether none is free."""
        return len(self._taken) >= self.most

    def take(
        self, loop: asyncio.AbstractEventLoop, record: EventRecord, coroutine: Coroutine[Any, Any, Any]
    ) -> asyncio.Task[Any]:
        """Run *coroutine*, which runs the event of *record* or asks for it, and is for one place."""
        task = loop.create_task(coroutine)
        self._taken[task] = record
        task.add_done_callback(self._left)
        return task

    def _left(self, task: asyncio.Task[Any]) -> None:
        record = self._taken.pop(task, None)
        if record is None:
            return  # of another loop, which was closed before
        if task.cancelled():
            self._book.put_off(record, 0.0)  # where it had not begun
        elif (error := task.exception()) is not None:  # nothing that the event raised, which is on the event
            refused = RunError(f"The event could not be brought to run: {type(error).__name__}.")
            refused.__cause__ = error
            self._book.refuse(record, refused)
        self._waiting.wake_all()
        self._changed()

    async def free(self) -> None:
        """Return when one may be free."""
        future = self._waiting.enter()
        try:
            await future
        finally:
            self._waiting.leave(future)

    async def left(self) -> None:
        """Return when those that are taken now are free. There must be one."""
        await asyncio.wait(self._taken)

    def strand(self) -> None:
        """Free all: their loop is closed."""
        stranded, self._taken = self._taken, {}
        for task, record in stranded.items():
            with contextlib.suppress(RuntimeError):  # of code that does not heed its end
                task.get_coro().close()
            self._book.put_off(record, 0.0)  # where it had not begun


class Crowd:
    """Tasks of one who waits for all of them. Those that are done are let go while others come."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []
        self._most = 100

    def add(self, task: asyncio.Task[Any]) -> None:
        """One more."""
        self._tasks.append(task)
        if len(self._tasks) > self._most:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._most = 2 * len(self._tasks) + 100

    async def done(self) -> None:
        """Return when all are done."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Cancel those that are not done."""
        for task in self._tasks:
            task.cancel()
