"""The shelf: bytes that the scheduler keeps for the workers, as long as our client is there.

What Dask's own `scatter` gives lives on workers and dies with them. The shelf is a plugin of the scheduler; it goes
when it is told to, and by itself when the client has gone, in whatever way. It travels by value: a scheduler needs
neither pipe-core nor pipe-dask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from distributed import Scheduler, SchedulerPlugin, get_worker


def make(name: str, client: str) -> SchedulerPlugin:
    """A shelf.

    Args:
        name: Under which workers ask the scheduler for it.
        client: The id of the client with which it goes.
    """

    class Shelf(SchedulerPlugin):
        def __init__(self) -> None:
            self.kept: dict[str, bytes] = {}

        async def start(self, scheduler: Scheduler) -> None:
            scheduler.handlers[name] = self.pull

        def pull(self, digest: str) -> bytes:
            return self.kept[digest]

        def remove_client(self, scheduler: Scheduler, client: str) -> None:
            if client == gone_with:
                scheduler.handlers.pop(name, None)
                scheduler.plugins.pop(name, None)

    gone_with = client
    return Shelf()


def keeping(name: str, digest: str, data: bytes) -> Callable[..., None]:
    """A function for the scheduler, which puts *data* on the shelf."""

    def keep(dask_scheduler: Any) -> None:
        dask_scheduler.plugins[name].kept[digest] = data

    return keep


def clearing(name: str) -> Callable[..., None]:
    """A function for the scheduler, which takes the shelf away."""

    def clear(dask_scheduler: Any) -> None:
        dask_scheduler.handlers.pop(name, None)
        dask_scheduler.plugins.pop(name, None)

    return clear


def pull(name: str, digest: str) -> bytes:
    """On a worker: the bytes under *digest*."""
    worker: Any = get_worker()
    asked = getattr(worker.scheduler, name)(digest=digest)
    data: bytes = asyncio.run_coroutine_threadsafe(asked, worker.loop.asyncio_loop).result()
    return data
