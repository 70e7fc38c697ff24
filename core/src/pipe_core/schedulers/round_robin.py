"""The scheduler ``round_robin``: a queue for each slot, to which tasks are dealt in turn."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pydantic import BaseModel

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import SchedulerSpec
from pipe_core.schedulers.queues import Queues


class RoundRobinOptions(BaseModel, frozen=True, extra="forbid"):
    """``round_robin`` has no options."""


class SlotQueues(Queues):
    """A queue for each slot; tasks are dealt to them in turn. One queue until `bind` says how many slots there are."""

    def __init__(self) -> None:
        super().__init__()
        self._queues[0] = OrderedDict()

    def bind(self, slots: int, /) -> None:
        """There are *slots* slots, numbered from 0 on.

        Raises:
            OptionsError: There are none, or tasks wait already.
        """
        if slots < 1:
            raise OptionsError(f"{type(self).__name__} wants at least one slot to make queues for, not {slots}.")
        if self._keys:
            raise OptionsError(
                f"This {type(self).__name__} holds {len(self):,} tasks already: does another executor use it? "
                f"Make one for each executor."
            )
        self._queues = OrderedDict((slot, OrderedDict()) for slot in range(slots))

    def push(self, task: Any, /) -> None:
        """*task* waits for the slot whose turn it is."""
        self._put(self._turn(), task)


class RoundRobinScheduler(SlotQueues):
    """The first task goes to the first slot, the second to the second one, and so on; each slot keeps to its own.

    So who runs a task depends on nothing but the order of submission. The price: where a task takes long, those dealt
    to the same slot wait for it, even while other slots idle.
    """

    per_slot = True

    def pop(self, slot: int, now: float, /) -> Any | None:
        """The task that has waited longest for *slot*, or None."""
        slot %= len(self._queues)
        return self._take(slot) if self._queues[slot] else None


@hookimpl
def pipe_scheduler(name: str) -> SchedulerSpec | None:
    """Describe ``round_robin``."""
    if name != "round_robin":
        return None
    return SchedulerSpec(
        lambda options: RoundRobinScheduler(), RoundRobinOptions, "a queue for each slot, dealt to in turn"
    )
