"""Files of a table: records cut into partitions, files and row groups, which depend on the records alone."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipe_arrow.group_cutter import GroupCutter, weight_of
from pipe_arrow.python_values import values
from pipe_delta.partitions import partition_text
from pipe_delta.spill import synced

GROUP_ROWS: Final = 1 << 17
_MOST_WAITING: Final = 64 << 20
"""Bytes that wait for being a row group, of all partitions together."""
_MOST_OPEN: Final = 64
OWN: Final = re.compile(r"part-\d{5,}-[0-9a-f]{16}\.parquet")
"""What such files are called."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that was written, and waits for being a part of the table.

    Attributes:
        name: Its name in the folder where it was written.
        path: Where it goes, relative to the table.
        bytes: How large it is.
        rows: How many records it has.
        partition: The values of the columns that are not in it, as the log has them.
    """

    name: str
    path: str
    bytes: int
    rows: int
    partition: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Layout:
    """How files are written.

    Attributes:
        columns: All columns.
        partition_by: Those whose values make partitions.
        part_size: Records in a file.
        compression: Of the files.
    """

    columns: pa.Schema
    partition_by: tuple[str, ...]
    part_size: int
    compression: str

    @property
    def in_files(self) -> pa.Schema:
        """The columns that are in files."""
        return pa.schema([field for field in self.columns if field.name not in self.partition_by])


class _Part:
    """The file of a partition that is being written."""

    def __init__(self, layout: Layout, folder: str, key: Key, number: int) -> None:
        self.key = key
        self.rows = 0
        self.waiting: list[pa.Table] = []
        self.waiting_rows = 0
        self.weight = 0
        self._layout = layout
        self._folder = folder
        self._name = f"part-{number:05d}-{secrets.token_hex(8)}.parquet"
        self._raw = pa.OSFile(os.path.join(folder, self._name), "wb")
        self._writer = pq.ParquetWriter(
            self._raw, layout.in_files, compression=layout.compression, write_page_checksum=True
        )

    @property
    def room(self) -> int:
        """The most records that the row group in work still takes."""
        return min(GROUP_ROWS, self._layout.part_size - self.rows) - self.waiting_rows

    def add(self, table: pa.Table) -> None:
        self.waiting.append(table)
        self.waiting_rows += table.num_rows
        self.weight += weight_of(table)

    def flush(self) -> None:
        """Write what waits as a row group."""
        if self.waiting:
            table = pa.concat_tables(self.waiting).combine_chunks()
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
            self.rows += table.num_rows
            self.waiting, self.waiting_rows, self.weight = [], 0, 0

    def end(self) -> DataFile:
        self.flush()
        self._writer.close()
        self._raw.close()
        place = os.path.join(self._folder, self._name)
        synced(place)
        names = self._layout.partition_by
        folders = [f"{_safe(name)}={_safe(value)}" for name, value in zip(names, self.key, strict=True)]
        path = "/".join([*folders, self._name])
        return DataFile(self._name, path, os.path.getsize(place), self.rows, dict(zip(names, self.key, strict=True)))

    def close(self) -> None:
        self._raw.close()


def _safe(text: str | None) -> str:
    """Text as a part of a path that needs no quoting anywhere. What a partition is, the log says."""
    return "null" if text is None else _UNSAFE.sub("_", text)[:64]


def write_files(tables: Iterable[pa.Table], layout: Layout, folder: str) -> list[DataFile]:
    """Write all records into files in *folder*, on stable storage.

    Args:
        tables: The records, with all columns.
        layout: How they are written.
        folder: Where the files are until they go to the table.
    """
    return _Writing(layout, folder).files(tables)


class _Writing:
    def __init__(self, layout: Layout, folder: str) -> None:
        self._layout = layout
        self._folder = folder
        self._open: dict[Key, _Part] = {}  # those that were written to last are at the end
        self._done: list[DataFile] = []
        self._count = 0

    def files(self, tables: Iterable[pa.Table]) -> list[DataFile]:
        try:
            for group in self._groups(tables):
                for key, part in self._by_partition(group):
                    self._add(key, part)
            while self._open:
                self._end(next(iter(self._open)))
        except BaseException:
            for part in self._open.values():
                part.close()
            raise
        return sorted(self._done, key=lambda file: file.name)

    def _groups(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        cutter = GroupCutter(GROUP_ROWS)
        for table in tables:
            for group in cutter.add(table):
                yield pa.concat_tables(group)
        if cutter.waiting:
            yield pa.concat_tables(cutter.rest())

    def _by_partition(self, table: pa.Table) -> Iterator[tuple[Key, pa.Table]]:
        names = self._layout.partition_by
        if not names:
            yield (), table
            return
        table = table.combine_chunks()
        cells = [list(map(partition_text, _cells(table.column(name)))) for name in names]
        rows: dict[Key, list[int]] = {}
        for i, key in enumerate(zip(*cells, strict=True)):
            rows.setdefault(key, []).append(i)
        rest = table.select(self._layout.in_files.names)
        for key, positions in rows.items():
            yield key, rest.take(pa.array(positions, pa.int64()))

    def _add(self, key: Key, table: pa.Table) -> None:
        while table.num_rows:
            part = self._open.pop(key, None) or self._begun(key)
            self._open[key] = part
            piece = table.slice(0, part.room)
            part.add(piece)
            table = table.slice(piece.num_rows)
            if not part.room:
                part.flush()
            if part.rows >= self._layout.part_size:
                self._end(key)
        while sum(part.weight for part in self._open.values()) > _MOST_WAITING:
            max(self._open.values(), key=lambda part: part.weight).flush()

    def _begun(self, key: Key) -> _Part:
        if len(self._open) >= _MOST_OPEN:
            self._end(next(iter(self._open)))
        self._count += 1
        return _Part(self._layout, self._folder, key, self._count - 1)

    def _end(self, key: Key) -> None:
        self._done.append(self._open.pop(key).end())


def _cells(column: Any) -> list[Any]:
    return [cell for chunk in column.chunks for cell in values(chunk)]
