"""Rows that were read on the driver, on their way to a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipe_core.formats.group import Group
from pipe_core.formats.record_maker import record_maker
from pipe_core.kernel.contracts import Batch, Rejection
from pipe_core.kernel.errors import CodecError
from pipe_core.kernel.portable import pack_rejected, unpack_rejected

_BETWEEN: Final = "\0"
"""Stands between the cells of a column of text. Hardly a cell has it: in CSV its row is rejected."""


@dataclass(slots=True)
class RowsChunk:
    """Consecutive rows, as plain data.

    Attributes:
        fields: The names of the cells.
        rows: One list of cells a record; an empty one where rejected.
        rejected: The records that could not be read, by index.
    """

    fields: tuple[str, ...]
    rows: list[list[Any]]
    rejected: Mapping[int, Rejection] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        for piece in Group(self.rows, self.rejected).pieces(size):
            yield rows_batch(self.fields, piece)

    def pack(self) -> list[Any]:
        """The cells by columns, those of text joined: far less work for a codec than a list for each row."""
        rows = self.rows
        if self.rejected:
            rows = [row for i, row in enumerate(rows) if i not in self.rejected]
        if not set(map(len, rows)) <= {len(self.fields)}:
            raise CodecError("Some rows have more or fewer cells than there are fields.")
        return [list(self.fields), list(map(_packed, zip(*rows, strict=True))), len(rows), pack_rejected(self.rejected)]

    @classmethod
    def unpack(cls, fields: list[str], columns: list[Any], count: int, rejected: list[Any]) -> RowsChunk:
        """The chunk that `pack` took apart."""
        rows: list[list[Any]] = (
            list(map(list, zip(*map(_unpacked, columns), strict=True))) if columns else [[] for _ in range(count)]
        )
        if len(rows) != count:
            raise CodecError(f"The chunk is malformed: it has {len(rows)} rows and not {count}.")
        bad = unpack_rejected(rejected)
        for i in sorted(bad):
            rows.insert(i, [])
        return cls(tuple(fields), rows, bad)


def _packed(column: tuple[Any, ...]) -> str | list[Any]:
    """The cells of a column as one text where that is possible, else in a list."""
    if set(map(type, column)) == {str}:
        text = _BETWEEN.join(column)
        if text.count(_BETWEEN) == len(column) - 1:
            return text
    return list(column)


def _unpacked(column: str | list[Any]) -> list[Any]:
    return column.split(_BETWEEN) if isinstance(column, str) else column


def rows_batch(fields: tuple[str, ...], group: Group[list[Any]]) -> Batch:
    """The batch of some rows."""
    make, rows, rejected = record_maker(fields), group.items, group.rejected
    if not rejected:
        return Batch(make(rows), lambda i: make(rows[i : i + 1])[0])
    good = iter(make([row for i, row in enumerate(rows) if i not in rejected]))
    records = [None if i in rejected else next(good) for i in range(len(rows))]
    return Batch(records, lambda i: rejected[i].raw if i in rejected else make(rows[i : i + 1])[0], rejected)
