"""Windows of dates in statements. They mean what they mean elsewhere, whatever the column is.

A time without an offset, or a window without one, is taken as it is written. So every row belongs to one day, and the
rows that are replaced are those that are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pipe_core import OptionsError
from pipe_sql.place import Place
from pipe_sql.sqlite_dates import WITHIN

_TYPES: Final = {"date": "timestamp", "datetime": "timestamp", "datetimetz": "timestamptz"}
_MIDNIGHT: Final = "T00:00:00"


@dataclass(frozen=True, slots=True)
class Between:
    """Dates from `start` on and before `upper`.

    Attributes:
        column: The column with the dates.
        start: The first moment, as ISO 8601.
        upper: That before which they are.
        kind: What PostgreSQL keeps in the column: ``date``, ``datetime``, ``datetimetz``; anything else is compared as
            text.
    """

    column: str
    start: str
    upper: str
    kind: str = "other"

    @classmethod
    def of(cls, column: str, start: str, upper: str) -> Between:
        """The dates between two. Raises `OptionsError` where these are none."""
        try:
            first, end = (datetime.fromisoformat(one).isoformat() for one in (start, upper))
        except (TypeError, ValueError):
            text = f"{start!r} and {upper!r} are to be dates, as ISO 8601 has them, such as 2025-01-31."
            raise OptionsError(text, problems={"between": "no dates"}) from None
        return cls(column, first, end)

    @classmethod
    def known(cls, told: Sequence[Any] | None) -> Between | None:
        """What somebody has written down as `plain`. Raises ValueError where it is damaged."""
        if told is None:
            return None
        column, start, upper, kind = map(str, told)
        return cls.of(column, start, upper).as_kept(kind)

    @property
    def plain(self) -> list[str]:
        """It, as JSON can say it."""
        return [self.column, self.start, self.upper, self.kind]

    def as_kept(self, kind: str) -> Between:
        """The same, where the column is of that kind."""
        return replace(self, kind=kind)

    def condition(self, place: Place) -> str:
        """What is true of the rows that belong to it."""
        column = place.quoted(self.column)
        if place.dialect == "sqlite":
            return f"{WITHIN}({column}, '{self.start}', '{self.upper}')"
        value, start, upper = self._compared(column)
        if start != upper:
            return f"{value} >= {start} AND {value} < {upper}"
        if self.kind in _TYPES:
            return f"{value} = {start}"
        return f"{value} ~ '^{_beginning(self.start)}(T00)?(:00)*(Z|[+-].*)?$'"

    def _compared(self, column: str) -> tuple[str, str, str]:
        ends = self.start, self.upper
        if self.kind == "date" and all(end.endswith(_MIDNIGHT) for end in ends):  # an index helps then
            start, upper = (f"'{end.removesuffix(_MIDNIGHT)}'::date" for end in ends)
            return column, start, upper
        if self.kind in _TYPES:
            start, upper = (f"'{end}'::{_TYPES[self.kind]}" for end in ends)
            return (f"{column}::timestamp" if self.kind == "date" else column), start, upper
        start, upper = (f"'{_beginning(end)}'" for end in ends)
        return f"replace({column}::text, ' ', 'T') COLLATE \"C\"", start, upper


def _beginning(end: str) -> str:
    """What every text of that moment, as ISO 8601 has them, begins with."""
    text = datetime.fromisoformat(end).replace(tzinfo=None).isoformat()
    return text.removesuffix(":00").removesuffix(":00").removesuffix("T00")
