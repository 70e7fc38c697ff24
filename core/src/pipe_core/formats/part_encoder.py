"""The half of a sink that writes files on the workers: rows that are many go into a file there, the driver is told."""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from pipe_core.formats.compression import compressing
from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.staging import writing_errors
from pipe_core.kernel.contracts import Encoder, Payload, Row, Serializer

LEAST: Final = 256 * 1024
"""Rows of fewer bytes go to the driver, which writes those of many chunks together."""
_PIECES: Final = "pieces"


class PartFormat(Protocol):
    """What a format knows of files that are written on workers. Small, and made of plain data: it travels."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of the format; the first one where nobody says another."""

    def sink(self, path: str, columns: tuple[str, ...] | None = None, /) -> FileSink:
        """A sink into the file *path*, which has the *columns* of the part files before it."""

    def lines(self, payload: Payload, /) -> bytes:
        """The rows of a payload as they are written, without a header; none where only the driver can make them."""

    def columns(self, payload: Payload, /) -> tuple[str, ...] | None:
        """Their columns, where the format has columns."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that a worker has written.

    Attributes:
        name: Its name in the folder of arrivals.
        length: Its bytes.
        columns: The columns of its rows, where the format has columns.
    """

    name: str
    length: int
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ArrivalEncoder(ABC):
    """Rows as the format's own encoder makes them; those of a chunk go into a file where they are many.

    A worker that does not see the folder of arrivals, because it runs on another machine, gives the bytes instead. The
    folder's name cannot be guessed: who sees one of that name sees the same one.

    Attributes:
        rows: The encoder of the format.
        kind: The format.
        target: What errors call the sink.
        suffix: Of the files; its last part tells their compression.
        folder: Where they arrive; None where bytes are wanted, and before the sink is open.
        least: Bytes of rows that are worth a file.
    """

    rows: Encoder
    kind: PartFormat
    target: str
    suffix: str
    folder: str | None
    least: int

    def bind(self, serializer: Serializer) -> Callable[[Any], Row]:
        """A function that makes one row of one value."""
        return self.rows.bind(serializer)

    def stamp(self, position: int, row: Row) -> Row:
        """The row with its position as the first field."""
        return self.rows.stamp(position, row)

    def join(self, rows: Sequence[Row]) -> Payload:
        """The rows of a batch."""
        return self.rows.join(rows)

    def merge(self, payloads: Sequence[Payload]) -> Payload:
        """The rows of a chunk: a mention of the file that now holds them, or they themselves.

        Raises:
            SinkError: The file cannot be written.
        """
        if any(isinstance(payload, dict) for payload in payloads):  # of a chunk that took several tries
            return {_PIECES: [piece for payload in payloads for piece in _plain_pieces(payload)]}
        merged = self.rows.merge(payloads)
        if not self._writes_here() or len(self.kind.lines(merged)) < self.least:
            return merged
        folder = cast(str, self.folder)
        path = os.path.join(folder, name := f"{secrets.token_hex(8)}{self.suffix}")
        with writing_errors(self.target):
            self._write(path, merged)
            length = os.path.getsize(path)
        return {_PIECES: [{"name": name, "length": length, "columns": self.kind.columns(merged)}]}

    def _writes_here(self) -> bool:
        return self.folder is not None and os.access(self.folder, os.W_OK | os.X_OK)

    @abstractmethod
    def _write(self, path: str, merged: Payload) -> None:
        """Write a file."""


@dataclass(frozen=True, slots=True)
class PartEncoder(ArrivalEncoder):
    """Makes part files: whole and durable files of the format."""

    def _write(self, path: str, merged: Payload) -> None:
        sink = self.kind.sink(path)
        sink.part_of = self.target
        try:
            sink.open("error")
            sink.write(merged, 1)
            sink.commit()
        finally:
            sink.close()


@dataclass(frozen=True, slots=True)
class PieceEncoder(ArrivalEncoder):
    """Makes files of rows that the driver joins. In the driver's own process rows stay as they are.

    Attributes:
        away: Whether it has travelled.
        compression: The suffix that means how each file is compressed.
    """

    compression: str | None = None
    away: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self.rows, self.kind, self.target, self.suffix, self.folder, self.least, self.compression)
        return PieceEncoder, (*given, True)

    def _writes_here(self) -> bool:
        # A class with slots is made twice, and `super()` without arguments would mean the first one.
        return self.away and ArrivalEncoder._writes_here(self)

    def _write(self, path: str, merged: Payload) -> None:
        with open(path, "xb") as file:
            stream = file if self.compression is None else compressing(file, self.compression)
            stream.write(self.kind.lines(merged))
            stream.close()


def pieces_of(payload: Payload) -> list[Arrival | Payload]:
    """What a payload consists of: files that have arrived, and payloads of the format's own encoder."""
    return [_arrival(one) if isinstance(one, dict) else one for one in _plain_pieces(payload)]


def _plain_pieces(payload: Payload) -> list[Any]:
    return payload[_PIECES] if isinstance(payload, dict) else [payload]


def _arrival(plain: dict[str, Any]) -> Arrival:
    columns = plain["columns"]
    return Arrival(plain["name"], plain["length"], None if columns is None else tuple(columns))
