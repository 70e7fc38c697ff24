"""Events and executors for the tests of event executors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pipe_core import Event, EventExecutor, EventStatus, Processor

LIMIT = 30.0
FAST = {"queue_capacity": 10_000, "capacity_refresh_time": 0.01}
"""A budget that holds nothing up."""
HOUR = {"queue_capacity": 1, "capacity_refresh_time": 3_600}
"""One start an hour."""
T = TypeVar("T")


class Work(Event):
    """Does what its `code` says, a plain or an async function; otherwise its response is its `label`."""

    label: Any = None
    code: Any = None

    @property
    def request(self) -> dict[str, Any]:
        return {"label": self.label}

    async def _invoke(self) -> Any:
        if self.code is None:
            return self.label
        value = self.code()
        return await value if inspect.isawaitable(value) else value


class SpecialWork(Work):
    """A subclass."""


class Worker(Processor):
    event_type = Work


class Works(EventExecutor):
    processor_type = Worker


def asking(hook: Callable[..., Any]) -> type[EventExecutor]:
    """Executors whose events ask *hook*, a function of the label."""

    class Asking(Processor):
        event_type = Work

        def request_permission(self, **request: Any) -> Any:
            return hook(request["label"])

    class Asked(EventExecutor):
        processor_type = Asking

    return Asked


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of *main*, on a loop of its own. Nothing here takes long: what hangs fails."""

    async def limited() -> T:
        return await asyncio.wait_for(main(), LIMIT)

    return asyncio.run(limited())


async def until(holds: Callable[[], object]) -> None:
    """Return as soon as something holds."""
    while not holds():  # noqa: ASYNC110  # nobody tells when it does
        await asyncio.sleep(0.001)


def labels(events: list[Any]) -> list[Any]:
    return [event.label for event in events]


def agree(executor: EventExecutor) -> None:
    """The ledger and the events say the same, and no event is in two places."""
    seen = []
    for status in EventStatus:
        events = executor.get_events_by_status(status)
        assert all(event.status is status for event in events)
        assert len(events) == executor.status_counts()[status.value]
        seen += events
    assert len(seen) == len(set(seen)) == len(executor)
    assert set(seen) == set(executor.states.items.values())


async def joined(executor: EventExecutor) -> None:
    """Return when nothing waits and nothing runs any more."""
    assert executor.processor is not None
    await executor.processor.join()
    agree(executor)


async def finished(executor: EventExecutor) -> None:
    """Start it, let everything end, and shut it down."""
    await executor.start()
    await joined(executor)
    await executor.shutdown()
    agree(executor)
