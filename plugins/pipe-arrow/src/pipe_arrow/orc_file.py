"""ORC: reading and writing one file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.types as types

from pipe_arrow.column_types import widened_table
from pipe_arrow.options import OrcOptions
from pipe_arrow.reading import Reading, RowGroup


class OrcFile:
    """An open ORC file. Its stripes are the row groups; how many records one has is known when it was read.

    Args:
        path: Where it is.
        how: What of it to read.
    """

    def __init__(self, path: str, how: Reading) -> None:
        self._raw = pa.OSFile(path)
        try:
            self._file = orc.ORCFile(self._raw)
            schema = self._file.schema
            self._names = how.chosen(schema)
        except BaseException:
            self._raw.close()
            raise
        self.schema: pa.Schema = pa.schema([schema.field(name) for name in self._names])
        self.groups = _even(self._file.content_length, self._file.nstripes, self._file.nrows)

    def batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """The records of a stripe."""
        yield self._file.read_stripe(group, columns=self._names).select(self._names)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


def _even(length: int, count: int, rows: int) -> list[RowGroup]:
    """Stripes as if they were all the same size. Where there is only one, it has all the records."""
    ends = [length * i // max(count, 1) for i in range(count + 1)]
    known = rows if count == 1 else None
    return [RowGroup(known, max(end - begin, 1), 0) for begin, end in pairwise(ends)]


class OrcWriter:
    """An ORC file that is written. A column without any value is one of text: ORC has no type for it.

    Args:
        raw: Where its bytes go.
        schema: The names and types of its columns.
        options: Compression and the size of the stripes.
    """

    def __init__(self, raw: Any, schema: pa.Schema, options: OrcOptions) -> None:
        self._schema = pa.schema([(field.name, _typed(field.type)) for field in schema])
        packing = "uncompressed" if options.compression == "none" else options.compression
        self._writer = orc.ORCWriter(raw, compression=packing, stripe_size=options.stripe_bytes)
        self._is_empty = True

    def write(self, table: pa.Table) -> None:
        """Write some records."""
        self._writer.write(widened_table(table, pa.struct(list(self._schema))))
        self._is_empty = False

    def close(self) -> None:
        """Write the footer."""
        if self._is_empty:  # the columns come from the first table
            self._writer.write(self._schema.empty_table())
        self._writer.close()


def _typed(kind: pa.DataType) -> pa.DataType:
    if types.is_null(kind):
        return pa.string()
    if types.is_list(kind):
        return pa.list_(_typed(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, _typed(field.type)) for field in kind])
    return kind
