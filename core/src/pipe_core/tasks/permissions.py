"""Permission to start an event: what a check may answer, and what follows from it."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from pipe_core.tasks.errors import PermissionRejected
from pipe_core.tasks.execution import is_retryable
from pipe_core.tasks.record import EventRecord

SOON: Final = 0.01
"""Seconds until an event that was denied asks again, the first time or when another one was granted."""
_LONGEST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """The answer of a permission check that will never change: the event is aborted.

    Attributes:
        reason: Why, for the event's error and the transition log.
    """

    reason: str


class Denials:
    """Counts how often events were denied, in a row, and says when to ask again.

    A plain no is asked again after 10 ms, then after twice that, and so on up to a second; a grant to whichever event
    lets all others ask soon again, for it shows that something has moved. Not safe under threads: its owner holds a
    lock.

    Args:
        limit: How many denials in a row abort an event; None for any number.
        tracked: How many events are counted at once. Of more, the one whose last denial is oldest is forgotten.
    """

    def __init__(self, limit: int | None, tracked: int) -> None:
        self._limit, self._tracked = limit, tracked
        self._denied: OrderedDict[EventRecord, int] = OrderedDict()
        self._pauses: dict[EventRecord, tuple[int, float]] = {}  # since the last grant: how many, and until when
        self._granted = 0.0

    def __len__(self) -> int:
        return len(self._denied)

    def deny(self, record: EventRecord, now: float) -> float | PermissionRejected:
        """Seconds until *record* may ask again, or why it may not any more."""
        before = self._denied.pop(record, 0)
        count = self._denied[record] = before + 1
        while len(self._denied) > self._tracked:
            self._pauses.pop(self._denied.popitem(last=False)[0], None)
        if self._limit is not None and count >= self._limit:
            self.forget(record)
            return PermissionRejected(f"It was denied {count} times in a row, and max_denials is {self._limit}.")
        asked, until = self._pauses.get(record) or ((1, self._granted + SOON) if before else (0, now))
        pause = min(SOON * 2.0 ** min(asked, 32), _LONGEST)
        # From when it was to be asked: were it from when it was, the delays of a busy loop would add up.
        until = max(until + pause, now + pause / 2)
        self._pauses[record] = asked + 1, until
        return until - now

    def grant(self, record: EventRecord, now: float) -> list[EventRecord]:
        """*record* may start. The others that were denied since the last grant, which may ask again after `SOON`."""
        if not self._denied:
            return []
        self.forget(record)
        self._granted = now
        others, self._pauses = list(self._pauses), {}
        return others

    def forget(self, record: EventRecord) -> None:
        """Count anew for *record*."""
        if self._denied and self._denied.pop(record, None) is not None:
            self._pauses.pop(record, None)

    def clear(self) -> None:
        """Count anew for all."""
        self._denied.clear()
        self._pauses.clear()


def judged(answer: Any) -> bool | float | Rejection:
    """What a permission check has answered: yes, no, ask again in so many seconds, or never.

    Raises:
        TypeError: It is nothing of that.
    """
    if isinstance(answer, bool | Rejection):
        return answer
    if isinstance(answer, int | float) and answer >= 0 and math.isfinite(answer):
        return float(answer) if answer > 0 else True
    raise TypeError(
        f"it gave {answer!r}. It gives True, False, the seconds after which to ask again, or Rejection('why')"
    )


def failed_check(error: BaseException) -> PermissionRejected:
    """What becomes of an event whose check raised *error*."""
    try:
        text = f": {error}"
    except BaseException:  # the user's code
        text = ""
    rejected = PermissionRejected(f"request_permission failed with {type(error).__name__}{text}")
    rejected.__cause__ = error
    rejected.retryable = is_retryable(error)
    return rejected
