"""Avro as a source: chunks of records, which can only be found from the beginning."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipe_arrow.file_checksum import check
from pipe_arrow.fingerprints import fingerprint_of
from pipe_arrow.reading import reading_errors
from pipe_arrow.table_source import found_files
from pipe_core.kernel.contracts import Batch, Rejection, SizeNow
from pipe_core.kernel.copies import detached
from pipe_core.kernel.errors import SourceError


@dataclass(slots=True)
class RecordsChunk:
    """Consecutive records."""

    records: list[Any]

    def __len__(self) -> int:
        return len(self.records)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records, which are copies."""
        for start in range(0, len(self.records), size):
            yield _copied(self.records[start : start + size])


def _copied(items: list[Any]) -> Batch:
    try:
        return Batch(list(map(detached, items)), items.__getitem__)
    except RecursionError:
        pass
    records: list[Any] = []
    rejected: dict[int, Rejection] = {}
    for i, item in enumerate(items):
        try:
            records.append(detached(item))
        except RecursionError:
            records.append(None)
            rejected[i] = Rejection("TooDeep", "The record is nested deeper than Python can follow.", "")
    return Batch(records, lambda i: rejected[i].raw if i in rejected else items[i], rejected)


class AvroSource:
    """The records of a file, or of the files in a folder in the order of `found_parts`.

    Args:
        path: The file or folder.
        suffixes: Of the files that are read in a folder.
    """

    def __init__(self, path: str, suffixes: tuple[str, ...]) -> None:
        self._path = path
        self._suffixes = suffixes
        self._files: list[str] = []
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
        """The names of the fields of the first file. Known after `open`."""
        return self._fields

    @property
    def size(self) -> None:
        """None: how many records there are is known at the end."""
        return

    def open(self) -> None:
        """Read the header of each file, and compare its checksum where it has one. Raises `SourceError`."""
        import fastavro

        self._files = found_files(self._path, self._suffixes)
        for path in self._files:
            with reading_errors(path), open(path, "rb") as file:
                check(file, 0, os.fstat(file.fileno()).st_size, "the file")
                file.seek(0)
                schema: Any = fastavro.reader(file).writer_schema
                if self._fields is None and isinstance(schema, dict) and "fields" in schema:
                    self._fields = tuple(field["name"] for field in schema["fields"])

    def splits(self, size: SizeNow) -> None:
        """None: where a record begins is only known from the beginning."""
        return

    def chunks(self, size: SizeNow) -> Iterator[RecordsChunk]:
        """Chunks of ``size()`` records. What came before an error is given first."""
        items = self._records()
        failure: SourceError | None = None
        while failure is None:
            records: list[Any] = []
            count = max(size(), 1)
            try:
                for record in items:
                    records.append(record)
                    if len(records) == count:
                        break
            except SourceError as error:
                failure = error
            if records:
                yield RecordsChunk(records)
            if failure is None and len(records) < count:
                return
        raise failure

    def read_table(self) -> pa.Table:
        """All records as one table. Raises `SourceError`."""
        records = [record for chunk in self.chunks(lambda: 10_000) for record in chunk.records]
        with reading_errors(self.name):
            if records:
                return pa.Table.from_pylist(records)
            return pa.schema([(name, pa.null()) for name in self._fields or ()]).empty_table()

    def fingerprint(self) -> dict[str, Any]:
        """See `FingerprintedSource`: of each file."""
        return {"files": fingerprint_of(self._files)}

    def close(self) -> None:
        """Files are open only while they are read."""

    def _records(self) -> Iterator[Any]:
        from pipe_arrow.avro_depth import avro_records

        count = 0

        def position() -> int:
            return count

        for path in self._files:
            with reading_errors(os.path.abspath(path), position), open(path, "rb") as file:
                for record in avro_records(file):
                    yield record
                    count += 1
