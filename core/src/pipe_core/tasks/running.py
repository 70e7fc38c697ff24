"""One run of an event, and how a run ends."""

from __future__ import annotations

import asyncio
import inspect
import time
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.errors import TaskTimeoutError
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.loops import cancelled_from_outside
from pipe_core.tasks.execution import Ending, is_retryable
from pipe_core.tasks.record import EventRecord, Run

if TYPE_CHECKING:
    from pipe_core.tasks.event import Event


async def run_once(event: Event) -> None:
    """Run *event*, unless it has been run; while somebody else runs it, wait. See `run_event`.

    An event that is tried again is pending behind that, and not run a second time.
    """
    record = event._record
    run = record.claim()
    if run is None:
        await record.ended()
    else:
        await run_event(event, record, run)


async def run_event(event: Event, record: EventRecord, run: Run) -> None:
    """Run *event*, which *run* has claimed, and end the run, whatever the event's code does.

    Raises:
        asyncio.CancelledError: The task that runs it is being cancelled.
    """
    task, timeout, scope = run.task, event.timeout, None
    cancels = task.cancelling() if task is not None else 0
    try:
        if timeout is None:  # most events: entering a scope costs more than all the rest here
            response = await _response(event, record, run)
        else:
            async with asyncio.timeout(timeout) as scope:
                response = await _response(event, record, run)
    except BaseException as error:  # also SystemExit: an event must not end the loop, nor those beside it
        to, error_kept, retryable = _judged(error, event, scope)
        record.end(to, run.so_far(Ending(error=error_kept, retryable=retryable)), run)
        if to is TaskStatus.CANCELLED and error_kept is error:
            raise
        if task is not None and task.cancelling() > cancels:  # its code made something else of a cancellation
            raise asyncio.CancelledError from error
    else:
        ending = Ending(time.perf_counter() - run.started, response, None, False, run.chunks is not None)
        record.end(TaskStatus.COMPLETED, ending, run)


def _judged(
    error: BaseException, event: Event, scope: asyncio.Timeout | None
) -> tuple[TaskStatus, BaseException, bool]:
    """The status that a run ends with, the error to keep, and whether another try makes sense."""
    if scope is not None and scope.expired() and isinstance(error, TimeoutError):
        late = TaskTimeoutError(f"{type(event).__name__} {event.id} ran longer than its timeout of {event.timeout} s.")
        late.__cause__ = error  # and behind it the cancellation, whose traceback tells what it was waiting for
        return TaskStatus.CANCELLED, late, True
    if isinstance(error, asyncio.CancelledError) and cancelled_from_outside():
        return TaskStatus.CANCELLED, error, True
    trace = error.__traceback__
    if isinstance(error, GeneratorExit) and (trace is None or trace.tb_next is None):  # no line of the event raised it:
        return TaskStatus.CANCELLED, error, True  # the coroutine was closed
    return TaskStatus.FAILED, error, is_retryable(error)


async def _response(event: Event, record: EventRecord, run: Run) -> Any:
    streams = event._streams_by_method()
    value: Any = event.stream() if streams else event._invoke()
    if type(value) is CoroutineType or (inspect.isawaitable(value) and not streams):
        value = await value
    if not streams and type(value) is not AsyncGeneratorType:
        return value
    run.chunks = []
    async for chunk in value:
        record.add_chunk(run, chunk)
    return run.chunks
