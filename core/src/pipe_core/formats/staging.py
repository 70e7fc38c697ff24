"""Files that are written whole or not at all, files that grow, and streams that can only be written to."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self

from pipe_core.formats.copying import append_file
from pipe_core.formats.hidden_file import hidden_file, keep_file, take_over
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
        path, number = hidden_file(self._target, _access(readable))
        permissions = stat.S_IMODE(os.fstat(number).st_mode)  # what the umask leaves
        os.chmod(path, 0o600)
        self._take(path, number, permissions, readable)

    @classmethod
    def resumed(cls, target: str, state: Mapping[str, Any], *, readable: bool = False) -> Self | None:
        """One that another process left, as it was at the checkpoint *state*. None where it is at its target already.

        Raises:
            SinkError: It is gone, or is not as it was, or its process lives.
        """
        place = os.path.realpath(target)
        found = take_over(state["file"], place, _access(readable))
        if found is None:
            if state["final"] and mark_of(place) == tuple(state["mark"]):
                return None
            raise _gone(target)
        path, number = found
        if os.fstat(number).st_size < state["length"]:
            os.close(number)
            raise _gone(target, f"{path!r} is shorter than it was")
        staged = cls.__new__(cls)
        staged._target = place
        staged._take(path, number, state["permissions"], readable)
        if staged.raw.seek(0, os.SEEK_END) > state["length"]:
            staged.raw.truncate(state["length"])
            staged.raw.seek(state["length"])
        return staged

    def _take(self, path: str, number: int, permissions: int, readable: bool) -> None:
        self.path = path
        self._permissions = permissions
        self._lock = None if os.name == "nt" else os.dup(number)  # until it has left its hidden place
        self.raw: BinaryIO = _WholeFile(number, "r+b" if readable else "wb")
        self._committed = False

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Make it durable where it is. The state with which `resumed` goes on."""
        os.fsync(self.raw.fileno())
        self.path = keep_file(self.path)
        sync_folder(os.path.dirname(self.path))
        facts = os.fstat(self.raw.fileno())
        return {
            "file": os.path.basename(self.path),
            "length": facts.st_size,
            "mark": _mark(facts),
            "permissions": self._permissions,
            "final": final,
        }

    def commit(self) -> None:
        """Make it durable, and put it in the place of its target at once."""
        os.fsync(self.raw.fileno())
        with suppress(FileNotFoundError):
            self._permissions = stat.S_IMODE(os.stat(self._target).st_mode)
        os.chmod(self.path, self._permissions)
        self.raw.close()
        os.replace(self.path, self._target)
        self._committed = True
        self._unlock()
        sync_folder(os.path.dirname(self._target))

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
        """Close it. It stays where it is."""
        try:
            self.raw.close()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


class CopiedFile(StagedFile):
    """A staged file that begins as a copy of its target, for rows that are to appear behind it all at once."""

    _base: tuple[int, int, int] | None

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._base = mark_of(self._target)
        try:
            if self._base is not None:
                append_file(self._target, self.raw)
        except BaseException:
            self.abort(False)
            raise

    @classmethod
    def resumed(cls, target: str, state: Mapping[str, Any], *, readable: bool = False) -> Self | None:
        """As that of a staged file."""
        copied = super().resumed(target, state, readable=readable)
        if copied is not None:
            copied._base = None if state["base"] is None else tuple(state["base"])
        return copied

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """As that of a staged file."""
        return {**super().checkpoint(final), "base": self._base}

    def commit(self) -> None:
        """Put it in the place of its target. Raises `SinkError` when that is not what it was when it was copied."""
        if mark_of(self._target) != self._base:
            text = f"{self._target!r} was changed while this run wrote what is to come behind it. Run it again."
            raise SinkError(text, sink=self._target)
        super().commit()


class GrowingFile:
    """A file that is appended to. What is not committed is cut off again."""

    def __init__(self, target: str) -> None:
        self._path = os.path.realpath(target)
        existed = os.path.exists(self._path)
        self.raw: BinaryIO = _WholeFile(self._path, "ab")
        self._length = os.fstat(self.raw.fileno()).st_size
        self._remove = not existed
        self._kept: int | None = None

    @classmethod
    def resumed(cls, target: str, state: Mapping[str, Any]) -> GrowingFile:
        """One that another process left, cut at the length that it had at the checkpoint *state*.

        Raises:
            SinkError: It is shorter than it was, or another file.
        """
        path = os.path.realpath(target)
        facts = os.stat(path) if os.path.exists(path) else None
        if facts is None or facts.st_ino != state["inode"] or facts.st_size < state["length"]:
            raise _gone(target, "the file is missing, shorter than it was, or another one")
        growing = cls(target)
        growing._length = state["committed"]
        growing._remove = state["new"]
        if not state["final"]:  # behind a final one nobody wrote but others
            growing.raw.truncate(state["length"])
            growing._kept = state["length"]
        return growing

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Make durable what was written. The state with which `resumed` goes on."""
        os.fsync(self.raw.fileno())
        sync_folder(os.path.dirname(self._path))
        facts = os.fstat(self.raw.fileno())
        self._kept = facts.st_size
        return {
            "inode": facts.st_ino,
            "length": facts.st_size,
            "committed": self._length,
            "new": self._remove,
            "final": final,
        }

    def commit(self) -> None:
        """Make durable what was written, and remember the length."""
        os.fsync(self.raw.fileno())
        self._length = os.fstat(self.raw.fileno()).st_size
        self._kept = None
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
        """Close it, without what came behind a checkpoint that is still needed."""
        if self._kept is not None and not self.raw.closed:
            self.raw.truncate(self._kept)
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
        return _mark(os.stat(path))
    except FileNotFoundError:
        return None


def _mark(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _access(readable: bool) -> int:
    return os.O_RDWR if readable else os.O_WRONLY


def _gone(target: str, why: str = "the hidden file with them is gone") -> SinkError:
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


def sync_folder(folder: str) -> None:
    """Make the names in *folder* durable."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    number = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
