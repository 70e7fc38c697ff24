"""A file whose rows come as files that workers have written beside it, where they are many."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pipe_core.formats.compression import compression_of
from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.part_encoder import LEAST, Arrival, PartFormat, PieceEncoder, pieces_of
from pipe_core.formats.part_folder import StagedFolder
from pipe_core.formats.paths import path_of
from pipe_core.formats.staging import is_stream, writing_errors
from pipe_core.kernel.contracts import Mode, Payload
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.urls import redacted, scheme_of


class JoinedSink:
    """As a sink of the format, but the system copies most of its bytes from file to file.

    Args:
        target: The path.
        kind: The format.

    Raises:
        OptionsError: There is nothing beside the target: it is a URL or a stream.
    """

    def __init__(self, target: Any, kind: PartFormat) -> None:
        self._path = path_of(target)
        if scheme_of(self._path) is not None or is_stream(self._path):
            problem = f"via='files' writes files beside the target, and {redacted(self._path)!r} is no file"
            raise OptionsError(f"{problem}. Leave it out.", problems={"via": problem})
        self._kind = kind
        self._file: FileSink = kind.sink(self._path)
        self._staged: StagedFolder | None = None

    @property
    def name(self) -> str:
        """The path."""
        return self._file.name

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """Exactly once: the file appears whole or is cut."""
        return self._file.delivery

    def exists(self) -> bool:
        """Whether there is a file already."""
        return self._file.exists()

    def encoder(self) -> PieceEncoder:
        """What workers need to make rows, and files of rows once the sink is open."""
        folder = None if self._staged is None else self._staged.arrivals
        rows = self._file.encoder()
        return PieceEncoder(rows, self._kind, self.name, ".rows", folder, LEAST, compression_of(self._path))

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Begin. Raises `TargetExistsError` for ``error`` and ``ignore``, and `SinkError` when it cannot be written."""
        self._file.open(mode, fields)
        with writing_errors(self.name):
            self._staged = StagedFolder(self._path, "")

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """As that of a file. What workers have written has arrived in it."""
        return self._file.checkpoint(final)

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """As that of a file."""
        self._file.resume(state, mode, fields)
        with writing_errors(self.name):
            self._staged = StagedFolder(self._path, "")

    def hold_appended(self) -> None:
        """As that of a file."""
        self._file.hold_appended()

    def write(self, payload: Payload, count: int) -> None:
        """Take the next rows, from a file or as they are."""
        for piece in pieces_of(payload):
            if isinstance(piece, Arrival):
                self._take(piece)
            else:
                self._file.write(piece, count)

    def commit(self) -> None:
        """Make the file durable, and visible under its name."""
        self._file.commit()

    def abort(self, keep: bool = False) -> str | None:
        """Leave the target as it was; with *keep*, what was written is at the place returned."""
        try:
            return self._file.abort(keep)
        finally:
            self._remove()

    def close(self) -> None:
        """Close the file, and remove what workers have written that was not wanted."""
        try:
            self._file.close()
        finally:
            self._remove()

    def _take(self, arrival: Arrival) -> None:
        assert self._staged is not None  # nothing arrives before it is there
        path = os.path.join(self._staged.arrivals, arrival.name)
        self._file.take(path, arrival.length, arrival.columns)
        os.unlink(path)

    def _remove(self) -> None:
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.discard()
