"""Records on their way into a table, on disk: what the columns of the table will be is known behind the last one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from pipe_arrow.column_types import widened_table
from pipe_arrow.feather_file import FeatherFile, FeatherWriter
from pipe_arrow.options import FeatherOptions
from pipe_arrow.reading import Reading


class Spill:
    """Files of records in a folder, one after the other: a new one where a record needs another type.

    Args:
        folder: Where they are.
        names: Those that are there already.
    """

    def __init__(self, folder: str, names: Sequence[str] = ()) -> None:
        self._folder = folder
        self.names = list(names)
        self._kind: pa.DataType | None = None
        self._raw: Any = None
        self._writer: FeatherWriter | None = None

    def write(self, table: pa.Table, kind: pa.DataType) -> None:
        """Take records. *kind* is the struct of their columns and of those before."""
        if self._writer is None or self._kind != kind:
            self.end()
            self._begin(kind)
        assert self._writer is not None  # it was begun
        self._writer.write(widened_table(table, kind))

    def end(self) -> None:
        """Bring the file that is written to its end, on stable storage."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            self._raw.close()
            synced(os.path.join(self._folder, self.names[-1]))

    def tables(self, columns: pa.Schema) -> Iterator[pa.Table]:
        """All records, in order, with *columns*, which hold theirs."""
        kind = pa.struct(list(columns))
        for name in self.names:
            file = FeatherFile(os.path.join(self._folder, name), Reading("feather"))
            try:
                for group in range(len(file.groups)):
                    for data in file.batches(group):
                        yield widened_table(pa.Table.from_batches([data]), kind)
            finally:
                file.close()

    def last_kind(self) -> pa.DataType | None:
        """The struct of the columns of all records; None where there are none."""
        if not self.names:
            return None
        file = FeatherFile(os.path.join(self._folder, self.names[-1]), Reading("feather"))
        try:
            return pa.struct(list(file.schema))
        finally:
            file.close()

    def clear(self) -> None:
        """Remove all of it."""
        self.close()
        for name in self.names:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, name))
        self.names = []

    def close(self) -> None:
        """Leave it as it is."""
        self._writer = None
        if self._raw is not None:
            with suppress(OSError):
                self._raw.close()
            self._raw = None

    def _begin(self, kind: pa.DataType) -> None:
        name = f"spill-{len(self.names):05d}-{secrets.token_hex(4)}.feather"
        self._raw = pa.OSFile(os.path.join(self._folder, name), "wb")
        self.names.append(name)
        self._kind = kind
        self._writer = FeatherWriter(self._raw, pa.schema(list(kind)), FeatherOptions(compression="lz4"))


def synced(path: str) -> None:
    """Bring a file to stable storage."""
    number = os.open(path, os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
