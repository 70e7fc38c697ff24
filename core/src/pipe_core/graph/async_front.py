"""Running pipelines from a coroutine: the caller's event loop goes on, and coroutine nodes run on it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, TypeVar

from pipe_core.graph.scope import CancelToken

T = TypeVar("T")

_END: Final = object()


async def in_thread(call: Callable[[CancelToken], T], token: CancelToken | None) -> T:
    """The result of *call* in a thread of its own. When the awaiting task is cancelled, so is the run.

    Args:
        call: Starts the run; gets the token that ends it.
        token: The caller's own one.
    """
    mine = CancelToken()
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        found: tuple[Any, BaseException | None]
        try:
            found = call(mine), None
        except BaseException as error:  # raised where it is awaited
            found = None, error
        loop.call_soon_threadsafe(ended.set_result, found)

    threading.Thread(target=contextvars.copy_context().run, args=[work], name="pipe-graph", daemon=True).start()
    if token is not None:
        token.enter(mine)
    try:
        value, error = await asyncio.shield(ended)
    except asyncio.CancelledError:
        mine.cancel()
        await asyncio.wait([ended])  # nothing of it goes on behind the back of who cancelled it
        raise
    finally:
        if token is not None:
            token.leave(mine)
    if error is not None:
        raise error
    result: T = value
    return result


async def streamed(
    start: Callable[[CancelToken], Iterator[T]], token: CancelToken | None, ahead: int = 16
) -> AsyncIterator[T]:
    """What the iterator that *start* gives yields, from a thread of its own; at most *ahead* of it wait here."""
    mine = CancelToken()
    if token is not None:
        token.enter(mine)
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Any] = asyncio.Queue()
    room = threading.Semaphore(ahead)

    def put(token: CancelToken) -> None:
        try:
            for one in start(token):
                loop.call_soon_threadsafe(queue.put_nowait, (one, None))
                room.acquire()
                if token.is_cancelled:
                    return
        except BaseException as error:  # raised where it is awaited
            loop.call_soon_threadsafe(queue.put_nowait, (None, error))
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, (_END, None))

    running = asyncio.ensure_future(in_thread(put, mine))
    try:
        while (found := await queue.get())[0] is not _END:
            one, error = found
            if error is not None:
                raise error
            room.release()
            yield one
    finally:
        mine.cancel()
        room.release()
        await running
        if token is not None:
            token.leave(mine)
