"""The scheduler ``fifo``: first in, first out."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pydantic import BaseModel

from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import SchedulerSpec


class FifoOptions(BaseModel, frozen=True, extra="forbid"):
    """``fifo`` has no options."""


class FifoScheduler:
    """Tasks leave in the order in which they came.

    An ordered dictionary lets a task be removed from anywhere in O(1); a plain one would search for its first key
    among the places of those that left.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Any] = OrderedDict()

    def push(self, task: Any, /) -> None:
        """*task* waits behind all others."""
        self._waiting[task.sequence] = task

    def pop(self, slot: int, now: float, /) -> Any | None:
        """The task that has waited longest, or None."""
        return self._waiting.popitem(last=False)[1] if self._waiting else None

    def remove(self, task: Any, /) -> bool:
        """Forget *task*. False when it does not wait here."""
        return self._waiting.pop(task.sequence, None) is not None

    def __len__(self) -> int:
        """How many tasks wait."""
        return len(self._waiting)


@hookimpl
def pipe_scheduler(name: str) -> SchedulerSpec | None:
    """Describe ``fifo``."""
    if name != "fifo":
        return None
    return SchedulerSpec(lambda options: FifoScheduler(), FifoOptions, "first in, first out")
