"""Files that are appended to in their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, BinaryIO

from pipe_core.formats.staging import WholeFile, gone
from pipe_core.runtime.durable import sync_folder


class GrowingFile:
    """A file that is appended to. What is not committed is cut off again."""

    def __init__(self, target: str) -> None:
        self._path = os.path.realpath(target)
        existed = os.path.exists(self._path)
        self.raw: BinaryIO = WholeFile(self._path, "ab")
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
            raise gone(target, "the file is missing, shorter than it was, or another one")
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
