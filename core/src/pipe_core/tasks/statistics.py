"""What has happened so far, as numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_SAMPLE: Final = 1_000
"""Percentiles are those of so many calls, the last ones."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds, of the last 1,000 calls; 0.0 where there was none."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """A moment of an executor. ``submitted_tasks`` is the sum of all that wait, run and have ended.

    Attributes:
        active_threads: Calls that run now, whatever they run on.
        queued_tasks: Calls that wait, for a slot, a permit or another attempt.
        completed_tasks: Calls that gave a value.
        failed_tasks: Calls that raised, in their last attempt.
        cancelled_tasks: Calls that were cancelled before they began.
        aborted_tasks: Calls that were refused and never began: by a deadline, a breaker, or to make room.
        submitted_tasks: Calls that were accepted.
        rejected_tasks: Calls that were not, because the queue was full. They are in no other number.
        retries: Attempts behind the first ones.
        total_execution_time: Seconds that all ended calls ran, summed up.
        queue_wait: How long calls waited before they began.
        run_time: How long they ran.
        throughput: Ended calls a second since the start.
        steals: Tasks that went to another worker than they were meant for, where the scheduler steals.
        uptime: Seconds since the start.
    """

    active_threads: int
    queued_tasks: int
    completed_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    aborted_tasks: int
    submitted_tasks: int
    rejected_tasks: int
    retries: int
    total_execution_time: float
    queue_wait: Percentiles
    run_time: Percentiles
    throughput: float
    steals: int
    uptime: float


class Times:
    """Sums and samples of how long calls waited and ran. Its owner holds a lock."""

    __slots__ = ("retries", "runs", "total", "waits")

    def __init__(self) -> None:
        self.waits: deque[float] = deque(maxlen=_SAMPLE)
        self.runs: deque[float] = deque(maxlen=_SAMPLE)
        self.total = 0.0
        self.retries = 0


def percentiles(sample: Iterable[float]) -> Percentiles:
    """Of a sample in any order, each the smallest value that so many per cent do not exceed."""
    ordered = sorted(sample)
    if not ordered:
        return Percentiles()
    p50, p90, p99 = (ordered[min(len(ordered) - 1, -(-len(ordered) * q // 100) - 1)] for q in (50, 90, 99))
    return Percentiles(p50, p90, p99, ordered[-1])
