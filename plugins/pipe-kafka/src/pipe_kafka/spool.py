"""Messages in a file until they are sent."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from pipe_core.formats.staging import WholeFile
from pipe_core.runtime.durable import sync_folder

_HEAD: Final = struct.Struct("<qq")
"""The lengths of the key and the value; -1 where there is none."""
_BLOCK: Final = 1 << 20


class Spool:
    """A file of messages, written to its end.

    Args:
        path: The file, which must not exist.

    Attributes:
        path: The file.
        count: How many messages are in it.
        length: Its bytes.
        crc: What tells whether they are as they were written.
    """

    def __init__(self, path: Path) -> None:
        self._begin(path, WholeFile(path, "xb"))

    def _begin(self, path: Path, file: WholeFile) -> None:
        self.path = path
        self.count = self.length = self.crc = 0
        self._file: WholeFile | None = file

    @classmethod
    def found(cls, path: Path, count: int, length: int, crc: int) -> Spool | None:
        """The one that another process left, cut at *length*. None where it is not there, or is not what it was.

        Args:
            path: The file.
            count: How many messages it has.
            length: Its bytes.
            crc: What they must give.
        """
        try:
            with open(path, "rb") as file:
                if _crc(file, length) != crc:
                    return None
        except FileNotFoundError:
            return None
        spool = cls.__new__(cls)
        spool._begin(path, WholeFile(path, "r+b"))
        spool.count, spool.length, spool.crc = count, length, crc
        spool._opened.truncate(length)
        spool._opened.seek(length)
        return spool

    def add(self, key: bytes | None, value: bytes | None) -> None:
        """Write one message."""
        lengths = (-1 if part is None else len(part) for part in (key, value))
        data = b"".join((_HEAD.pack(*lengths), key or b"", value or b""))
        self._opened.write(data)
        self.count, self.length, self.crc = self.count + 1, self.length + len(data), zlib.crc32(data, self.crc)

    def sync(self) -> None:
        """Bring it to stable storage."""
        os.fsync(self._opened.fileno())
        sync_folder(str(self.path.parent))

    def messages(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """What is in it, key and value."""
        with open(self.path, "rb") as file:
            for _ in range(self.count):
                lengths = _HEAD.unpack(file.read(_HEAD.size))
                key, value = (None if length < 0 else file.read(length) for length in lengths)
                yield key, value

    def close(self) -> None:
        """Close the file, and leave it there."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def remove(self) -> None:
        """Remove the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    @property
    def _opened(self) -> WholeFile:
        if self._file is None:
            raise ValueError("the file is closed")
        return self._file


def _crc(file: BinaryIO, length: int) -> int | None:
    """What the first *length* bytes give; None where there are fewer."""
    crc, left = 0, length
    while left:
        data = file.read(min(_BLOCK, left))
        if not data:
            return None
        crc, left = zlib.crc32(data, crc), left - len(data)
    return crc
