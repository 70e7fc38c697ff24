"""Admission: whether there is room for another call, and what a submit does where there is none."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Final, Literal

from pipe_core.kernel.errors import OptionsError, QueueFullError
from pipe_core.runtime.ledger import Ledger, TaskStatus
from pipe_core.tasks.call import INSIDE
from pipe_core.tasks.policies import check_count
from pipe_core.tasks.usage import MemoryLimit

if TYPE_CHECKING:
    from pipe_core.tasks.task_executor import TaskExecutor

OnFull = Literal["block", "raise", "caller_runs", "drop_oldest"]
POLICIES: Final = ("block", "raise", "caller_runs", "drop_oldest")

PENDING: Final = TaskStatus.PENDING
_LOOK: Final = 0.05
"""Seconds between two looks at the memory while a submit waits for it."""


class Admission:
    """Stands before the queue of an executor, which holds its lock for everything here.

    Args:
        executor: Whose queue it is; `guard` comes when there is one.
        capacity: How many calls may wait.
        on_full: What a submit does when there is no room.
        memory_limit: How much memory may be in use, or there is no room either.

    Raises:
        OptionsError: An option is wrong.

    Attributes:
        capacity: See above, as `on_full`.
        blocked: How many submits wait for room.
        rejected: How many were refused.
    """

    def __init__(self, executor: TaskExecutor, capacity: int, on_full: OnFull, memory_limit: int | str | None) -> None:
        if on_full not in POLICIES:
            raise OptionsError(f"on_full is one of {', '.join(map(repr, POLICIES))}, not {on_full!r}.")
        check_count("queue_capacity", capacity)
        self._executor = executor
        self.capacity = capacity
        self.on_full: OnFull = on_full
        self._memory = None if memory_limit is None else MemoryLimit(memory_limit)
        self.blocked = 0
        self.rejected = 0

    def guard(self, ledger: Ledger, lock: threading.RLock) -> None:
        """The executor has its queue, and its lock."""
        self._count = ledger.count
        self._room = threading.Condition(lock)

    def lack(self) -> OnFull | None:
        """What a submit has to do now. None when there is room."""
        full = self._count(PENDING) >= self.capacity
        if not full and (self._memory is None or not self._memory.exceeded()):
            return None
        if self.on_full in ("block", "caller_runs"):
            if INSIDE.executor is self._executor:
                return "caller_runs"
            if _in_event_loop():
                return "raise"
        return "raise" if self.on_full == "drop_oldest" and not full else self.on_full

    def wait(self) -> None:
        """Return when there may be room. The lock is free meanwhile."""
        self.blocked += 1
        try:
            self._room.wait(_LOOK if self._memory is not None else None)
        finally:
            self.blocked -= 1

    def made_room(self) -> None:
        """A call waits no more: one of those who are blocked may look again."""
        self._room.notify()

    def rejection(self) -> QueueFullError:
        """A call was refused."""
        self.rejected += 1
        waiting = self._count(PENDING)
        why = f"{waiting} calls wait, and queue_capacity is {self.capacity}"
        if waiting < self.capacity and self._memory is not None:
            why = f"the process has {self._memory.used / 2**20:.0f} MiB in memory, of {self._memory.limit / 2**20:.0f}"
        where = " On the thread of an event loop submit() never waits: await it in another thread." * _in_event_loop()
        return QueueFullError(
            f"No room for another call: {why}.{where} Try again when some have run, or submit with on_full='block'.",
            queue_size=waiting,
            max_size=self.capacity,
        )

    def dropping(self) -> QueueFullError:
        """Why a call is refused that has waited until now."""
        return QueueFullError(
            "The call was dropped to make room for a newer one (on_full='drop_oldest').",
            queue_size=self._count(PENDING),
            max_size=self.capacity,
        )


def _in_event_loop() -> bool:
    """Whether the calling thread runs an event loop, which must not be kept waiting."""
    asyncio = sys.modules.get("asyncio")  # no loop runs where nobody has imported it
    return asyncio is not None and asyncio._get_running_loop() is not None
