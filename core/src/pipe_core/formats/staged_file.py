"""Files that are written beside their targets, which they replace whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Self

from pipe_core.formats.copying import append_file
from pipe_core.formats.hidden_file import hidden_file, keep_file, take_over
from pipe_core.formats.staging import WholeFile, gone, identity_of, mark_of
from pipe_core.kernel.errors import SinkError
from pipe_core.runtime.durable import sync_folder


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
        found = take_over(state["file"], place, _access(readable), shared=state["final"])
        if found is None:
            if state["final"] and mark_of(place) == tuple(state["mark"]):
                return None
            raise gone(target)
        path, number = found
        if os.fstat(number).st_size < state["length"]:
            os.close(number)
            raise gone(target, f"{path!r} is shorter than it was")
        staged = cls.__new__(cls)
        staged._target = place
        staged._take(path, number, state["permissions"], readable)
        staged._final = tuple(state["mark"]) if state["final"] else None
        if staged.raw.seek(0, os.SEEK_END) > state["length"]:
            staged.raw.truncate(state["length"])
            staged.raw.seek(state["length"])
        return staged

    def _take(self, path: str, number: int, permissions: int, readable: bool) -> None:
        self.path = path
        self._permissions = permissions
        self._lock = None if os.name == "nt" else os.dup(number)  # until it has left its hidden place
        self.raw: BinaryIO = WholeFile(number, "r+b" if readable else "wb")
        self._committed = False
        self._final: tuple[int, ...] | None = None

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Make it durable where it is. The state with which `resumed` goes on."""
        os.fsync(self.raw.fileno())
        self.path = keep_file(self.path)
        sync_folder(os.path.dirname(self.path))
        facts = os.fstat(self.raw.fileno())
        self._final = identity_of(facts) if final else None
        return {
            "file": os.path.basename(self.path),
            "length": facts.st_size,
            "mark": identity_of(facts),
            "permissions": self._permissions,
            "final": final,
        }

    def commit(self) -> None:
        """Make it durable, and put it in the place of its target at once."""
        os.fsync(self.raw.fileno())
        with suppress(FileNotFoundError):
            self._permissions = stat.S_IMODE(os.stat(self._target).st_mode)
        try:
            os.chmod(self.path, self._permissions)
            self.raw.close()
            os.replace(self.path, self._target)
        except FileNotFoundError:
            if self._final is None:
                raise
            if mark_of(self._target) != self._final:  # who had the state has not put it there meanwhile
                raise gone(self._target) from None
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


def _access(readable: bool) -> int:
    return os.O_RDWR if readable else os.O_WRONLY
