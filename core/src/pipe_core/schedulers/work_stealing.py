"""The scheduler ``work_stealing``: a queue for each slot, and a slot without work takes from the longest one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import SchedulerSpec
from pipe_core.schedulers.round_robin import SlotQueues


class WorkStealingOptions(BaseModel, frozen=True, extra="forbid"):
    """``work_stealing`` has no options."""


class WorkStealingScheduler(SlotQueues):
    """Tasks are dealt to slots in turn. A slot takes the first of its own, else the last of the longest queue.

    No slot idles while a task waits. The slot that is stolen from goes on with what it would have run next.

    Attributes:
        steals: How many tasks were run by another slot than they were dealt to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steals = 0

    def pop(self, slot: int, now: float, /) -> Any | None:
        """The next task of *slot*'s own, else one that is stolen."""
        if not self._keys:
            return None
        slot %= len(self._queues)
        if self._queues[slot]:
            return self._take(slot)
        self.steals += 1
        longest = max(self._queues, key=lambda other: len(self._queues[other]))
        return self._take(longest, last=True)


@hookimpl
def pipe_scheduler(name: str) -> SchedulerSpec | None:
    """Describe ``work_stealing``."""
    if name != "work_stealing":
        return None
    return SchedulerSpec(
        lambda options: WorkStealingScheduler(),
        WorkStealingOptions,
        "a queue for each slot; a slot without work takes from the longest",
    )
