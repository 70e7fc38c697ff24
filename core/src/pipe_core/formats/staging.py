"""What files are written with: outputs, streams that can only be written to, and what goes wrong."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from pipe_core.kernel.errors import OptionsError, PipeError, SinkError

if TYPE_CHECKING:
    from pipe_core.formats.remote_file import RemoteFile

_HINTS = {
    errno.ENOENT: "Its folder does not exist: make it first.",
    errno.ENOTDIR: "A part of its path is a file, not a folder.",
    errno.EACCES: "Write access is missing: check the folder's and the file's permissions.",
    errno.EPERM: "Write access is missing: check the folder's and the file's permissions.",
    errno.EROFS: "The file system is read-only.",
    errno.EISDIR: "It is a folder: name a file in it.",
    errno.ENOSPC: "The disk is full: make space and run again.",
    errno.EDQUOT: "The disk quota is used up: make space and run again.",
    errno.EFBIG: "The file would be larger than this process may write (ulimit -f).",
    errno.EPIPE: "Whoever read it has gone.",
}


class Output(Protocol):
    """Somewhere that bytes go."""

    raw: BinaryIO

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Make durable what was written, where it is. What a later process needs to go on there."""

    def commit(self) -> None:
        """Make durable and visible what was written."""

    def abort(self, keep: bool) -> str | None:
        """Undo what was not committed; with *keep* leave it somewhere and say where."""

    def close(self) -> None:
        """Give back the file handle."""


class WholeFile(io.FileIO):
    """An unbuffered file whose `write` writes everything or raises, so that a full disk shows at once."""

    def write(self, data: Any, /) -> int:
        """Write all of *data*."""
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            written += super().write(view[written:]) or 0
        return written


class StreamOutput:
    """Standard output, a pipe or a device: what is written is gone."""

    def __init__(self, target: str) -> None:
        self._owned = target != "-"
        self.raw: BinaryIO = WholeFile(target, "wb") if self._owned else sys.stdout.buffer

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Refused: what is gone cannot be cut off."""
        raise OSError(errno.ESPIPE, "nobody can go on behind a checkpoint in a stream")

    def commit(self) -> None:
        """Flush."""
        self.raw.flush()

    def abort(self, keep: bool) -> str | None:
        """Nothing can be taken back."""
        return None

    def close(self) -> None:
        """Close what this object opened."""
        if self._owned:
            self.raw.close()


def staged_object(target: RemoteFile) -> Output:
    """A file of a store, written beside its target, which it replaces at the commit."""
    from pipe_core.formats.remote_sink import StagedObject

    return StagedObject(target)


def mark_of(path: str) -> tuple[int, int, int] | None:
    """What tells the file *path*, with what is in it now, from others; None where there is none."""
    try:
        return identity_of(os.stat(path))
    except FileNotFoundError:
        return None


def identity_of(facts: os.stat_result) -> tuple[int, int, int]:
    """What tells the file of these facts from others."""
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def gone(target: str, why: str = "what was hidden beside it is gone") -> SinkError:
    """What a run has staged for *target* is not there any more."""
    return SinkError(
        f"The rows that a run has staged for {target!r} cannot be found: {why}. Has a later run written there, or has "
        f"somebody tidied up? They must be made again: start a new run.",
        sink=target,
    )


def is_stream(target: str) -> bool:
    """Whether *target* is standard output or exists as something that is neither a file nor a folder."""
    return target == "-" or (os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target))


@contextmanager
def writing_errors(name: str) -> Iterator[None]:
    """Whatever writing raises becomes a `SinkError` that says what to do."""
    try:
        yield
    except (SinkError, OptionsError):
        raise
    except OSError as error:
        hint = getattr(error, "hint", _HINTS.get(error.errno or 0, ""))  # a store knows better
        reason = error.strerror or str(error)
        raise SinkError(f"{name!r} cannot be written: {reason}. {hint}".rstrip(), sink=name) from error


@contextmanager
def known_states(name: str) -> Iterator[None]:
    """A state that is none, or one of another sink, becomes a `SinkError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, PipeError):
            raise
        text = f"Nobody can go on in {name!r}: what was written down of it is damaged, or belongs to something else."
        raise SinkError(text, sink=name) from error
