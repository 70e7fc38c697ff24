"""Events and executors as lionpride's document of its executor has them, for the tests of its blocks.

`Executor` is `EventExecutor` here. Times are a tenth or less of those in the document; how they relate is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from event_kinds import FAST, joined, until

from pipe_core import Event, EventExecutor, EventStatus, Processor

SEVEN = ["pending", "processing", "completed", "failed", "cancelled", "skipped", "aborted"]


class MyEvent(Event):
    async def _invoke(self) -> Any:
        return "result"


class MyEventSubclass(MyEvent):
    pass


class Failing(MyEvent):
    async def _invoke(self) -> Any:
        raise ValueError("it fails")


class Held(MyEvent):
    """Runs until it is let go."""

    go: Any

    async def _invoke(self) -> Any:
        await self.go.wait()
        return "held"


class MyProcessor(Processor):
    event_type = MyEvent


class MyExecutor(EventExecutor):
    processor_type = MyProcessor


class AskingProcessor(MyProcessor):
    async def request_permission(self, **request: Any) -> bool:
        await asyncio.sleep(0)
        return True


class AskingExecutor(MyExecutor):
    processor_type = AskingProcessor


def started(executor: EventExecutor) -> list[UUID]:
    """The ids of the events that began, in that order."""
    return [move.id for move in executor.history() if move.to is EventStatus.PROCESSING]


@asynccontextmanager
async def eighteen() -> AsyncIterator[MyExecutor]:
    """An executor in the state that the document prints: 5 pending, 2 processing, 10 completed, 1 failed."""
    executor, go = MyExecutor(FAST, name="my_executor"), asyncio.Event()
    await executor.start()
    for event in [*(MyEvent() for _ in range(10)), Failing(), Held(go=go), Held(go=go)]:
        await executor.append(event)
    reached = {"completed": 10, "failed": 1, "processing": 2}
    await until(lambda: executor.status_counts().items() >= reached.items())
    await executor.stop()
    for _ in range(5):
        await executor.append(MyEvent())
    yield executor
    go.set()
    await executor.start()
    await joined(executor)
    await executor.shutdown()
