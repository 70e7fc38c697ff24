"""Files of columns as a source: splits for the workers, or chunks of records."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipe_arrow.fingerprints import fingerprint_of
from pipe_arrow.pieces import TableChunk, TableSplit, cut
from pipe_arrow.reading import Reading, RowGroup, reading_errors
from pipe_core.formats.part_folder import found_parts
from pipe_core.kernel.contracts import SizeNow
from pipe_core.kernel.errors import SourceError

_MOST_ROWS = 1 << 17
_MOST_BYTES = 64 << 20
"""A row group with more is cut into ranges of records, so that no worker has to hold what became of all of it."""


class TableSource:
    """The records of a file, or of the files in a folder in the order of `found_parts`.

    Args:
        path: The file or folder.
        how: What is read.
        suffixes: Of the files that are read in a folder.
    """

    def __init__(self, path: str, how: Reading, suffixes: tuple[str, ...]) -> None:
        self._path = path
        self._how = how
        self._suffixes = suffixes
        self._files: list[tuple[str, list[RowGroup]]] = []
        self._fields: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The path."""
        return self._path

    @property
    def live(self) -> bool:
        """False: files do not block."""
        return False

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The names of the columns. Known after `open`."""
        return self._fields

    @property
    def size(self) -> int:
        """The bytes of all row groups."""
        return sum(group.bytes for _, groups in self._files for group in groups)

    def open(self) -> None:
        """Read what each file says of itself. Raises `SourceError`."""
        self._files = []
        for path in found_files(self._path, self._suffixes):
            name = self.name if path == self._path else path
            with reading_errors(name), self._how.opened(path) as file:
                self._check_fields(name, tuple(file.schema.names))
                self._files.append((os.path.abspath(path), list(file.groups)))

    def splits(self, size: SizeNow) -> Iterator[TableSplit]:
        """Row groups, small ones together, up to about ``size()`` bytes; large ones in ranges of records."""
        return self._splits(size, 0, 0, 0)

    def splits_from(self, count: int, size: SizeNow) -> Iterator[TableSplit] | None:
        """See `CountedSource`: where the file tells how many records its row groups have, as Parquet does."""
        for number, (_, groups) in enumerate(self._files):
            for first, group in enumerate(groups):
                if group.rows is None:
                    return None
                if count < group.rows:
                    return self._splits(size, number, first, count)
                count -= group.rows
        return None if count else iter(())

    def _splits(self, size: SizeNow, number: int, first: int, record: int) -> Iterator[TableSplit]:
        """Splits from a record of a row group of a file on."""
        for path, groups in self._files[number:]:
            if record:
                rest: list[tuple[int, int | None, int]] = [*_ranges(groups[first])]
                for begin, end, length in rest or [(0, None, groups[first].bytes)]:
                    if end is None or end > record:
                        yield TableSplit(path, self._how, first, first, length, max(begin, record), end)
                first, record = first + 1, 0
            while first < len(groups):
                if ranges := _ranges(groups[first]):
                    for begin, end, length in ranges:
                        yield TableSplit(path, self._how, first, first, length, begin, end)
                    first += 1
                    continue
                last, length, most = first, groups[first].bytes, size()
                while last + 1 < len(groups) and length + groups[last + 1].bytes <= most:
                    if _ranges(groups[last + 1]):
                        break
                    last += 1
                    length += groups[last].bytes
                yield TableSplit(path, self._how, first, last, length)
                first = last + 1
            first = 0

    def chunks(self, size: SizeNow) -> Iterator[TableChunk]:
        """Chunks of ``size()`` records. What came before an error is given first."""
        return cut(self._batches(), size, self._how.truncate)

    def read_table(self) -> pa.Table:
        """All records as one table. A column that only some files have, or of a wider type in some, fits all of them.

        Raises:
            SourceError: A file is damaged, or the columns do not go together.
        """
        tables: list[pa.Table] = []
        for path, groups in self._files:
            with reading_errors(path, lambda: sum(table.num_rows for table in tables)), self._how.opened(path) as file:
                data = [batch for i in range(len(groups)) for batch in file.batches(i)]
                tables.append(pa.Table.from_batches(data, file.schema).replace_schema_metadata(None))
        with reading_errors(self.name):
            return pa.concat_tables(tables, promote_options="permissive")

    def fingerprint(self) -> dict[str, Any]:
        """See `FingerprintedSource`: of each file, and which columns are read."""
        columns = self._how.columns
        return {
            "files": fingerprint_of(path for path, _ in self._files),
            "columns": None if columns is None else list(columns),
        }

    def close(self) -> None:
        """Files are open only while they are read."""

    def _batches(self) -> Iterator[pa.RecordBatch]:
        count = 0

        def position() -> int:
            return count

        for path, groups in self._files:
            with reading_errors(path, position), self._how.opened(path) as file:
                for i in range(len(groups)):
                    for data in file.batches(i):
                        yield data
                        count += data.num_rows

    def _check_fields(self, name: str, fields: tuple[str, ...]) -> None:
        if self._fields is not None and fields != self._fields:
            raise SourceError(
                f"The columns of {name!r} ({', '.join(fields)}) are not those of the first file "
                f"({', '.join(self._fields)}). Choose common ones with the option columns.",
                source=name,
                position=0,
            )
        self._fields = fields


def found_files(path: str, suffixes: tuple[str, ...]) -> list[str]:
    """The file *path*, or the files in the folder *path*.

    Raises:
        SourceError: There is none.
    """
    with reading_errors(path):
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return [path]
        if not stat.S_ISDIR(mode):
            raise SourceError(f"{path!r} is neither a file nor a folder of files.", source=path, position=0)
        files = list(found_parts(path, suffixes))
        if not files:
            text = f"{path!r} is a folder without any file that ends in {' or '.join(suffixes)}."
            raise SourceError(text, source=path, position=0)
        return files


def _ranges(group: RowGroup) -> list[tuple[int, int, int]]:
    """The ranges of a large row group, with the bytes that each stands for; none for others."""
    if group.rows is None or (group.rows <= _MOST_ROWS and group.size <= _MOST_BYTES):
        return []
    count = min(max(-(-group.rows // _MOST_ROWS), -(-group.size // _MOST_BYTES)), group.rows)
    ends = [group.rows * i // count for i in range(count + 1)]
    marks = [group.bytes * i // count for i in range(count + 1)]
    return [(ends[i], ends[i + 1], marks[i + 1] - marks[i]) for i in range(count)]
