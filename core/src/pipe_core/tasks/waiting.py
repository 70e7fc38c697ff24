"""Waiting for several futures, inside a task as well."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipe_core.tasks.call import INSIDE, TaskFuture

if TYPE_CHECKING:
    from pipe_core.runtime.executor import Executor


class Done(list[Future[Any]]):
    """The futures that have ended, in the order in which they were given.

    Attributes:
        not_done: The others, in that order.
    """

    not_done: list[Future[Any]]


def wait(executor: Executor, futures: Iterable[Future[Any]], timeout: float | None) -> Done:
    """Return when all *futures* have ended, or after *timeout* seconds."""
    _check_several("wait", futures)
    given = list(futures)
    with _helping(executor, given, timeout):
        concurrent.futures.wait(given, timeout)
    done = Done(future for future in given if future.done())
    done.not_done = [future for future in given if not future.done()]
    return done


def as_completed(executor: Executor, futures: Iterable[Future[Any]], timeout: float | None) -> Iterator[Future[Any]]:
    """The *futures*, each as it ends and once.

    Raises:
        TimeoutError: Not all have ended within *timeout* seconds of the call.
    """
    _check_several("as_completed", futures)
    given = list(dict.fromkeys(futures))
    with _helping(executor, given, timeout):
        ended = concurrent.futures.as_completed(given, timeout)
        first = next(ended, None)  # here it joins those who wait for them
    while first is not None:
        yield first
        first = next(ended, None)


def _check_several(name: str, futures: Any) -> None:
    if isinstance(futures, Future):
        raise TypeError(f"{name}() wants a list of futures; write [future].")


@contextmanager
def _helping(executor: Executor, futures: list[Future[Any]], timeout: float | None) -> Iterator[None]:
    """Inside a task: run what has no slot, and then wait as anybody does. With *timeout* nothing runs here."""
    before = INSIDE.executor
    if before is executor and timeout is None:
        for future in futures:
            if isinstance(future, TaskFuture):
                future.help()
    INSIDE.executor = None if before is executor else before
    try:
        yield
    finally:
        INSIDE.executor = before
