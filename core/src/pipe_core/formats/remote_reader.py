"""The bytes of a file in a store, in few and large requests."""

from __future__ import annotations

import io
from typing import Any, Final

from pipe_core.formats.line_feed import BLOCK
from pipe_core.formats.remote_file import RemoteFile, RemoteVersion, changed

_MOST: Final = 8 * 1024 * 1024
"""Bytes of one request: as many as the largest split has."""
_BEHIND: Final = BLOCK + 4096
"""Bytes behind a split that come with it: a feed reads whole blocks, and a record may begin in the last one."""


class RangeReader(io.RawIOBase):
    """A file of a store that gives pieces of files. Every piece is checked to be of the same version.

    A store has no open files: what is read a moment later may be another file of that name. The version is looked
    at behind each request, so that nothing of another one is ever handed out.

    Args:
        version: What to read.
        until: Where reading will probably stop. The first request asks for everything up to there.
    """

    def __init__(self, version: RemoteVersion, until: int = 0) -> None:
        super().__init__()
        self._version = version
        self._size = version.size or 0
        self._system, self._path = version.file.connect()
        self._until = until + _BEHIND if until else 0
        self._step = BLOCK
        self._at = 0
        self._held = memoryview(b"")
        self._begin = 0  # where in the file `_held` begins

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place. Nothing is asked for before it is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a file has no place before its beginning")
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """At most *size* bytes, none at the end; everything for a negative size."""
        if size is None or size < 0:
            return self.readall()
        if size == 0 or self._at >= self._size:
            return b""
        if not self._begin <= self._at < self._begin + len(self._held):
            self._fetch(size)
        start = self._at - self._begin
        data = bytes(self._held[start : start + size])
        self._at += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """As many bytes as fit into *buffer*, or fewer."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """What is left of the file."""
        pieces = []
        while data := self.read(_MOST):
            pieces.append(data)
        return b"".join(pieces)

    def _fetch(self, size: int) -> None:
        length = min(max(size, self._step, self._until - self._at), _MOST, self._size - self._at)
        self._step = min(2 * self._step, _MOST)
        self._held = memoryview(b"")  # not two of them in memory
        begin, file = self._at, self._version.file
        try:
            with file.errors():
                data = self._system.cat_file(self._path, start=begin, end=begin + length)
        except FileNotFoundError:
            raise changed("it was removed while it was read") from None
        self._version.check()
        if len(data) != length:
            raise changed(f"{len(data):,} bytes came where {length:,} were asked for")
        self._held, self._begin = memoryview(data), begin


class ForwardReader(io.RawIOBase):
    """A file that can only be read from its beginning: the store does not tell its size, or gives no pieces."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__()
        self._remote = file
        system, path = file.connect()
        how = {} if file.writable else {"block_size": 0}  # the web: one answer, read as it arrives
        with file.errors():
            self._file = system.open(path, "rb", **how)

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """At most *size* bytes, none at the end; everything for a negative size."""
        with self._remote.errors():
            data: bytes = self._file.read(-1 if size is None else size)
            return data

    def readinto(self, buffer: Any, /) -> int:
        """As many bytes as fit into *buffer*, or fewer."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            self._file.close()
        super().close()
