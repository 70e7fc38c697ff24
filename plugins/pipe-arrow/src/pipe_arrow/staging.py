"""Files that are written beside their target and can be read again before they take its place."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final

_BUFFER: Final = 1 << 20


class StagedFile:
    """A hidden file beside *target*. pyarrow and fastavro write into it; only `publish` and `discard` close it.

    Writing never raises, because an exception ends the process in some of pyarrow's writers: whoever had something
    written looks at `failure` afterwards.

    Args:
        target: Where it goes. A symbolic link is followed: the link stays, the file that it names is replaced.

    Attributes:
        target: Where it goes.
        path: Where it is.
        failure: Why not everything was written.
    """

    def __init__(self, target: str) -> None:
        self.target = os.path.realpath(target)
        folder, base = os.path.split(self.target)
        self.path = os.path.join(folder, f".{base[:200]}.{secrets.token_hex(6)}.part")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        number = os.open(self.path, flags, 0o666)
        self._mode = stat.S_IMODE(os.fstat(number).st_mode)  # what the umask leaves
        os.chmod(self.path, 0o600)
        self._file = _buffered(number)
        self._gone = False
        self.failure: OSError | None = None

    @property
    def closed(self) -> bool:
        """False: who writes into it has no say in that."""
        return False

    def readable(self) -> bool:
        """True: what was written can be read again."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any, /) -> int:
        """Write all of *data*. What comes behind a failure, or behind the end of the file, is nobody's."""
        if self.failure is None and not self._gone:
            with self._remembered():
                self._file.write(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return 0 if self._gone else self._file.tell()

    def seek(self, place: int, whence: int = 0, /) -> int:
        """Go to another place of the file."""
        return self._file.seek(place, whence)

    def read(self, size: int, /) -> bytes:
        """Read from there."""
        return self._file.read(size)

    def flush(self) -> None:
        """Write out what waits."""
        if self.failure is None and not self._gone:
            with self._remembered():
                self._file.flush()

    def close(self) -> None:
        """What writers call; nothing happens."""

    def publish(self) -> None:
        """Make it durable, and put it in the place of its target at once."""
        self._file.flush()
        os.fsync(self._file.fileno())
        with suppress(FileNotFoundError):
            self._mode = stat.S_IMODE(os.stat(self.target).st_mode)
        os.chmod(self.path, self._mode)
        self._end()
        os.replace(self.path, self.target)
        sync_folder(os.path.dirname(self.target))

    def discard(self) -> None:
        """Remove it."""
        self._end()
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def keep(self) -> str:
        """Leave it as ``<target>.partial``."""
        self._end()
        os.replace(self.path, partial := f"{self.target}.partial")
        return partial

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error

    def _end(self) -> None:
        self._gone = True
        with suppress(OSError):  # the disk may be full; who publishes has flushed before
            self._file.close()


def _buffered(number: int) -> BinaryIO:
    return os.fdopen(number, "w+b", buffering=_BUFFER)


def sync_folder(folder: str) -> None:
    """Make the names in *folder* durable."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    number = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
