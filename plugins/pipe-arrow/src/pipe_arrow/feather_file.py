"""Feather, version 2: the file format of Arrow IPC. Reading and writing one file.

Arrow's format has no checksums. Those of the values of each record batch are put into its metadata, where other
programs look over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from pipe_arrow.checksum import checksum
from pipe_arrow.options import FeatherOptions
from pipe_arrow.reading import Damaged, Reading, RowGroup

_KEY: Final = b"pipe.checksum"
_LAST: Final = b"pipe.last"
_VERSION_1: Final = b"FEA1"


class FeatherFile:
    """An open Arrow IPC file. Its record batches are the row groups.

    Args:
        path: Where it is.
        how: What of it to read.
    """

    def __init__(self, path: str, how: Reading) -> None:
        self._raw = pa.OSFile(path)
        self._verify = how.verify
        try:
            if self._raw.read_at(min(4, self._raw.size()), 0) == _VERSION_1:
                raise Damaged("it is Feather of version 1, which is no longer written. Rewrite it with pyarrow.feather")
            self._file = pa.ipc.open_file(self._raw)
            schema = self._file.schema
            self._names = how.chosen(schema)
        except BaseException:
            self._raw.close()
            raise
        self.schema: pa.Schema = pa.schema([schema.field(name) for name in self._names])
        count, length = self._file.num_record_batches, self._raw.size()
        ends = [length * i // max(count, 1) for i in range(count + 1)]
        self.groups = [RowGroup(None, max(end - begin, 1), 0) for begin, end in pairwise(ends)]

    def batches(self, group: int) -> Iterator[pa.RecordBatch]:
        """The records of a record batch."""
        data, metadata = self._file.get_batch_with_custom_metadata(group)
        data.validate(full=True)
        expected = None if metadata is None else metadata.get(_KEY)
        if expected is not None and self._verify:
            if expected != checksum(data, group):
                raise Damaged(f"the checksum of its record batch {group} is wrong")
            if group == self._file.num_record_batches - 1 and _LAST not in metadata:
                raise Damaged("record batches are missing at its end")
        yield data.select(self._names)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


class FeatherWriter:
    """An Arrow IPC file that is written.

    Args:
        raw: Where its bytes go.
        schema: The names and types of its columns.
        options: Compression.
    """

    def __init__(self, raw: Any, schema: pa.Schema, options: FeatherOptions) -> None:
        packing = None if options.compression == "none" else options.compression
        self._writer = pa.ipc.new_file(raw, schema, options=pa.ipc.IpcWriteOptions(compression=packing))
        self._schema = schema
        self._last: pa.RecordBatch | None = None
        self._count = 0

    def write(self, table: pa.Table) -> None:
        """Write a record batch."""
        for data in table.combine_chunks().to_batches():
            self._put()
            self._last = pa.RecordBatch.from_arrays(list(map(_tight, data.columns)), schema=self._schema)

    def close(self) -> None:
        """Write the footer."""
        if self._last is None:  # without a record batch nothing says that none is missing
            self._last = pa.RecordBatch.from_pylist([], schema=self._schema)
        self._put({_LAST: b""})
        self._writer.close()

    def _put(self, more: Mapping[bytes, bytes] | None = None) -> None:
        data, self._last = self._last, None
        if data is not None:
            self._writer.write_batch(data, custom_metadata={_KEY: checksum(data, self._count), **(more or {})})
            self._count += 1


def _tight(array: pa.Array) -> pa.Array:
    """A copy with no more in its buffers than its values, so that equal values are equal bytes."""
    return pa.concat_arrays([array, array.slice(0, 0)])
