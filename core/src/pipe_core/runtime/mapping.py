"""`map` and batches: many calls in one task, each with an end of its own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from itertools import chain, islice
from time import monotonic
from typing import Any

from pipe_core.kernel.contracts import Outcome
from pipe_core.kernel.error_text import short_repr
from pipe_core.runtime import wire

Calls = list[tuple[Callable[..., Any], tuple[Any, ...]]]


def mapped(
    executor: Executor,
    fn: Callable[..., Any],
    iterables: tuple[Iterable[Any], ...],
    *,
    timeout: float | None,
    chunksize: int,
    buffersize: int | None,
    packed: bool,
) -> Iterator[Any]:
    """See `Executor.map`. The first calls are submitted now, the results come as they are asked for."""
    if not callable(fn):
        raise TypeError(f"map() wants something to call first, not {short_repr(fn)}.")
    if chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or >= 1.")
    until = math.inf if timeout is None else monotonic() + timeout
    calls = ((fn, args) for args in zip(*iterables, strict=False))
    batches = iter(lambda: list(islice(calls, chunksize)), [])
    begun = (begin(executor, batch, packed) for batch in batches)
    return _results(deque(islice(begun, buffersize)), begun, until)


def _results(waiting: deque[list[Future[Any]]], more: Iterator[list[Future[Any]]], until: float) -> Iterator[Any]:
    batch: deque[Future[Any]] = deque()
    try:
        while waiting:
            waiting.extend(islice(more, 1))  # before the wait, so that workers have something to do meanwhile
            batch.extend(waiting.popleft())
            while batch:
                yield _taken(batch, until)  # and nothing here keeps what was given
    finally:
        for future in chain(batch, *waiting):
            future.cancel()


def _taken(batch: deque[Future[Any]], until: float) -> Any:
    """The result of the first future, which leaves *batch* when it has ended."""
    try:
        return batch[0].result(None if until == math.inf else max(0.0, until - monotonic()))
    finally:
        if batch[0].done():
            batch.popleft()


def begin(executor: Executor, calls: Calls, packed: bool) -> list[Future[Any]]:
    """Submit *calls* as one task. Gives the future of each.

    Args:
        executor: Where they run.
        calls: Functions with their arguments.
        packed: Whether they run in another process, from which each end comes as bytes: what one of them gives or
            raises, and cannot travel, is its own affair.
    """
    if len(calls) == 1:
        fn, args = calls[0]
        return [executor.submit(fn, *args)]
    futures: list[Future[Any]] = [Part() for _ in calls]
    task = executor.submit(_run_packed if packed else _run, calls)
    for future in futures:
        future.task = task  # type: ignore[attr-defined]  # of a `Part`
    task.add_done_callback(lambda task: _hand_out(task, futures))
    return futures


class Part(Future[Any]):
    """The future of one call among several of a task. Cancelling one cancels all of them, while they wait."""

    task: Future[Any]

    def cancel(self) -> bool:
        """Cancel the task, unless it runs."""
        return self.task.cancel()


def _run(calls: Calls) -> list[Outcome]:
    ends = []
    for fn, args in calls:
        try:
            ends.append(Outcome(fn(*args)))
        except BaseException as error:  # also SystemExit: it is of this call only
            ends.append(Outcome(error=error))
    return ends


def _run_packed(calls: Calls) -> list[bytes]:
    return [wire.answered(fn, args) for fn, args in calls]


def _hand_out(task: Future[Any], futures: list[Future[Any]]) -> None:
    error = CancelledError() if task.cancelled() else task.exception()
    if isinstance(error, CancelledError) and task.cancelled():
        for future in futures:
            Future.cancel(future)
            future.set_running_or_notify_cancel()
        return
    ends = [Outcome(error=error)] * len(futures) if error is not None else task.result()
    for future, end in zip(futures, ends, strict=True):
        ended = wire.open_answer(end) if isinstance(end, bytes) else end
        future.set_running_or_notify_cancel()
        if ended.error is not None:
            future.set_exception(ended.error)
        else:
            future.set_result(ended.value)
