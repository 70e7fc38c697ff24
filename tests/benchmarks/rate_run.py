"""Rate limits by a clock that is only a number: ``rate_run.py CALLS``.

So many calls wait, and a slot asks for the next one at the moment at which it was told to ask again. Prints JSON: for
each limit when the last call started, when it should have, the largest distance of any start from its time, and the
most starts in any time of its length.
"""

import json
import sys
from typing import Any

from pipe_core import RateLimit, get_scheduler
from pipe_core.runtime.dispatcher import Dispatcher
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.task import Task

LIMITS = ((10, 1.0, 1), (3, 1.0, 1), (7, 60.0, 1), (1_000, 1.0, 50))
"""Starts, the seconds that they are for, and how many may come at once."""
_HAIR = 1e-9
"""Seconds below which two moments are the same one: a start may be off by the rounding of one sum."""


def starts(limit: RateLimit, count: int) -> list[float]:
    """When each call starts."""
    dispatcher: Dispatcher[Any] = Dispatcher(get_scheduler("fifo"), 1, permits=limit)
    for number in range(count):
        dispatcher.add(Task(number, print, (), {}), 0.0)
    found, now = list[float](), 0.0
    while len(found) < count:
        task = dispatcher.take(0, now)
        if task is not None:
            found.append(now)
            dispatcher.release(task)
            dispatcher.end(task, TaskStatus.COMPLETED, now)
            continue
        due = dispatcher.due(now)
        if not due:
            raise SystemExit(f"{len(found)} of {count} calls have started, and nobody says when the next one may.")
        now += due
    return found


def most(found: list[float], per: float) -> int:
    """The most starts in any time of *per* seconds, its end not included."""
    largest = first = 0
    for i, now in enumerate(found):
        while now - found[first] >= per - _HAIR:
            first += 1
        largest = max(largest, i - first + 1)
    return largest


def told(starts_in: int, per: float, burst: int, count: int) -> dict[str, Any]:
    """What came of one limit."""
    found = starts(RateLimit(starts_in, per, burst), count)
    right = [max(0, i - burst + 1) * per / starts_in for i in range(count)]
    return {
        "limit": f"{starts_in:,} in {per:g} s" + (f", {burst} at once" if burst > 1 else ""),
        "allowed": starts_in + burst - 1,
        "most": most(found, per),
        "last": found[-1],
        "should": right[-1],
        "off": max(abs(one - other) for one, other in zip(found, right, strict=True)),
        "wrong": sum(abs(one - other) > _HAIR for one, other in zip(found, right, strict=True)),
    }


if __name__ == "__main__":
    print(json.dumps([told(*limit, int(sys.argv[1])) for limit in LIMITS]))
