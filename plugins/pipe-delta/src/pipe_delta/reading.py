"""Reading files of a table: each one gets the columns of the table, whatever these were when it was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipe_arrow.column_types import widened
from pipe_delta.options import Window
from pipe_delta.place import Place
from pipe_delta.windows import mask

_BATCH_ROWS: Final = 8192


class DamagedTableError(ValueError):
    """A file does not agree with what the table says of it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Records of one file. Small and plain: it travels.

    Attributes:
        path: The file, relative to the table.
        rows: How many records the file has; None where the table does not say.
        partition: The values of the columns that are not in it.
        begin: The first record.
        end: The record before which it ends; None for the end of the file.
    """

    path: str
    rows: int | None
    partition: tuple[tuple[str, Any], ...] = ()
    begin: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How files of a table are read. Small and plain: it travels.

    Attributes:
        place: Where the table is.
        schema: The columns that are given, with their types.
        window: Only the records of this window.
    """

    place: Place
    schema: pa.Schema
    window: Window | None = None

    def batches(self, piece: Piece) -> Iterator[pa.RecordBatch]:
        """The records of a piece."""
        partition = dict(piece.partition)
        for data in _rows(self.place, piece, self._needed(partition)):
            if self.window is not None:
                data = data.filter(mask(self.window, self._column(data, partition)))
            yield conformed(data, self.schema, partition)

    def _needed(self, partition: dict[str, Any]) -> list[str]:
        names = [name for name in self.schema.names if name not in partition]
        if self.window is not None and self.window.column not in [*names, *partition]:
            names.append(self.window.column)
        return names

    def _column(self, data: pa.RecordBatch, partition: dict[str, Any]) -> pa.Array:
        assert self.window is not None  # who calls has looked
        name = self.window.column
        if name in data.schema.names:
            return data.column(name)
        if partition.get(name) is None:
            return pa.nulls(data.num_rows, pa.date32())
        return pa.array([partition[name]] * data.num_rows)


def _rows(place: Place, piece: Piece, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The records of a piece as they are in its file, of those of the columns *names* that it has."""
    with closing(place.opened(piece.path)) as raw:
        file = pq.ParquetFile(raw, page_checksum_verification=True, pre_buffer=False)
        if piece.rows is not None and file.metadata.num_rows != piece.rows:
            raise DamagedTableError(
                f"{piece.path} should have {piece.rows:,} records, {file.metadata.num_rows:,} were found"
            )
        there = [name for name in names if name in file.schema_arrow.names]
        end = file.metadata.num_rows if piece.end is None else piece.end
        at = 0
        for group in range(file.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            if at < end and at + length > piece.begin:
                yield from _between(file, group, there, piece.begin - at, end - at)
            at += length


def _between(file: pq.ParquetFile, group: int, names: list[str], begin: int, end: int) -> Iterator[pa.RecordBatch]:
    at = 0
    length = file.metadata.row_group(group).num_rows
    if not names:  # how many there are is all that is asked for
        count = min(end, length) - max(begin, 0)
        yield pa.record_batch({"": pa.nulls(count)}).select([])
        return
    for data in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names, use_threads=False):
        start, stop = max(begin - at, 0), min(end - at, data.num_rows)
        if start < stop:
            yield data.slice(start, stop - start)
        at += data.num_rows
        if at >= end:
            return


def conformed(data: pa.RecordBatch, schema: pa.Schema, partition: dict[str, Any]) -> pa.RecordBatch:
    """*data* with the columns *schema*: those that it lacks are from *partition*, or without values."""
    arrays = []
    for field in schema:
        if field.name in data.schema.names:
            arrays.append(widened(data.column(field.name), field.type))
        elif partition.get(field.name) is not None:
            arrays.append(pa.array([partition[field.name]] * data.num_rows, field.type))
        else:
            arrays.append(pa.nulls(data.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
