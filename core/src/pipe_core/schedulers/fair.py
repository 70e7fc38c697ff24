"""The scheduler ``fair``: tags take turns, so that who submits much delays nobody else."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from pydantic import BaseModel

from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import SchedulerSpec
from pipe_core.schedulers.queues import Queues


class FairOptions(BaseModel, frozen=True, extra="forbid"):
    """``fair`` has no options."""


class FairScheduler(Queues):
    """One task of each tag in turn; first in, first out inside a tag. Tasks without a tag share one, None.

    A tag that is new, or that had nothing waiting, has its turn after all others that wait, once: a task of its own is
    delayed by at most one task of each of them, however many those have.
    """

    def push(self, task: Any, /) -> None:
        """*task* waits behind the others with its tag."""
        tag = task.tag
        if tag not in self._queues:
            self._queues[tag] = OrderedDict()
        self._put(tag, task)

    def pop(self, slot: int, now: float, /) -> Any | None:
        """The first task of the tag whose turn it is, or None."""
        return self._take(self._turn()) if self._queues else None

    def _emptied(self, key: Hashable) -> None:
        del self._queues[key]


@hookimpl
def pipe_scheduler(name: str) -> SchedulerSpec | None:
    """Describe ``fair``."""
    if name != "fair":
        return None
    return SchedulerSpec(lambda options: FairScheduler(), FairOptions, "tags take turns, one task each")
