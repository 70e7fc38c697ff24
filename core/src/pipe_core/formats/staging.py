"""Files that are written whole or not at all, files that grow, and streams that can only be written to."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from pipe_core.formats.hidden_file import hidden_file
from pipe_core.kernel.errors import OptionsError, SinkError

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

    def commit(self) -> None:
        """Make durable and visible what was written."""

    def abort(self, keep: bool) -> str | None:
        """Undo what was not committed; with *keep* leave it somewhere and say where."""

    def close(self) -> None:
        """Give back the file handle."""


class _WholeFile(io.FileIO):
    """An unbuffered file whose `write` writes everything or raises, so that a full disk shows at once."""

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            written += super().write(view[written:]) or 0
        return written


class StagedFile:
    """A file written beside its target, which it replaces at the commit. A later run finds it where this one is killed.

    Args:
        target: Where it goes. A symbolic link is followed: the link stays, the file that it names is replaced.
        readable: Whether `raw` is read, too.

    Attributes:
        path: Where it is until then.
    """

    def __init__(self, target: str, *, readable: bool = False) -> None:
        self._target = os.path.realpath(target)
        self._folder = os.path.dirname(self._target)
        self.path, number = hidden_file(self._target, os.O_RDWR if readable else os.O_WRONLY)
        self._lock = None if os.name == "nt" else os.dup(number)  # until it has left its hidden place
        self._mode = stat.S_IMODE(os.fstat(number).st_mode)  # what the umask leaves
        os.chmod(self.path, 0o600)
        self.raw: BinaryIO = _WholeFile(number, "r+b" if readable else "wb")
        self._committed = False

    def commit(self) -> None:
        """Make it durable, and put it in the place of its target at once."""
        os.fsync(self.raw.fileno())
        with suppress(FileNotFoundError):
            self._mode = stat.S_IMODE(os.stat(self._target).st_mode)
        os.chmod(self.path, self._mode)
        self.raw.close()
        os.replace(self.path, self._target)
        self._committed = True
        self._unlock()
        sync_folder(self._folder)

    def abort(self, keep: bool) -> str | None:
        """Remove it, or with *keep* leave it as ``<target>.partial``."""
        with suppress(OSError):  # some file systems say only here that the disk is full
            self.raw.close()
        if self._committed:
            return None
        try:
            if keep:
                os.replace(self.path, partial := f"{self._target}.partial")
                return partial
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            return None
        finally:
            self._unlock()

    def close(self) -> None:
        """Close it."""
        try:
            self.raw.close()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


class GrowingFile:
    """A file that is appended to. What is not committed is cut off again."""

    def __init__(self, target: str) -> None:
        self._path = os.path.realpath(target)
        existed = os.path.exists(self._path)
        self.raw: BinaryIO = _WholeFile(self._path, "ab")
        self._length = os.fstat(self.raw.fileno()).st_size
        self._remove = not existed

    def commit(self) -> None:
        """Make durable what was written, and remember the length."""
        os.fsync(self.raw.fileno())
        self._length = os.fstat(self.raw.fileno()).st_size
        if self._remove:
            sync_folder(os.path.dirname(self._path))
            self._remove = False

    def abort(self, keep: bool) -> str | None:
        """Cut off what was not committed. With *keep* it is moved to ``<target>.partial``."""
        partial = self._move_tail() if keep else None
        self.raw.truncate(self._length)
        self.raw.close()
        if self._remove:
            os.unlink(self._path)
        return partial

    def close(self) -> None:
        """Close it."""
        self.raw.close()

    def _move_tail(self) -> str:
        partial = f"{self._path}.partial"
        with open(self._path, "rb") as file, open(partial, "wb") as copy:
            file.seek(self._length)
            while block := file.read(1 << 20):
                copy.write(block)
        return partial


class StreamOutput:
    """Standard output, a pipe or a device: what is written is gone."""

    def __init__(self, target: str) -> None:
        self._owned = target != "-"
        self.raw: BinaryIO = _WholeFile(target, "wb") if self._owned else sys.stdout.buffer

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


def sync_folder(folder: str) -> None:
    """Make the names in *folder* durable."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    number = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
