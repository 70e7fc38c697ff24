"""What the workers of a cluster have, and calls that wait for what none has any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from pipe_core import MissingResourcesError
from pipe_core.runtime.resources import missing, times

T = TypeVar("T")

_OFTEN: Final = 1.0
"""Seconds between two looks at what the workers have."""


class WorkersResources:
    """What the workers of a cluster have, asked for in the event loop of a client.

    Args:
        client: A `distributed.Client`, whose methods give awaitables there; its annotations do not say so.
        patience: Seconds that a call waits for a worker that has what it needs, where there is none.
    """

    def __init__(self, client: Any, patience: float) -> None:
        self._client = client
        self._patience = patience
        self._known: list[dict[str, float]] = []
        self._asked = float("-inf")

    async def now(self) -> list[dict[str, float]]:
        """What each worker has; what it was started with, by name."""
        found = await self._client.scheduler.identity()
        self._known = [dict(one["resources"]) for one in found["workers"].values()]
        self._asked = time.monotonic()
        return self._known

    async def while_there_are(self, resources: Mapping[str, float], answer: Awaitable[T]) -> T:
        """The *answer* of a call that needs *resources*.

        Raises:
            MissingResourcesError: It has not come, and for a while no worker has had them.
        """
        task = asyncio.ensure_future(answer)
        seen = time.monotonic()
        try:
            while True:
                await asyncio.wait({task}, timeout=_OFTEN)
                if task.done():
                    return task.result()
                if time.monotonic() > self._asked + _OFTEN:
                    try:
                        await self.now()  # one of those that wait asks for all
                    except OSError:  # whoever watches the cluster will say that it is gone, or it comes back
                        continue
                if any(times(one, resources) for one in self._known):
                    seen = time.monotonic()
                elif time.monotonic() > seen + self._patience:
                    text = missing(resources, "dask", self._known)
                    raise MissingResourcesError(text, resources=resources, executor="dask")
        finally:
            task.cancel()
