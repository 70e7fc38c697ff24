"""Parquet: reading and writing one file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as types

from pipe_arrow.column_types import Conflict
from pipe_arrow.file_checksum import EMPTY, KEY, check, patch
from pipe_arrow.options import ParquetOptions
from pipe_arrow.reading import Damaged, Reading, RowGroup

_TAIL: Final = 8
"""Bytes behind the footer: its length, and a mark."""
_BUFFER: Final = 1 << 20
_BATCH_BYTES: Final = 16 << 20
_BATCH_ROWS: Final = 8192


class ParquetFile:
    """An open Parquet file.

    Args:
        path: Where it is.
        how: What of it to read.
    """

    def __init__(self, path: str, how: Reading) -> None:
        with open(path, "rb") as raw:
            check(raw, *_footer(raw), "its footer")
        self._raw = pa.OSFile(path)
        try:
            self._file = pq.ParquetFile(
                self._raw, page_checksum_verification=how.verify, buffer_size=_BUFFER, pre_buffer=False
            )
            self._metadata = self._file.metadata
            schema = self._file.schema_arrow
            self._check()
            self._names = how.chosen(schema)
        except BaseException:
            self._raw.close()
            raise
        self._all = how.columns is None
        self.schema: pa.Schema = pa.schema([schema.field(name) for name in self._names])

    def _check(self) -> None:
        rows = sum(self._metadata.row_group(i).num_rows for i in range(self._metadata.num_row_groups))
        if rows != self._metadata.num_rows:
            raise Damaged(f"its footer says {self._metadata.num_rows:,} records, its row groups have {rows:,}")

    @cached_property
    def groups(self) -> list[RowGroup]:
        """The row groups in their order."""
        return [self._group(i) for i in range(self._metadata.num_row_groups)]

    def _group(self, number: int) -> RowGroup:
        group = self._metadata.row_group(number)
        columns = [group.column(i) for i in range(group.num_columns)]
        if not self._all:
            chosen = set(self._names)
            columns = [column for column in columns if column.path_in_schema.partition(".")[0] in chosen]
        packed = sum(column.total_compressed_size for column in columns)
        return RowGroup(group.num_rows, max(packed, 1), sum(column.total_uncompressed_size for column in columns))

    def batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """The records of a row group, in pieces of some megabytes."""
        facts = self.groups[group]
        rows = facts.rows or 0
        size = min(_BATCH_ROWS, max(1, rows * _BATCH_BYTES // max(facts.size, 1)))
        found = 0
        columns = None if self._all else self._names
        for data in self._file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False):
            found += data.num_rows
            if found > rows:
                break
            yield data if self._all else data.select(self._names)
        if found != rows:
            raise Damaged(f"its row group {group} should have {rows:,} records, {found:,} were found")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()


class ParquetWriter:
    """A Parquet file that is written.

    Args:
        raw: Where its bytes go.
        schema: The names and types of its columns.
        options: Compression.
    """

    def __init__(self, raw: Any, schema: pa.Schema, options: ParquetOptions) -> None:
        _check_structs(pa.struct(list(schema)))
        self._raw = raw
        self._metadata = {KEY: EMPTY}
        self._writer = pq.ParquetWriter(
            raw, schema.with_metadata(self._metadata), compression=options.compression, write_page_checksum=True
        )

    def write(self, table: pa.Table) -> None:
        """Write a row group."""
        table = table.replace_schema_metadata(self._metadata)
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def close(self) -> None:
        """Write the footer, and its checksum."""
        self._writer.close()
        self._raw.flush()
        patch(self._raw, *_footer(self._raw))


def _check_structs(kind: pa.DataType, path: tuple[str, ...] = ()) -> None:
    """Raises `Conflict` for objects of which none has a field."""
    if types.is_list(kind):
        _check_structs(kind.value_type, path)
    if types.is_struct(kind):
        if path and not kind.num_fields:
            raise Conflict("objects without any field", "Parquet", path)
        for field in kind:
            _check_structs(field.type, (*path, field.name))


def _footer(raw: Any) -> tuple[int, int]:
    """Where the footer begins and ends; nothing for a file that has none."""
    end = raw.seek(0, 2) - _TAIL
    if end < _TAIL:
        return 0, 0
    raw.seek(end)
    return max(end - int.from_bytes(raw.read(4), "little"), 0), end
