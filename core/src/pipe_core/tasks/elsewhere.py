"""Events that run on an executor, and not on the loop that starts them."""

from __future__ import annotations

import asyncio
from typing import Any

from pipe_core.runtime import call_loop
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.remote_errors import open_error, pack_error
from pipe_core.tasks.event import Event
from pipe_core.tasks.execution import OPEN, Ending, is_retryable
from pipe_core.tasks.running import run_once


class Elsewhere:
    """Runs events on an executor.

    In one process the event itself runs there. To another process a copy travels, and what came of it comes back: its
    status, response, error and duration, but not what it changed in its fields.

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
        """Run *event*, and return when it has ended, whatever becomes of it.

        Raises:
            Exception: The executor does not take it. The event is still pending then.
        """
        if self._executor.capabilities.native_async:
            await self._called(_invoked, event)
        elif self._executor.capabilities.in_process:
            await self._called(_invoked_here, event)
        else:
            await self._sent(event)

    async def _sent(self, event: Event) -> None:
        record = event._record
        run = record.claim()
        if run is None:
            await record.ended()
            return
        try:
            to, ending, packed = await self._called(_run_copy, event)
        except asyncio.CancelledError as error:
            record.end(TaskStatus.CANCELLED, run.so_far(Ending(error=error, retryable=True)), run)
            raise
        except BaseException as error:  # it cannot travel, or its worker died
            record.end(TaskStatus.FAILED, run.so_far(Ending(error=error, retryable=is_retryable(error))), run)
            return
        if packed is not None:
            ending = ending._replace(error=open_error(packed))
        record.end(to, ending, run)

    async def _called(self, fn: Any, event: Event) -> Any:
        return await asyncio.wrap_future(self._executor.submit(fn, event))

    async def close(self) -> None:
        """Shut the executor down if it was made for these events."""
        if self._own:
            await asyncio.to_thread(self._executor.shutdown)


async def _invoked(event: Event) -> None:
    """On a loop of the executor's own."""
    await run_once(event)


def _invoked_here(event: Event) -> None:
    """On a loop of the thread's own: code that blocks holds up nobody but itself."""
    call_loop.run(run_once(event))


async def _run_copy(event: Event) -> tuple[TaskStatus, Ending, bytes | None]:
    """On a worker, with a copy, which came here as one that somebody runs already. Errors come back as data."""
    event._record.restore(TaskStatus.PENDING, event._record.attempt, OPEN)
    await event.invoke()
    status, _, ending = event._record.facts()
    if isinstance(ending.error, BaseException):
        return status, ending._replace(error=None), pack_error(ending.error)
    return status, ending, None
