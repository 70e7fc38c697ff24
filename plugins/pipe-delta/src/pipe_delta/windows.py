"""Windows: which values belong to one, one by one and in columns, and which files of a table may have some."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipe_delta.options import Window


class WindowKindError(ValueError):
    """A column is of a type that has no dates."""


def holds(window: Window, value: Any) -> bool:
    """Whether *value*, a date, a time or ISO text, belongs to the window. Nothing does not."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return False
    if not isinstance(value, datetime.date):
        return False
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    start, before = _ends(window)
    return bool(start <= _plain(value) < before)


def mask(window: Window, column: Any) -> Any:
    """Which values of a column of Arrow belong to the window, as an array of booleans without nulls.

    Raises:
        WindowKindError: They are no dates.
    """
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        found = [value is not None and holds(window, value) for value in column.to_pylist()]
        return pa.array(found, pa.bool_())
    if not (types.is_date(kind) or types.is_timestamp(kind)):
        raise WindowKindError(f"the column {window.column!r} is {kind}, which has no dates")
    moments = column.cast(pa.timestamp("us", kind.tz) if types.is_timestamp(kind) else pa.timestamp("us"))
    counts = moments.cast(pa.int64())
    start, before = map(_count, _ends(window))
    inside = pc.and_(pc.greater_equal(counts, start), pc.less(counts, before))
    return pc.fill_null(inside, False)


def may_hold(window: Window, least: Any, most: Any) -> bool:
    """Whether a column with values from *least* to *most* may have some of the window. None: that is not known."""
    start, before = _ends(window)
    low, high = _moment(least), _moment(most)
    if low is None or high is None:
        return True
    # What a table knows of its files is cut off at milliseconds.
    return low < before and high + datetime.timedelta(milliseconds=1) > start


def _moment(value: Any) -> datetime.datetime | None:
    if isinstance(value, datetime.datetime):
        return _plain(value)
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    return None  # text sorts otherwise than what it means


def _ends(window: Window) -> tuple[datetime.datetime, datetime.datetime]:
    return _plain(datetime.datetime.fromisoformat(window.start)), _plain(datetime.datetime.fromisoformat(window.before))


def _plain(moment: datetime.datetime) -> datetime.datetime:
    """A moment of UTC, without saying so."""
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _count(moment: datetime.datetime) -> int:
    return (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
