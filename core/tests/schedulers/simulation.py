"""Schedulers without executors: when work would end that a scheduler gives out. Benchmarks use it as well."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any


def makespan(scheduler: Any, seconds: Sequence[float], slots: int) -> float:
    """When the last task ends, where all wait at first and each slot asks whenever it is free.

    Args:
        scheduler: Holds a task for each of *seconds*, with its place there as its sequence.
        seconds: How long each of them takes.
        slots: How many tasks run at once.
    """
    free = [(0.0, slot) for slot in range(slots)]
    last = 0.0
    while free:
        now, slot = heapq.heappop(free)
        if (task := scheduler.pop(slot, now)) is not None:
            heapq.heappush(free, (now + seconds[task.sequence], slot))
            last = max(last, now + seconds[task.sequence])
    return last
