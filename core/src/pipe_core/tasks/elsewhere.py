"""Events that run on an executor, and not on the loop that starts them."""

from __future__ import annotations

import asyncio
from typing import Any

from pipe_core.runtime.executor import Executor
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks.event import Event
from pipe_core.tasks.execution import OPEN, Ending


class Elsewhere:
    """Runs events on an executor.

    In one process the event itself runs there. To another process a copy travels, and what came of it comes back.

    Args:
        executor: Where.
        own: Whether it is shut down with this.
    """

    def __init__(self, executor: Executor, *, own: bool) -> None:
        self._executor, self._own = executor, own

    @property
    def slots(self) -> int:
        """How many events can run at once."""
        return self._executor.slots

    async def invoke(self, event: Event) -> None:
        """Run *event*, and return when it has ended, whatever becomes of it."""
        if self._executor.capabilities.in_process:
            await self._called(_invoked, event)
            return
        record = event._record
        run = record.claim()
        if run is None:
            await record.ended()
            return
        try:
            to, ending = await self._called(_run_copy, event)
        except asyncio.CancelledError as error:
            record.end(TaskStatus.CANCELLED, run.so_far(Ending(error=error, retryable=True)), run)
            raise
        except BaseException as error:  # it cannot travel, or its worker died
            retryable = bool(getattr(error, "retryable", True))
            record.end(TaskStatus.FAILED, run.so_far(Ending(error=error, retryable=retryable)), run)
            return
        record.end(to, ending, run)

    async def _called(self, fn: Any, event: Event) -> Any:
        return await asyncio.wrap_future(self._executor.submit(fn, event))

    async def close(self) -> None:
        """Shut the executor down if it was made for these events."""
        if self._own:
            await asyncio.to_thread(self._executor.shutdown)


async def _invoked(event: Event) -> None:
    await event.invoke()


async def _run_copy(event: Event) -> tuple[TaskStatus, Ending]:
    """On a worker, with a copy, which came here as one that somebody runs already."""
    event._record.restore(TaskStatus.PENDING, event._record.attempt, OPEN)
    await event.invoke()
    status, _, ending = event._record.facts()
    return status, ending
