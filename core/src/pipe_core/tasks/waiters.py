"""Those who wait for something, on whatever loops."""

from __future__ import annotations

import asyncio
from collections import deque


class Waiters(deque["asyncio.Future[None]"]):
    """Futures of any loops, woken in the order in which they came. Not safe under threads: its owner holds a lock."""

    __slots__ = ()

    def enter(self) -> asyncio.Future[None]:
        """A future of the running loop. Who gives up waiting for it calls `leave`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.append(future)
        return future

    def leave(self, future: asyncio.Future[None]) -> None:
        """Nobody waits for *future* any more."""
        if future in self:
            self.remove(future)

    def wake_one(self) -> None:
        """Wake the one who has waited longest."""
        while self and not _woken(self.popleft()):
            pass

    def wake_all(self) -> None:
        """Wake all."""
        while self:
            _woken(self.popleft())


def _woken(future: asyncio.Future[None]) -> bool:
    """False when its loop is closed, and nobody waits there any more."""
    try:
        future.get_loop().call_soon_threadsafe(_set, future)
    except RuntimeError:
        return False
    return True


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
