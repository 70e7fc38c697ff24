"""Asynchronous ends: sources and sinks that want an event loop, made usable by a run that has none of its own."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from typing import Any

from pipe_core.runtime.run_loop import RunLoop

_END = object()


class AsyncItems:
    """The items of an asynchronous iterable, one after the other, each awaited on the run's loop."""

    def __init__(self, items: AsyncIterable[Any], loop: RunLoop) -> None:
        self._items = items
        self._loop = loop
        loop.keep()
        self.__name__ = getattr(items, "__name__", type(items).__name__)

    def __iter__(self) -> Iterator[Any]:
        iterator = aiter(self._items)
        try:
            while (item := self._loop.run(_next(iterator))) is not _END:
                yield item
        finally:
            if hasattr(iterator, "aclose"):
                self._loop.run(iterator.aclose(), cleanup=True)


async def _next(iterator: Any) -> Any:
    return await anext(iterator, _END)


async def queue_items(queue: Any, sentinel: Any = None) -> AsyncIterator[Any]:
    """The items of an `asyncio.Queue`, up to the *sentinel*."""
    while True:
        item = await queue.get()
        if item is sentinel or (type(item) is type(sentinel) and item == sentinel):
            return
        yield item


class AsyncSink:
    """A coroutine function as a sink: each record is awaited on the run's loop before the next one."""

    def __init__(self, function: Callable[[Any], Any], loop: RunLoop) -> None:
        self._function = function
        self._loop = loop
        loop.keep()
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, record: Any) -> None:
        """Await the function's coroutine for *record*."""
        self._loop.run(self._function(record))


def is_async_callable(target: Any) -> bool:
    """Whether calling *target* gives a coroutine."""
    own = type(target).__call__ if not inspect.isroutine(target) else None
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(own)
