"""Calls that do nothing: ``submit_run.py WHO WAY COUNT``. Prints the seconds from the first submit to the last result.

Everything was started before, and a tenth of as many calls went ahead. ``WAY`` is ``all``, to submit all and then take
all results, or ``each``, to take the result of each before the next one is submitted.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import cycle, islice
from typing import Any

from contenders import WORKERS

Submitted = Iterator[Future[Any]]


def nothing() -> None:
    """Do nothing."""


def plain(executor: Executor, count: int) -> Submitted:
    """So many calls, submitted as they are asked for."""
    return (executor.submit(nothing) for _ in range(count))


def prioritised(executor: Executor, count: int) -> Submitted:
    """The same, each with another priority than the one before."""
    from pipe_core import TaskPriority

    submit: Any = executor.submit
    return (submit(nothing, priority=priority) for priority in islice(cycle(TaskPriority), count))


def made(who: str) -> Executor:
    """The executor, with all its threads to come."""
    if who == "ThreadPoolExecutor":
        return ThreadPoolExecutor(WORKERS)
    if who == "PyFerris":
        import pyferris

        theirs: Executor = pyferris.Executor(WORKERS)
        return theirs
    from pipe_core import TaskExecutor

    return TaskExecutor(max_workers=WORKERS)


def run(submitted: Submitted, way: str) -> list[Any]:
    """All results."""
    return [future.result() for future in (list(submitted) if way == "all" else submitted)]


def check(executor: Any, ended: int) -> None:
    """Ours has counted what it ran, by the time it has told so."""
    if hasattr(executor, "get_stats") and executor.get_stats().completed_tasks != ended:
        raise SystemExit(f"{executor.get_stats()} after {ended} calls")


if __name__ == "__main__":
    who, way, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    submitting: Callable[[Executor, int], Submitted] = prioritised if who.endswith("priority=") else plain
    executor, ahead = made(who), max(count // 10, 1)
    run(submitting(executor, ahead), way)
    started = time.perf_counter()
    results = run(submitting(executor, count), way)
    seconds = time.perf_counter() - started
    check(executor, ahead + count)
    executor.shutdown()
    if results != [None] * count:
        raise SystemExit(f"{len(results)} results of {count} calls")
    print(seconds)
