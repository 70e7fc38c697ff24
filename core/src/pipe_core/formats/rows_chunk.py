"""Rows that were read on the driver, on their way to a worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipe_core.formats.csv_rows import Cells, Rows
from pipe_core.kernel.contracts import Batch, Rejection


@dataclass(slots=True)
class RowsChunk:
    """Consecutive rows, as plain data.

    Attributes:
        fields: The names of the cells.
        rows: One list of cells a record; an empty one where rejected.
        rejected: The records that could not be read, by index.
    """

    fields: tuple[str, ...]
    rows: list[Cells]
    rejected: Mapping[int, Rejection] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        for start in range(0, len(self.rows), size):
            stop = start + size
            rejected = {i - start: why for i, why in self.rejected.items() if start <= i < stop}
            yield rows_batch(self.fields, self.rows[start:stop], rejected)


def rows_batch(fields: tuple[str, ...], rows: list[Cells], rejected: Mapping[int, Rejection]) -> Batch:
    """The batch of some rows."""
    if not rejected:
        return Batch([dict(zip(fields, row)) for row in rows], lambda i: dict(zip(fields, rows[i])))
    records = [None if i in rejected else dict(zip(fields, row)) for i, row in enumerate(rows)]

    def raw(i: int) -> Any:
        return rejected[i].raw if i in rejected else dict(zip(fields, rows[i]))

    return Batch(records, raw, rejected)


def regrouped(groups: Iterator[Rows], size: int) -> Iterator[Rows]:
    """The same rows in groups of exactly *size*, but for the last one. What came before an error is given first."""
    pending, failure = Rows([]), None
    while failure is None:
        try:
            group = next(groups)
        except Exception as error:  # StopIteration too; raised again below, behind the rows
            failure = error
            break
        shift = len(pending.rows)
        pending.rows.extend(group.rows)
        pending.rejected.update({i + shift: why for i, why in group.rejected.items()})
        while len(pending.rows) >= size:
            yield _cut(pending, 0, size)
            pending = _cut(pending, size, len(pending.rows))
    if pending.rows:
        yield pending
    if not isinstance(failure, StopIteration):
        raise failure


def _cut(rows: Rows, start: int, stop: int) -> Rows:
    rejected = {i - start: why for i, why in rows.rejected.items() if start <= i < stop}
    return Rows(rows.rows[start:stop], rejected)
