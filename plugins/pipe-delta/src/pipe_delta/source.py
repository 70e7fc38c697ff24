"""A table as a source: its files as splits for the workers, or chunks of records, or all of it as one Arrow table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, Final

import pyarrow as pa
from deltalake import DeltaTable

from pipe_arrow.pieces import TableChunk, cut
from pipe_arrow.python_values import batches_of
from pipe_core.kernel.contracts import Batch, Extent, Followed, SizeNow
from pipe_core.kernel.errors import OptionsError, SourceError
from pipe_core.kernel.index import suggestion
from pipe_delta.following import Follower
from pipe_delta.options import DeltaOptions, with_window
from pipe_delta.place import Place
from pipe_delta.reading import Piece, Reading
from pipe_delta.table_files import TableFile, check_readable, files_of, schema_of

_MOST_ROWS: Final = 1 << 17
"""A file with more is cut into ranges of records. As many are in a row group of the files that this package writes."""
_MOST_FILES: Final = 16
"""So many small files make a split at most."""


@dataclass(frozen=True, slots=True)
class DeltaSplit:
    """Some files of a table, or a range of the records of one.

    Attributes:
        reading: How they are read.
        pieces: What of them.
        bytes: About how many bytes of the files it stands for.
    """

    reading: Reading
    pieces: tuple[Piece, ...]
    bytes: int

    @property
    def extent(self) -> Extent | None:
        """None: the borders are exact."""
        return None

    def starting_at(self, begin: int) -> DeltaSplit:
        """Itself: it has no borders to correct."""
        return self

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records. Raises `SourceError` when a file is damaged or gone."""
        count = 0
        for data in read(self.reading, self.pieces):
            for batch in batches_of(data, size, False):
                yield batch
                count += len(batch.records)


