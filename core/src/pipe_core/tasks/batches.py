"""Many small calls in one task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Any

from pipe_core.tasks.policies import check_count

_Ended = tuple[bool, Any]


def submit_batch(executor: Executor, calls: Iterable[tuple[Any, ...]], batch_size: int) -> Iterator[Future[Any]]:
    """See `TaskExecutor.submit_batch`."""
    check_count("batch_size", batch_size)
    return _submitted(executor, iter(calls), batch_size)


def _submitted(executor: Executor, calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[Future[Any]]:
    while batch := list(islice(calls, size)):
        futures: list[Future[Any]] = [Future() for _ in batch]
        for future in futures:
            future.set_running_or_notify_cancel()  # it goes with the others of its batch, and is not cancelled alone
        executor.submit(_run_all, batch).add_done_callback(_hand_out(futures))
        yield from futures


def _run_all(calls: list[tuple[Callable[..., Any], Any]]) -> list[_Ended]:
    """On a worker: the end of every call, whatever the others do."""
    ends: list[_Ended] = []
    for fn, *args in calls:
        try:
            ends.append((True, fn(*args)))
        except BaseException as error:  # also SystemExit: of this call only
            ends.append((False, error))
    return ends


def _hand_out(futures: list[Future[Any]]) -> Callable[[Future[list[_Ended]]], None]:
    def hand_out(batch: Future[list[_Ended]]) -> None:
        error = batch.exception() if not batch.cancelled() else None
        if batch.cancelled() or error is not None:
            from concurrent.futures import CancelledError

            for future in futures:
                future.set_exception(error or CancelledError())
            return
        for future, (ok, value) in zip(futures, batch.result(), strict=True):
            (future.set_result if ok else future.set_exception)(value)

    return hand_out
