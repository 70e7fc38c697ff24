"""Pieces of tables on their way to a worker: splits, which say where to read, and chunks, which were read already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipe_arrow.python_values import batches_of
from pipe_arrow.reading import Reading, reading_errors
from pipe_core.kernel.contracts import Batch, Extent, SizeNow
from pipe_core.kernel.errors import SourceError


@dataclass(frozen=True, slots=True)
class TableSplit:
    """Consecutive row groups of a file, or a range of records of one that is large.

    Attributes:
        path: The file, absolute.
        how: How to read it.
        first: The first row group.
        last: The last one.
        bytes: About how many bytes of the file it stands for.
        begin: The first record of the row group `first`.
        end: The record of the row group `first` before which it ends; None for the end of `last`.
    """

    path: str
    how: Reading
    first: int
    last: int
    bytes: int
    begin: int = 0
    end: int | None = None

    @property
    def extent(self) -> Extent | None:
        """None: the borders are exact."""
        return None

    def starting_at(self, begin: int) -> TableSplit:
        """Itself: it has no borders to correct."""
        return self

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records. Raises `SourceError` when the file is damaged."""
        count = 0
        with reading_errors(self.path, lambda: count), self.how.opened(self.path) as file:
            for group in range(self.first, self.last + 1):
                for data in _between(file.batches(group), self.begin, self.end):
                    for batch in batches_of(data, size, self.how.truncate):
                        yield batch
                        count += len(batch.records)


def _between(batches: Iterator[pa.RecordBatch], begin: int, end: int | None) -> Iterator[pa.RecordBatch]:
    """The records from *begin* to *end* of a row group. To its end everything is read, so that it is checked."""
    at = 0
    for data in batches:
        length = data.num_rows
        start, stop = max(begin - at, 0), length if end is None else min(end - at, length)
        if start < stop:
            yield data.slice(start, stop - start)
        at += length
        if end is not None and at >= end:
            return


@dataclass(frozen=True, slots=True)
class TableChunk:
    """Consecutive records as an Arrow IPC stream.

    Attributes:
        data: The stream.
        rows: How many records it has.
        truncate: Whether digits behind the microseconds are cut off.
    """

    data: bytes
    rows: int
    truncate: bool

    def __len__(self) -> int:
        return self.rows

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        with pa.ipc.open_stream(self.data) as stream:
            for data in stream:
                yield from batches_of(data, size, self.truncate)


def chunk_of(table: pa.Table, truncate: bool) -> TableChunk:
    """The chunk of a table."""
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return TableChunk(buffer.getvalue().to_pybytes(), table.num_rows, truncate)


def cut(batches: Iterator[pa.RecordBatch], size: SizeNow, truncate: bool) -> Iterator[TableChunk]:
    """Chunks of ``size()`` records. What came before a `SourceError` is given first."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    while True:
        try:
            data = next(batches, None)
            failure = None
        except SourceError as error:
            data, failure = None, error
        if data is not None:
            waiting.append(data)
            rows += data.num_rows
        while rows >= (count := max(size(), 1)) or (rows and data is None):
            table = pa.Table.from_batches(waiting)
            yield chunk_of(table.slice(0, count), truncate)
            waiting = table.slice(count).to_batches()
            rows = max(rows - count, 0)
        if failure is not None:
            raise failure
        if data is None:
            return