class DeltaSource:
    """The records of a table, file by file in the order in which these were written.

    Args:
        place: Where it is.
        options: What of it is read.
    """

    def __init__(self, place: Place, options: DeltaOptions) -> None:
        self._place = place
        self._options = options
        self._reading: Reading | None = None
        self._files: list[TableFile] = []
        self._table: DeltaTable | None = None

    @property
    def name(self) -> str:
        """The path; the URL without secrets."""
        return self._place.name

    @property
    def live(self) -> bool:
        """False: files do not block."""
        return False

    @property
    def fields(self) -> Sequence[str] | None:
        """The names of the columns. Known after `open`."""
        return None if self._reading is None else tuple(self._reading.schema.names)

    @property
    def size(self) -> int:
        """The bytes of all files that are read."""
        return sum(file.bytes for file in self._files)

    def read_between(self, column: str, start: str, upper: str) -> None:
        """Before `open`: give only the records of some dates.

        Args:
            column: The column with the dates.
            start: The first date or time, as ISO 8601.
            upper: That before which they are.

        Raises:
            OptionsError: These are no dates, or not in order.
        """
        self._options = with_window(self._options, {"column": column, "start": start, "before": upper})

    def open(self) -> None:
        """Read the log of the table. Raises `SourceError`, and `OptionsError` for a column that is not there."""
        with self._place.reading():
            table = self._place.table()
            self._travel(table)
            check_readable(self._place, table)
            schema = schema_of(table)
            self._check_options(table, schema)
            names = self._options.columns or schema.names
            chosen = pa.schema([schema.field(name) for name in names])
            self._reading = Reading(self._place, chosen, self._options.window)
            self._files = [file for file in files_of(table) if self._is_read(file)]
            self._table = table

    def splits(self, size: SizeNow) -> Iterator[DeltaSplit]:
        """Files, small ones together, up to about ``size()`` bytes; large ones in ranges of records."""
        reading = self._opened()
        waiting: list[Piece] = []
        length, most = 0, size()
        for file in self._files:
            ranges = _ranges(file)
            if waiting and (len(ranges) > 1 or length + file.bytes > most or len(waiting) == _MOST_FILES):
                yield DeltaSplit(reading, tuple(waiting), length)
                waiting, length, most = [], 0, size()
            if len(ranges) == 1:
                waiting.append(ranges[0][0])
                length += file.bytes
                continue
            for piece, part in ranges:
                yield DeltaSplit(reading, (piece,), part)
        if waiting:
            yield DeltaSplit(reading, tuple(waiting), length)

    def chunks(self, size: SizeNow) -> Iterator[TableChunk]:
        """Chunks of ``size()`` records."""
        return cut(self._batches(), size, False)

    def read_table(self) -> pa.Table:
        """All records as one table of Arrow. Raises `SourceError`."""
        return pa.Table.from_batches(self._batches(), self._opened().schema)

    def follow(self, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None) -> Followed:
        """See `FollowableSource`. What was there at first comes first, then what each version has added.

        Raises:
            SourceError: As `Follower.follow`.
        """
        reading = self._opened()
        assert self._table is not None  # it is open
        with self._place.reading():
            follower = Follower(self._place, self._table, reading, self._files, self._is_read)
            return follower.follow(since, limit, until)

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: the table, its version, and what of it is read."""
        assert self._table is not None  # it is open
        options = self._options
        asked = [options.columns, options.partitions, options.window and options.window.model_dump()]
        return {
            "table": str(self._table.metadata().id),
            "version": self._table.version(),
            "read": sha256(json.dumps(asked, default=str, sort_keys=True).encode()).hexdigest()[:16],
        }

    def close(self) -> None:
        """Files are open only while they are read."""

    def _batches(self) -> Iterator[pa.RecordBatch]:
        return read(self._opened(), [_whole(file) for file in self._files])

    def _opened(self) -> Reading:
        if self._reading is None:
            raise SourceError(f"The Delta table {self.name!r} is not open.", source=self.name, position=0)
        return self._reading

    # --- options ---

    def _travel(self, table: DeltaTable) -> None:
        version, timestamp = self._options.version, self._options.timestamp
        if timestamp is not None:
            moment = datetime.fromisoformat(timestamp)
            table.load_as_version(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
        elif version is not None:
            newest = table.version()
            if version > newest:
                raise SourceError(
                    f"The Delta table {self.name!r} has no version {version:,}. Its newest one is {newest:,}.",
                    source=self.name,
                    position=0,
                )
            table.load_as_version(version)

    def _check_options(self, table: DeltaTable, schema: pa.Schema) -> None:
        partitions = table.metadata().partition_columns
        asked = [("columns", name, schema.names) for name in self._options.columns or ()]
        asked += [("partitions", name, partitions) for name in self._options.partitions]
        if self._options.window is not None:
            asked.append(("window", self._options.window.column, schema.names))
        for option, name, known in asked:
            if name not in known:
                what = "partitions" if option == "partitions" else "columns"
                raise OptionsError(
                    f"The Delta table {self.name!r} has no {what} by the name {name!r}.{suggestion(name, known)} It "
                    f"has {', '.join(known) or 'none'}.",
                    problems={option: f"{name!r} is not there"},
                )

    def _is_read(self, file: TableFile) -> bool:
        for name, asked in self._options.partitions.items():
            values = asked if isinstance(asked, list | tuple | set | frozenset) else [asked]
            if _text(file.partition[name]) not in {_text(value) for value in values}:
                return False
        return self._options.window is None or file.may_hold(self._options.window)


def read(reading: Reading, pieces: Sequence[Piece]) -> Iterator[pa.RecordBatch]:
    """The records of some pieces of a table, one after the other. Raises `SourceError`."""
    count = 0
    for piece in pieces:
        batches = reading.batches(piece)
        while True:
            with reading.place.reading(count), _told_as_gone(reading.place, piece, count):
                data = next(batches, None)
            if data is None:
                break
            yield data
            count += data.num_rows


@contextmanager
def _told_as_gone(place: Place, piece: Piece, position: int) -> Iterator[None]:
    """A file that the log names and that is not there any more is told of as that."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(
            f"The Delta table {place.name!r} has lost the file {piece.path!r}, which this version of it needs. Was it "
            f"removed by 'vacuum', which makes old versions unreadable? Read a newer one.",
            source=place.name,
            position=position,
        ) from error


def _whole(file: TableFile) -> Piece:
    return Piece(file.path, file.rows, tuple(file.partition.items()))


def _ranges(file: TableFile) -> list[tuple[Piece, int]]:
    """A file in pieces, with the bytes that each stands for."""
    whole = _whole(file)
    if file.rows is None or file.rows <= _MOST_ROWS:
        return [(whole, file.bytes)]
    begins = range(0, file.rows, _MOST_ROWS)
    marks = [file.bytes * begin // file.rows for begin in begins] + [file.bytes]
    return [
        (Piece(whole.path, whole.rows, whole.partition, begin, min(begin + _MOST_ROWS, file.rows)), after - before)
        for begin, before, after in zip(begins, marks[:-1], marks[1:], strict=True)
    ]


def _text(value: Any) -> str | None:
    """A value of a partition as text, so that a date can be given as one or as text."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat() if isinstance(value, date) else str(value)
