"""What the tests of event executors share: a budget, a loop, and the end of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from held_calls import LIMIT

from pipe_core import EventExecutor, EventStatus

PLENTY = {"queue_capacity": 10_000, "capacity_refresh_time": 0.01}
"""A budget that holds nothing up."""


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *main* on a loop of its own; what hangs fails."""

    async def limited() -> None:
        await asyncio.wait_for(main(), LIMIT)

    asyncio.run(limited())


async def joined(executor: EventExecutor) -> None:
    """Return when nothing waits and nothing runs any more."""
    assert executor.processor is not None
    await executor.processor.join()
    for status in EventStatus:
        assert all(event.status is status for event in executor.get_events_by_status(status))
