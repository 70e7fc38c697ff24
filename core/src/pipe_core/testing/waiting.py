"""What the kit of schedulers needs around one: tasks that wait, slots that ask, histories, and a counter of steps."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from pipe_core.kernel.contracts import Scheduler

SLOTS: Final = 8


class WaitingTask:
    """A task as schedulers see it. Counts how often it is looked at, when somebody counts."""

    looks: ClassVar[Callable[[], None] | None] = None

    def __init__(
        self, sequence: int, *, band: int = 1, number: float = 0.0, tag: Hashable | None = None, since: float = 0.0
    ) -> None:
        self._sequence = sequence
        self._band = band
        self._number = number
        self._tag = tag
        self._since = since

    @property
    def sequence(self) -> int:
        """Grows with every submit."""
        self._seen()
        return self._sequence

    @property
    def band(self) -> int:
        """How urgent it is, from 0 to 3."""
        self._seen()
        return self._band

    @property
    def number(self) -> float:
        """Its place inside its band."""
        self._seen()
        return self._number

    @property
    def tag(self) -> Hashable | None:
        """Whom it is for."""
        self._seen()
        return self._tag

    @property
    def since(self) -> float:
        """When it began to wait."""
        self._seen()
        return self._since

    def __eq__(self, other: object) -> bool:
        self._seen()
        return self is other

    def __hash__(self) -> int:
        return self._sequence

    def __repr__(self) -> str:
        return f"<task {self._sequence}, band {self._band}, number {self._number:g}, tag {self._tag!r}>"

    def _seen(self) -> None:
        if WaitingTask.looks is not None:
            WaitingTask.looks()


def mixed(sequence: int, **key: Any) -> dict[str, Any]:
    """A band, a number and a tag for the task *sequence*: all of them come often. *key* replaces some."""
    return {"band": sequence % 4, "number": float(sequence * 7 % 5), "tag": f"tag {sequence * 3 % 11}", **key}


def belongs_to_slots(scheduler: Scheduler) -> bool:
    """Whether *scheduler* says ``per_slot``."""
    return bool(getattr(scheduler, "per_slot", False))


def drained(scheduler: Scheduler, slots: int = SLOTS, now: float = 0.0, step: float = 1.0) -> Iterator[Any]:
    """All that waits, popped by *slots* slots in turn. It ends where no slot is given anything."""
    most, given, refused, turn = len(scheduler), 0, 0, 0
    while refused < (slots if belongs_to_slots(scheduler) else 1):
        task = scheduler.pop(turn % slots, now + turn * step)
        turn += 1
        if task is None:
            refused += 1
            continue
        given, refused = given + 1, 0
        if given > most:
            raise AssertionError(f"{most} tasks waited, and more were popped")
        yield task


class History:
    """A scheduler beside the list of what should wait in it. *kit* is the `SchedulerConformance` that tests it."""

    def __init__(self, kit: Any) -> None:
        self._kit = kit
        self._scheduler = kit._scheduler()
        self._waiting: list[Any] = []
        self._tasks: list[Any] = []
        self._now = 0.0

    def play(self, steps: list[tuple[Any, ...]]) -> None:
        """Do *steps*, each the name of a method and its arguments, and then let everything leave."""
        for name, *arguments in steps:
            getattr(self, name)(*arguments)
            assert len(self._scheduler) == len(self._waiting), f"it counts {len(self._scheduler)} tasks behind {name}"
        for task in drained(self._scheduler, now=self._now):
            self._popped(task)
        assert not self._waiting, f"{len(self._waiting)} tasks wait, and no slot is given one"

    def push(self, band: int, number: float, tag: Any) -> None:
        """A new task comes."""
        task = self._kit.make_task(len(self._tasks), band=band, number=number, tag=tag, since=self._now)
        self._tasks.append(task)
        self._push(task)

    def again(self, number: int) -> None:
        """A task that has left comes once more, as one that is tried again does."""
        if self._tasks and not self._waits(task := self._tasks[number % len(self._tasks)]):
            self._push(task)

    def _push(self, task: Any) -> None:
        self._scheduler.push(task)
        self._waiting.append(task)

    def pop(self, slot: int, seconds: float) -> None:
        """A slot asks, some seconds later."""
        self._now += seconds
        task = self._scheduler.pop(slot, self._now)
        if task is not None:
            self._popped(task)
        elif not belongs_to_slots(self._scheduler):
            assert not self._waiting, f"{len(self._waiting)} tasks wait, and none was popped"

    def _popped(self, task: Any) -> None:
        assert self._waits(task), f"{task} was popped, and does not wait"
        if self._kit.ordered:
            assert task is self._waiting[0], f"{task} was popped before {self._waiting[0]}"
        self._forget(task)

    def remove(self, number: int) -> None:
        """A task is withdrawn, whether it waits or not; the last number is that of one that never came."""
        number %= len(self._tasks) + 1
        task = self._tasks[number] if number < len(self._tasks) else self._kit.make_task(number)
        waits = self._waits(task)
        assert self._scheduler.remove(task) is waits, f"{task} {'waits' if waits else 'does not wait'}"
        if waits:
            self._forget(task)

    def _waits(self, task: Any) -> bool:
        return any(one is task for one in self._waiting)

    def _forget(self, task: Any) -> None:
        self._waiting = [one for one in self._waiting if one is not task]


@contextmanager
def counting(most: int) -> Iterator[list[int]]:
    """Count lines of Python and looks at tasks, up to *most*."""
    steps = [0]

    def step() -> None:
        steps[0] += 1
        if steps[0] > most:
            raise AssertionError(f"more than {most:,} steps: the work for one task grows with the number of tasks")

    def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
        step()
        return trace

    before = sys.gettrace()
    WaitingTask.looks = step
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
        WaitingTask.looks = None
