"""Entries as plain data and classes of the table of types, by columns.

What is sent of a view is the value that it shows, and what a hook added to it or put in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipe_core.records.entry import Entry, EntryStatus
from pipe_core.records.views import OpenView, SlotView, added_keys, is_view_of

_STATUSES: Final = tuple(EntryStatus)
_NO_VIEW: Final = 0
_OF_VALUE: Final = 1
_OF_RAW: Final = 2
_REPLACED: Final = 3


def plain_entries(entries: Sequence[Entry]) -> list[Any]:
    """Everything that the readers of *entries* can see of them, without positions, which the driver knows."""
    shown = [_shown(entry) for entry in entries]
    return [
        [entry._index for entry in entries],
        [entry.part for entry in entries],
        [_STATUSES.index(entry.status) for entry in entries],
        [entry.raw_data for entry in entries],
        [kind for kind, _, _ in shown],
        [value for _, value, _ in shown],
        _unless_empty([rest for _, _, rest in shown]),
        _unless_empty([entry._errors for entry in entries]),
        _unless_empty([entry._metadata for entry in entries]),
    ]


def _unless_empty(column: list[Any]) -> list[Any] | None:
    return column if any(column) else None


def _shown(entry: Entry) -> tuple[int, Any, Any]:
    """How the entry shows its validated data, the value behind it, and what is not in that value."""
    value, view = entry._value, entry.validated_data
    if value is None and view is None:
        return _NO_VIEW, None, None
    if not is_view_of(value, view):
        return _REPLACED, value, [dict(view) if isinstance(view, OpenView | SlotView) else view]
    if value is entry.raw_data:
        return _OF_RAW, None, None
    return _OF_VALUE, value, added_keys(value, view, None) or None


def entries_of(plain: Sequence[Any]) -> list[Entry]:
    """The entries that `plain_entries` took apart."""
    indexes, parts, statuses, raws, kinds, values, rests, errors, metadata = plain
    none = [None] * len(indexes)
    rows = zip(
        indexes, parts, statuses, raws, kinds, values, rests or none, errors or none, metadata or none, strict=True
    )
    return [_entry(*row) for row in rows]


def _entry(
    index: int, part: int, status: int, raw: Any, kind: int, value: Any, rest: Any, errors: Any, metadata: Any
) -> Entry:
    entry = Entry(raw, index)
    entry.part, entry.status, entry._errors, entry._metadata = part, _STATUSES[status], errors, metadata
    if kind == _OF_VALUE:
        entry._set_value(value)
        if rest:
            view = entry.validated_data
            (view.added if isinstance(view, SlotView) else view).update(rest)
    elif kind == _OF_RAW:
        entry._set_value(raw)
    elif kind == _REPLACED:
        entry._value = value
        (entry.validated_data,) = rest
    return entry
