"""What the sinks of all file formats share: modes, staging, compression, and the order of the calls."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from pipe_core.formats.compression import compressing, compression_of
from pipe_core.formats.copying import append_file
from pipe_core.formats.growing_file import GrowingFile
from pipe_core.formats.hidden_file import remove_kept_files, remove_left_files
from pipe_core.formats.paths import path_of, remote_file
from pipe_core.formats.staged_file import CopiedFile, StagedFile
from pipe_core.formats.staging import (
    Output,
    StreamOutput,
    is_stream,
    known_states,
    staged_object,
    writing_errors,
)
from pipe_core.kernel.contracts import Encoder, Mode
from pipe_core.kernel.errors import SinkError, TargetExistsError

if TYPE_CHECKING:
    from pipe_core.formats.remote_file import RemoteFile


class FileSink:
    """Bytes into a file, here or in a store, or ``-`` for standard output. Compressed by the last suffix of the path.

    A format that has more to say than rows overrides `_check_append`, `_begin`, `_bytes` and `_end`. Where it remembers
    something between two payloads, it overrides `_progress` and `_go_on`.

    Args:
        target: The path or URL.
        encoder: What workers need to make rows.
        storage_options: What the file system of a URL is told.

    Attributes:
        part_of: What errors call the target, where the file is a part of it.
    """

    def __init__(self, target: Any, encoder: Encoder, storage_options: Mapping[str, Any] | None = None) -> None:
        self._path = path_of(target)
        self._remote = remote_file(self._path, storage_options)
        self._encoder = encoder
        self._newline = b"\n"
        self._compression = None if self._path == "-" else compression_of(self._path)
        self._output: Output | None = None
        self._stream: BinaryIO | None = None
        self._known_fields: tuple[str, ...] | None = None
        self._grows = False
        self._began = False
        self._copies = False
        self._kept = False
        self._final = False
        self.part_of: str | None = None

    @property
    def name(self) -> str:
        """The path; the URL without secrets; of a part file the folder that it will be in."""
        if self.part_of is not None:
            return self.part_of
        if self._remote is not None:
            return self._remote.name
        return "standard output" if self._path == "-" else self._path

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """Exactly once into files, which appear whole or are cut; at least once into pipes and devices."""
        return "at-least-once" if self._remote is None and is_stream(self._path) else "exactly-once"

    @property
    def resumable(self) -> bool:
        """Whether `checkpoint` works here: into files, not into stores and streams."""
        return self._remote is None and not is_stream(self._path)

    def exists(self) -> bool:
        """Whether there is a file already. Raises `SinkError` when a store cannot be asked."""
        if self._remote is not None:
            with writing_errors(self.name):
                return self._remote.exists()
        return not is_stream(self._path) and os.path.lexists(self._path) and os.path.exists(self._path)

    def encoder(self) -> Encoder:
        """What workers need to make rows."""
        return self._encoder

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns that the rows so far had, where the format has columns."""
        return None

    def columns_there(self) -> tuple[str, ...] | None:
        """The columns of the file that is at the target, where the format has columns."""
        return None

    def room_taken(self) -> int:
        """Bytes of the file so far. What a compression holds back is not among them."""
        return 0 if self._output is None else self._output.raw.tell()

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Begin. Raises `TargetExistsError` for ``error`` and ``ignore``, and `SinkError` when it cannot be written."""
        self._known_fields = None if fields is None else tuple(fields)
        with writing_errors(self.name):
            if self._remote is not None:
                _check_store(self._remote, mode)
            elif os.path.isdir(self._path):
                raise IsADirectoryError(21, os.strerror(21))
            exists = self.exists()
            if exists and mode in ("error", "ignore"):
                raise self._refused()
            self._began = self._grows = mode == "append" and exists
            if self._grows:
                self._check_append()
            self._output = self._opened(mode)
            if not self._grows:
                self._begin()

    def hold_appended(self) -> None:
        """Before `open`: with ``append``, too, nothing is to be visible before the commit.

        The rows go to a copy of the file then, which replaces it, as long as nobody else has changed it meanwhile.
        """
        self._copies = True

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Make durable what was written, where it is. The state with which `resume` goes on, in any process.

        A compressed file gets a member for what lies between two checkpoints. What was checkpointed stays when the sink
        is closed without a commit; `abort` removes it.

        Raises:
            SinkError: Nobody can go on in a store or in a stream.
        """
        with writing_errors(self.name):
            output = self._opened_output()
            if not self.resumable:
                where = "a stream" if self._remote is None else "a store"
                text = f"{self.name!r} has no checkpoints: nobody can go on in {where}. Write to a file."
                raise SinkError(text, sink=self.name)
            if final:
                self._finish()
            self._finish_stream()
            self._kept, self._final = True, final
            told = {"began": self._began, "grows": self._grows, "copies": self._copies, **self._progress()}
            return {**told, "output": output.checkpoint(final), "final": final}

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Go on at *state*, which `checkpoint` gave. What was written behind it is cut off.

        Raises:
            TargetExistsError: For ``error`` and ``ignore``: another file came to the target meanwhile.
            SinkError: What was written is gone, or the run that wrote it goes on.
        """
        self._known_fields = None if fields is None else tuple(fields)
        with writing_errors(self.name), known_states(self.name):
            self._grows, self._began, self._copies = state["grows"], state["began"], state["copies"]
            self._final = state["final"]
            self._output = self._resumed(state["output"])
            self._kept = True
            try:
                if self._output is not None and mode in ("error", "ignore") and self.exists():
                    raise self._refused()
                self._go_on(state)
            except BaseException:
                self.close()
                raise

    def write(self, payload: Any, count: int) -> None:
        """Take the next rows. A full disk shows here or at the commit."""
        with writing_errors(self.name):
            self._put(self._bytes(payload))

    def take(self, path: str, length: int, columns: tuple[str, ...] | None) -> None:
        """Take the next rows, which are *length* bytes of a file, compressed as this one is."""
        with writing_errors(self.name):
            if header := self._header_of(columns):
                self._put(header)
            self._finish_stream()
            copied = append_file(path, self._opened_output().raw)
            self._began = True
        if copied != length:
            raise SinkError(
                f"Rows for {self.name!r} are damaged: a worker wrote {length:,} bytes and {copied:,} are there. Is the "
                f"file system full, or out of step?",
                sink=self.name,
            )

    def commit(self) -> None:
        """Make the file durable, and visible under its name."""
        with writing_errors(self.name):
            if self._output is not None:
                if not self._final:
                    self._finish()
                self._output.commit()
                self._kept = False
                if self.part_of is None and not isinstance(self._output, GrowingFile):
                    self._supersede()

    def abort(self, keep: bool = False) -> str | None:
        """Leave the target as it was; with *keep*, what was written is at the place returned."""
        self._kept = False
        output, self._output = self._output, None
        if output is None:
            return None
        with suppress(OSError):  # the disk may be full, and the bytes are thrown away or marked as partial
            self._finish_stream()
        with writing_errors(self.name):
            try:
                return output.abort(keep)
            finally:
                output.close()

    def close(self) -> None:
        """Close the file. What was neither checkpointed nor committed is aborted."""
        if not self._kept:
            self.abort()
            return
        output, self._output = self._output, None
        if output is not None:
            with writing_errors(self.name):
                output.close()

    def _refused(self) -> TargetExistsError:
        modes = "mode='overwrite' or mode='append'" if self._remote is None else "mode='overwrite'"
        return TargetExistsError(f"{self.name!r} exists already. Use {modes}, or another path.", sink=self.name)

    def _resumed(self, state: Mapping[str, Any]) -> Output | None:
        """The output at *state*; None where it has been committed."""
        if "committed" in state:
            return GrowingFile.resumed(self._path, state)
        return (CopiedFile if self._copies else StagedFile).resumed(self._path, state)

    def _supersede(self) -> None:
        if self.resumable:
            remove_kept_files(self._path)

    def _opened(self, mode: Mode) -> Output:
        if self._remote is not None:
            return staged_object(self._remote)
        if is_stream(self._path):
            return StreamOutput(self._path)
        if self.part_of is None:  # a part is in a hidden folder, which goes as a whole
            remove_left_files(self._path)
        if mode != "append":
            self._copies = False
            return StagedFile(self._path)
        return CopiedFile(self._path) if self._copies else GrowingFile(self._path)

    def _opened_output(self) -> Output:
        if self._output is None:
            raise SinkError(f"{self.name!r} is not open for writing.", sink=self.name)
        return self._output

    def _put(self, data: bytes) -> None:
        if self._stream is None:
            raw = self._opened_output().raw
            self._stream = raw if self._compression is None else compressing(raw, self._compression)
        self._stream.write(data)
        self._began = True

    def _finish(self) -> None:
        self._end()
        if not self._began:
            self._put(b"")  # a compressed file without records is not a file without bytes
        self._finish_stream()

    def _finish_stream(self) -> None:
        """Ends a compressed member: what follows a commit is a member of its own."""
        stream, self._stream = self._stream, None
        if stream is not None and self._compression is not None:
            stream.close()

    def _check_append(self) -> None:
        """Refuses a file that cannot be appended to."""
        if self._compression is not None:
            return
        with open(self._path, "rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(length - len(self._newline), 0))
            if length and file.read() != self._newline:
                text = f"{self.name!r} does not end with a line end. Was its last line cut off? Repair it first."
                raise SinkError(text, sink=self.name)

    def _begin(self) -> None:
        """Writes what comes before the first row."""

    def _bytes(self, payload: Any) -> bytes:
        """What is written for a payload."""
        data: bytes = payload
        return data

    def _header_of(self, columns: tuple[str, ...] | None) -> bytes:
        """What is written before the next rows, which have these columns."""
        return b""

    def _end(self) -> None:
        """Writes what comes behind the last row."""

    def _progress(self) -> Mapping[str, Any]:
        """What is remembered of the payloads so far, as plain data for `_go_on`."""
        return {}

    def _go_on(self, state: Mapping[str, Any]) -> None:
        """Remembers what `_progress` has said."""


def _check_store(target: RemoteFile, mode: Mode) -> None:
    """Refuses what no store can do. Raises `SinkError`."""
    if not target.writable:
        raise SinkError(f"{target.name!r} can only be read: nothing is written to {target.scheme}.", sink=target.name)
    if mode == "append":
        raise SinkError(
            f"{target.name!r} cannot be appended to: stores replace files as a whole. Write each run to a file of its "
            f"own, such as part-0001, and read them together with a pattern, such as part-*.",
            sink=target.name,
        )
