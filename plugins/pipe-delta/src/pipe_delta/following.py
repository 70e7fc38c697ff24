"""Tables that are appended to while they are read: the records that have come since a position, version by version.

A position names a version, how many of its files were read, and how many records of the next one. The first version is
read as a whole, later ones by what their entries in the log have added.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from pipe_arrow.python_values import batches_of
from pipe_core.kernel.contracts import Followed
from pipe_core.kernel.errors import PositionLostError, SourceError
from pipe_delta.place import Place
from pipe_delta.reading import Piece, Reading
from pipe_delta.table_files import TableFile, files_of, schema_of


@dataclass(frozen=True, slots=True)
class Position:
    """Where somebody is in a table.

    Attributes:
        table: The table's own identity.
        version: The version whose files are being read.
        whole: Whether these are all that the version has, or those that it has added.
        file: How many of them were read.
        row: How many records of the next one.
    """

    table: str
    version: int
    whole: bool
    file: int = 0
    row: int = 0

    @property
    def order(self) -> tuple[int, int, int]:
        """What says which of two comes first."""
        return self.version, self.file, self.row


class Follower:
    """Reads what comes to a table.

    Args:
        place: Where it is.
        table: The table, as it was when reading began.
        reading: How files are read.
        files: Those of `table` that are read.
        is_read: Whether a file is read.
    """

    def __init__(
        self,
        place: Place,
        table: DeltaTable,
        reading: Reading,
        files: Sequence[TableFile],
        is_read: Callable[[TableFile], bool],
    ) -> None:
        self._is_read = is_read
        self._place = place
        self._reading = reading
        self._first = Position(str(table.metadata().id), table.version(), True)
        self._first_files = files
        self._newest = place.table().version()

    def follow(self, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None) -> Followed:
        """See `FollowableSource.follow`.

        Raises:
            PositionLostError: An entry of the log is gone, or it is another table.
            SourceError: Records were changed or taken away.
        """
        at = self._first if since is None else self._known(since)
        end = None if until is None else self._known(until)
        records: list[Any] = []
        while end is None or at.order < end.order:
            files = self._files(at)
            if at.file >= len(files):
                if at.version >= self._newest:
                    break
                at = Position(at.table, at.version + 1, False)
                continue
            most = limit - len(records)
            if end is not None:
                is_last = (end.version, end.file) == (at.version, at.file)
                most = end.row - at.row if is_last else -1
            elif most <= 0:
                break
            found = self._read(files[at.file], at, most)
            records += found
            whole = most < 0 or len(found) < most
            at = replace(at, file=at.file + 1, row=0) if whole else replace(at, row=at.row + len(found))
        return Followed(records, asdict(at))

    def _known(self, said: Mapping[str, Any]) -> Position:
        try:
            position = Position(**said)
        except TypeError:
            raise self._refused("the position is none of a Delta table") from None
        if position.table != self._first.table:
            raise self._lost("it is another table than the one that was read before. Let the stream begin again")
        return position

    def _files(self, at: Position) -> Sequence[TableFile]:
        if not at.whole:
            return self._added(at.version)
        if at.version == self._first.version:
            return self._first_files
        table = self._place.table()
        table.load_as_version(at.version)
        return [file for file in files_of(table) if self._is_read(file)]

    def _added(self, version: int) -> list[TableFile]:
        """The files that a version has added."""
        kinds = {field.name: field.type for field in schema_of(self._place.table())}
        found = []
        for entry in self._entries(version):
            if "remove" in entry and entry["remove"].get("dataChange", True):
                raise self._refused(
                    f"its version {version:,} has changed records or taken some away. Only what is appended can be "
                    f"followed"
                )
            if "add" in entry and entry["add"].get("dataChange", True):
                found.append(_file(entry["add"], kinds))
        found = [file for file in found if self._is_read(file)]
        return sorted(found, key=lambda file: (file.time, file.path))

    def _entries(self, version: int) -> Iterator[dict[str, Any]]:
        try:
            with closing(self._place.opened(f"_delta_log/{version:020}.json")) as raw:
                lines = raw.read().decode().splitlines()
        except FileNotFoundError:
            raise self._lost(
                f"the entry of its version {version:,} was removed from the log. Read it more often than the log is "
                f"tidied up (delta.logRetentionDuration), and let the stream begin again"
            ) from None
        return (json.loads(line) for line in lines if line.strip())

    def _read(self, file: TableFile, at: Position, most: int) -> list[Any]:
        """At most *most* records of a file from the position on; all where that is negative."""
        partition = tuple(file.partition.items())
        skipped = at.row if self._reading.window is not None else 0  # only what is in the window was counted
        piece = Piece(file.path, file.rows, partition, 0 if skipped else at.row)
        records = islice(self._records(piece), skipped, None if most < 0 else skipped + most)
        return list(records)

    def _records(self, piece: Piece) -> Iterator[Any]:
        for data in self._reading.batches(piece):
            for batch in batches_of(data, 1000, False):
                for _, rejection in sorted(batch.rejected.items()):
                    raise self._refused(f"a record of {piece.path} cannot be read: {rejection.message}")
                yield from batch.records

    def _refused(self, why: str) -> SourceError:
        return SourceError(self._told(why), source=self._place.name, position=0)

    def _lost(self, why: str) -> PositionLostError:
        return PositionLostError(self._told(why), source=self._place.name, position=0)

    def _told(self, why: str) -> str:
        return f"The Delta table {self._place.name!r} cannot be followed: {why}."


def _file(said: Mapping[str, Any], kinds: Mapping[str, pa.DataType]) -> TableFile:
    """A file as an entry of the log tells of it."""
    statistics = json.loads(said.get("stats") or "{}")
    partition = {
        name: None if text in (None, "") else pa.array([text]).cast(kinds[name]).to_pylist()[0]
        for name, text in said["partitionValues"].items()
    }
    return TableFile(
        path=unquote(said["path"]),
        log_path=said["path"],
        bytes=said["size"],
        time=said["modificationTime"],
        rows=statistics.get("numRecords"),
        partition=partition,
    )
