"""Pieces of a table: a range of keys that a worker reads by itself, and rows that the driver read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipe_core.kernel.contracts import Batch
from pipe_sql.reading import Key, Reading, Rows


@dataclass(frozen=True, slots=True)
class SqlSplit:
    """The rows whose keys are in a range. One statement reads them, so they are as they were at one moment.

    Attributes:
        reading: What is read.
        lower: The first key; None for the first that there is.
        upper: The key behind the last, or the last itself where *closed*.
        closed: Whether *upper* belongs to it.
        bytes: About how much it is.
    """

    reading: Reading
    lower: Key | None = field(repr=False)
    upper: Key = field(repr=False)
    closed: bool
    bytes: int

    @property
    def extent(self) -> None:
        """None: the borders are exact."""
        return

    def starting_at(self, begin: int) -> SqlSplit:
        """Itself: it has no border to correct."""
        return self

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records.

        The rows are fetched at once and the connection is closed: while hooks work on them, nothing is locked.

        Raises:
            SourceError: The database does not answer, or two rows have the same key.
        """
        with self.reading.errors(), self.reading.place.connect() as connection:
            rows = self.reading.page(connection, self.lower, self.upper, closed=self.closed)
        self.reading.check_order(rows)
        yield from self.reading.batches(rows, size)


@dataclass(frozen=True, slots=True)
class SqlChunk:
    """Consecutive rows that the driver has read."""

    reading: Reading
    rows: Rows = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        return self.reading.batches(self.rows, size)
