"""The scheduler ``priority``: the most urgent task first, and none waits for ever.

The key of a task is (band, number, sequence): higher bands first, then lower numbers, then first in, first out. After
every `age_after` seconds of waiting a task stands one band higher, among the tasks of that band by number and sequence
as if it had been submitted there; from the highest band it goes no further. So ageing changes which band a task stands
in, never the order of those that stand in one, and three times `age_after` is the longest that tasks of URGENT which
come later go before one of LOW.

Most tasks come in the order in which they will leave: with the number of the task before, or with the time of their
creation. Such tasks share a `Lane`. Its first task goes before the others now, and will at any time, because it has
waited longest too. So only the first tasks of lanes are compared, and only they are moved up: a push or a pop costs
O(log lanes), and when a million tasks come of age at once, one lane moves. Of n tasks with numbers by chance there are
about two times the root of n lanes; only of tasks that each have a lower number than the one before there are n.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, Field

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.priority import TaskPriority
from pipe_core.kernel.specs import SchedulerSpec

AGE_AFTER: Final = 60.0
_TOP: Final = max(TaskPriority).value
_SPARE: Final = 64
"""How many entries of the heaps may be of no use any more, beside as many as are in use."""

_Key: TypeAlias = tuple[float, int]
_Entry: TypeAlias = tuple[int, float, int]
_BEFORE_ALL: Final[_Key] = (-math.inf, 0)


class PriorityOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``priority``.

    Attributes:
        age_after: Seconds after which a waiting task moves up one band. None for never.
    """

    age_after: float | None = Field(AGE_AFTER, gt=0)


class Lane:
    """Tasks of one band, each with a higher key and no earlier `since` than the one before.

    Attributes:
        band: The band that they were submitted in.
        tasks: Those that wait, by sequence.
        last: The key of the task that came last, whether it still waits or not.
        newest: When that one began to wait.
        entry: What stands for the first task in the heap, or None. An entry there is in use where it is this object.
        due: When to look whether the first task moves up, or infinity: not later than it does.
        serial: Its number, for order among lanes that are due at the same time.
    """

    __slots__ = ("band", "due", "entry", "last", "newest", "serial", "tasks")

    def __init__(self, band: int, serial: int) -> None:
        self.band = band
        self.serial = serial
        self.tasks: OrderedDict[int, Any] = OrderedDict()
        self.clear()

    def clear(self) -> None:
        """Take any task from now on: none waits here."""
        self.last, self.newest = _BEFORE_ALL, -math.inf
        self.entry: _Entry | None = None
        self.due = math.inf

    def place(self) -> _Key:
        """Where the lane stands among those of its band: the one with the highest last key first."""
        return _descending(self.last)


