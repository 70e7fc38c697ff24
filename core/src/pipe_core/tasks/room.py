"""Room in the queue of events, for those who wait for it, on whatever loop."""

from __future__ import annotations

import asyncio

from pipe_core.tasks.book import Book


class Room:
    """Wakes those who wait when an event leaves the queue.

    Args:
        book: Whose queue it is.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when there may be room."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._book.lock:
            if not self._book.full():
                return
            self._waiting.append(future)
        try:
            await future
        finally:
            with self._book.lock:
                if future in self._waiting:
                    self._waiting.remove(future)

    def tell(self) -> None:
        """Wake as many as there is room for. From any thread."""
        if not self._waiting:
            return
        with self._book.lock:
            places = len(self._waiting) if self._book.limit is None else max(0, self._book.limit - self._book.queued)
            woken, self._waiting = self._waiting[:places], self._waiting[places:]
        for future in woken:
            try:
                future.get_loop().call_soon_threadsafe(_set, future)
            except RuntimeError:  # that loop is closed, and nobody waits there any more
                pass


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
