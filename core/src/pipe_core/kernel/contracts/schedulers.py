"""Schedulers: which waiting task goes next."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol, runtime_checkable


class Schedulable(Protocol):
    """What a scheduler may know of a task. None of it changes while the task waits."""

    @property
    def sequence(self) -> int:
        """Grows with every submit. A task that is tried again keeps its own."""

    @property
    def band(self) -> int:
        """How urgent it is: the value of a `TaskPriority`, from 0 (LOW) to 3 (URGENT). Higher bands go first."""

    @property
    def number(self) -> float:
        """Its place inside its band: lower ones go first. Finite."""

    @property
    def tag(self) -> Hashable | None:
        """Whom it is for, where somebody said: a user, a job, a queue of its own."""

    @property
    def since(self) -> float:
        """When it began to wait, in seconds of the clock that ``now`` is read from."""


@runtime_checkable
class Scheduler(Protocol):
    """Which waiting task goes next. Pure policy: no thread, no clock of its own, no chance without a seed.

    It reads of a task what `Schedulable` says and writes nothing on it. The executor calls it under a lock of its own.

    A scheduler may have three more attributes. ``bind(slots)`` is called once by the executor, before the first push,
    with how many slots it has: then ``pop`` is asked for slots from 0 to ``slots - 1``. ``per_slot = True`` says that
    tasks belong to slots, so that ``pop(slot)`` may give None while tasks wait for other slots; who wants all tasks
    asks for every slot. ``priorities = True`` says that it goes by ``band`` and ``number``; without it they make no
    difference.
    """

    def push(self, task: Any, /) -> None:
        """A task waits from now on."""

    def pop(self, slot: int, now: float, /) -> Any | None:
        """The task that *slot* should run next, or None when none waits for it. *now* never goes back."""

    def remove(self, task: Any, /) -> bool:
        """Forget *task*. False when it does not wait here."""

    def __len__(self) -> int:
        """How many tasks wait."""