class PriorityScheduler:
    """Tasks leave by (band, number, sequence), and move up one band after each `age_after` seconds of waiting.

    Invariants: The lanes of a band stand by their last keys, the highest first, and none is empty but a band's only
    one. While a single lane has tasks, it is `_only`, and the heaps are empty. While several have, `_only` is None, and
    each has one entry that is in use in `_heap`, and in `_due` as long as its first task can move up.

    Args:
        age_after: Seconds; None or infinity for never.

    Raises:
        OptionsError: `age_after` is not positive.
    """

    priorities = True

    def __init__(self, *, age_after: float | None = AGE_AFTER) -> None:
        self._age_after = math.inf if age_after is None else age_after
        if not self._age_after > 0:
            raise OptionsError(
                f"PriorityScheduler: age_after wants positive seconds, or None for never, not {age_after!r}.",
                problems={"age_after": "is not positive"},
            )
        self._serials = count()
        self._lanes = [[Lane(band, next(self._serials))] for band in range(_TOP + 1)]
        self._homes: dict[int, Lane] = {}
        self._busy = 0
        self._only: Lane | None = None
        self._clear()

    def push(self, task: Any, /) -> None:
        """*task* waits from now on."""
        sequence, since = task.sequence, task.since
        key = (task.number, sequence)
        lane = self._lanes[task.band][0]
        if key < lane.last or since < lane.newest:
            lane = self._lane(task.band, key, since)
        lane.last, lane.newest = key, since
        self._homes[sequence] = lane
        if lane.tasks:
            lane.tasks[sequence] = task
        else:
            lane.tasks[sequence] = task
            self._began(lane)

    def pop(self, slot: int, now: float, /) -> Any | None:
        """Of the tasks that stand in the highest band at *now*, the first of those with the lowest number."""
        lane = self._only
        if lane is None:
            if not self._homes:
                return None
            lane = self._best(now)
        sequence, task = lane.tasks.popitem(last=False)
        del self._homes[sequence]
        if not lane.tasks:
            self._ended(lane)
        elif self._only is None:
            self._enter(lane)
        return task

    def remove(self, task: Any, /) -> bool:
        """Forget *task*. False when it does not wait here."""
        sequence = task.sequence
        lane = self._homes.pop(sequence, None)
        if lane is None:
            return False
        del lane.tasks[sequence]
        if not lane.tasks:
            self._ended(lane)
        elif lane.entry is not None and lane.entry[2] == sequence:
            self._enter(lane)
        return True

    def __len__(self) -> int:
        """How many tasks wait."""
        return len(self._homes)

    # --- lanes ---

    def _lane(self, band: int, key: _Key, since: float) -> Lane:
        """The first lane that *key* may follow; a new one where there is none, or where it began to wait earlier."""
        lanes = self._lanes[band]
        behind = key < lanes[-1].last  # often, and then there is nothing to search
        i = len(lanes) if behind else bisect_left(lanes, _descending(key), key=Lane.place)
        if i == len(lanes) or since < lanes[i].newest:
            lanes.insert(i, Lane(band, next(self._serials)))
        return lanes[i]

    def _began(self, lane: Lane) -> None:
        """*lane* has a task and had none."""
        self._busy += 1
        if self._busy == 1:
            self._only = lane
            return
        if self._only is not None:
            self._enter(self._only)
            self._only = None
        self._enter(lane)

    def _ended(self, lane: Lane) -> None:
        """*lane* had a task and has none."""
        lanes = self._lanes[lane.band]
        if len(lanes) > 1:
            i = len(lanes) - 1 if lanes[-1] is lane else bisect_left(lanes, lane.place(), key=Lane.place)
            while lanes[i] is not lane:  # a task that came twice may be the last of two lanes
                i += 1
            del lanes[i]
        lane.clear()
        self._busy -= 1
        self._only = None
        if not self._busy:  # a dictionary keeps the room of its largest time, until it is cleared
            self._homes.clear()
            lane.tasks.clear()
        if self._busy == 1:
            self._only = next(one for lanes in self._lanes for one in lanes if one.tasks)
            self._only.entry, self._only.due = None, math.inf
            self._clear()
        elif len(self._heap) + len(self._due) > 4 * self._busy + _SPARE:
            self._tidy()

    # --- heaps ---

    def _clear(self) -> None:
        self._heap: list[_Entry] = []
        self._due: list[tuple[float, int, Lane]] = []

    def _best(self, now: float) -> Lane:
        """The lane whose first task goes next. Its entry is taken out of the heap."""
        while self._due and self._due[0][0] <= now:
            due, _, lane = heappop(self._due)
            if lane.due == due:
                lane.due = math.inf
                self._enter(lane, now)
        while True:
            entry = heappop(self._heap)
            found = self._homes.get(entry[2])
            if found is not None and found.entry is entry:
                return found

    def _used(self, entry: _Entry) -> Lane | None:
        """The lane that *entry* stands for, or None where it is of no use any more."""
        lane = self._homes.get(entry[2])
        return lane if lane is not None and lane.entry is entry else None

    def _enter(self, lane: Lane, now: float = -math.inf) -> None:
        """Put *lane* where its first task stands at *now*. An entry that it had before is of no use any more."""
        task = next(iter(lane.tasks.values()))
        since, band = task.since, lane.band
        due = since + self._age_after
        while due <= now and band < _TOP:
            band += 1
            due = since + (band - lane.band + 1) * self._age_after
        lane.entry = (-band, task.number, task.sequence)
        heappush(self._heap, lane.entry)
        if due < lane.due and band < _TOP:
            lane.due = due
            heappush(self._due, (due, lane.serial, lane))
        if len(self._heap) + len(self._due) > 4 * self._busy + _SPARE:
            self._tidy()

    def _tidy(self) -> None:
        """Leave in the heaps only what is in use. That is half of it at most, so that an entry costs little."""
        self._heap = [entry for entry in self._heap if self._used(entry)]
        self._due = [entry for entry in self._due if entry[0] == entry[2].due]
        heapify(self._heap)
        heapify(self._due)


def _descending(key: _Key) -> _Key:
    return -key[0], -key[1]


@hookimpl
def pipe_scheduler(name: str) -> SchedulerSpec | None:
    """Describe ``priority``."""
    if name != "priority":
        return None
    return SchedulerSpec(
        lambda options: PriorityScheduler(age_after=options.age_after),
        PriorityOptions,
        "the most urgent first; what waits long moves up",
    )
