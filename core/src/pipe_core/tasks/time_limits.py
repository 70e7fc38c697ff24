"""Limits of time: until when a call, or an attempt of it, must have ended."""

from __future__ import annotations

import heapq
import itertools

from pipe_core.kernel.errors import TaskTimeoutError
from pipe_core.runtime.alarm import Alarm
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks.call import TaskCall

PENDING, PROCESSING = TaskStatus.PENDING, TaskStatus.PROCESSING

_Limit = tuple[float, int, TaskCall, int]
"""A time, a number that no other one has, a call, and the attempt whose timeout it is; 0 for the deadline."""


class TimeLimits:
    """A heap of times. Its owner holds a lock.

    Args:
        alarm: Is set to every time, and rings when it has come.
    """

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._heap: list[_Limit] = []
        self._numbers = itertools.count()
        self._most = 64

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, task: TaskCall, attempt: int) -> None:
        """*task* must have ended at *at*, or that attempt of it; 0 is all of them."""
        if len(self._heap) > self._most:  # mostly of calls that have ended
            self._heap = [limit for limit in self._heap if not _is_over(limit)]
            heapq.heapify(self._heap)
            self._most = 64 + 2 * len(self._heap)
        heapq.heappush(self._heap, (at, next(self._numbers), task, attempt))
        self._alarm.set(at)

    def late(self, now: float) -> list[tuple[TaskCall, TaskTimeoutError]]:
        """Those that should have ended, each once, with the error that says so."""
        late: dict[TaskCall, TaskTimeoutError] = {}
        while self._heap and self._heap[0][0] <= now:
            limit = heapq.heappop(self._heap)
            task, attempt = limit[2:]
            if not _is_over(limit) and (task not in late or attempt == 0):  # behind a deadline is no other attempt
                late[task] = _error(limit)
        if self._heap:
            self._alarm.set(self._heap[0][0])
        return list(late.items())


def _is_over(limit: _Limit) -> bool:
    """Whether the call, or the attempt, has ended whose time this is."""
    task, attempt = limit[2:]
    if task.status is PROCESSING:
        return attempt not in (0, task.attempt)
    return attempt > 0 or task.status is not PENDING


def _error(limit: _Limit) -> TaskTimeoutError:
    at, _, task, attempt = limit
    if task.status is PENDING:
        return TaskTimeoutError(f"{task.name} was not begun within {at - task.since:g} s, by its deadline.")
    what = f"its timeout of {task.timeout:g} s" if attempt else "its deadline"
    error = TaskTimeoutError(f"{task.name} ran longer than {what}, and was given up.")
    error.retryable = attempt > 0  # there is no time left for another attempt behind a deadline
    return error
