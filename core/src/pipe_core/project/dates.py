"""Windows of dates: what a run is about, from its first day to its last, both included."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from pipe_core.kernel.errors import OptionsError

_EVERY: Final = re.compile(r"(\d{1,6}) ?(h|d|w|months?|mo|y)")
_MONTHS: Final = {"month": 1, "months": 1, "mo": 1, "y": 12}
_MOST: Final = 100_000
"""So many windows at most: more are a mistake."""


@dataclass(frozen=True, slots=True)
class DateWindow:
    """A window of dates, or of times.

    Attributes:
        start: Where it begins, as ISO 8601: ``2025-01-01`` or ``2025-01-01T12:00``.
        end: Where it ends, alike. A date belongs to it with all its hours; a time does not belong to it itself.

    Raises:
        OptionsError: One of them is no date, or the end is before the start; or one has a time and the other none.
    """

    start: str
    end: str

    def __post_init__(self) -> None:
        start, end = parse_date(self.start, "start_date"), parse_date(self.end, "end_date")
        if is_time(self.start) != is_time(self.end):
            raise OptionsError(
                f"The window from {self.start} to {self.end} mixes a date and a time. Write both as dates, such as "
                f"2025-01-31, or both as times, such as 2025-01-31T12:00.",
                problems={"end_date": "not of the same kind as start_date"},
            )
        if (start.tzinfo is None) != (end.tzinfo is None):
            raise OptionsError(
                f"The window from {self.start} to {self.end} has a time zone on one side only. Write it on both.",
                problems={"end_date": "not of the same kind as start_date"},
            )
        if not is_time(self.end) and end.date() == date.max:
            raise OptionsError(
                f"The window ends on {self.end}, behind which there is no day. Write an earlier one.",
                problems={"end_date": "the last day that there is"},
            )
        if end < start:
            raise OptionsError(
                f"The window ends on {self.end}, before it starts on {self.start}. Are the two dates swapped?",
                problems={"end_date": "before start_date"},
            )

    @classmethod
    def of(cls, start: str | date | None, end: str | date | None) -> DateWindow | None:
        """The window between two dates, of which each may be a `date`; None where neither is given.

        Raises:
            OptionsError: As the class; or only one of them is given.
        """
        if start is None and end is None:
            return None
        if start is None or end is None:
            missing = "start_date" if start is None else "end_date"
            raise OptionsError(f"A window has two ends: {missing} is missing.", problems={missing: "missing"})
        return cls(*(one if isinstance(one, str) else one.isoformat() for one in (start, end)))

    @property
    def upper(self) -> str:
        """Where it is over: what is before that belongs to it. The day behind a last day; else the end itself."""
        if is_time(self.end):
            return self.end
        return (date.fromisoformat(self.end) + timedelta(days=1)).isoformat()

    def __contains__(self, value: object) -> bool:
        """Whether a date, a time or ISO text belongs to it. What is none of these does not."""
        if isinstance(value, date):  # a datetime is one, too
            value = value.isoformat()
        if not isinstance(value, str):
            return False
        try:
            moment = parse_date(value, "")
        except OptionsError:
            return False
        start, upper = parse_date(self.start, ""), parse_date(self.upper, "")
        if (moment.tzinfo is None) != (start.tzinfo is None):
            moment, start, upper = (one.replace(tzinfo=None) for one in (moment, start, upper))
        return start <= moment < upper or (start == moment == upper)

    def split(self, every: str) -> Iterator[DateWindow]:
        """The window in pieces: ``1d``, ``7d``, ``1w``, ``1h``, ``1 month``, ``1y``. The last one may be shorter.

        Raises:
            OptionsError: *every* is no length of time, or hours of a window of dates; or there are too many pieces.
        """
        count, unit = _length(every)
        if unit == "h" and not is_time(self.start):
            raise OptionsError(
                f"Windows of {every} need times: say the start as {self.start}T00:00, and the end alike.",
                problems={"every": "hours of a window of dates"},
            )
        start, upper = parse_date(self.start, ""), parse_date(self.upper, "")
        begin, number = start, 0
        while begin < upper:
            number += 1
            if number > _MOST:
                raise OptionsError(f"More than {_MOST:,} windows of {every} are in it: is a year mistyped?")
            until = min(_later(start, count * number, unit), upper)
            yield self._piece(begin, until)
            begin = until

    def _piece(self, begin: datetime, until: datetime) -> DateWindow:
        if is_time(self.start):
            return DateWindow(begin.isoformat(), until.isoformat())
        return DateWindow(begin.date().isoformat(), (until.date() - timedelta(days=1)).isoformat())

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"


def parse_date(text: str, name: str) -> datetime:
    """The moment that ISO text means; of a date, when it begins.

    Raises:
        OptionsError: It means none.
    """
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise OptionsError(
            f"{name or 'A date'} is {text!r:.60}, which is no date. Write it as 2025-01-31, or 2025-01-31T12:00.",
            problems={name: "no date"},
        ) from None


def is_time(text: str) -> bool:
    """Whether ISO text has hours."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return True
    return False


def _length(every: str) -> tuple[int, str]:
    found = _EVERY.fullmatch(every.strip().lower())
    if found is None or not int(found[1]):
        raise OptionsError(
            f"every={every!r:.40} is no length of time. Write 1d, 7d, 1w, 12h, '1 month' or 1y.",
            problems={"every": "no length of time"},
        )
    return int(found[1]), found[2]


def _later(start: datetime, count: int, unit: str) -> datetime:
    try:
        if unit not in _MONTHS:
            return start + timedelta(**{{"h": "hours", "d": "days", "w": "weeks"}[unit]: count})
        months = start.month - 1 + count * _MONTHS[unit]
        year, month = start.year + months // 12, months % 12 + 1
        return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))
    except (OverflowError, ValueError):  # behind all dates that there are
        return datetime.max.replace(tzinfo=start.tzinfo)
