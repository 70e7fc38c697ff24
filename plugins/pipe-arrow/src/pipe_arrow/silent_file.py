"""Files for writers that end the process when a write fails: they remember the failure instead."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final

from pipe_core.formats.staged_file import StagedFile

_BUFFER: Final = 1 << 20


class SilentFile:
    """A hidden file beside *target*. pyarrow and fastavro write into it; only `publish`, `keep` and `discard` close it.

    Writing never raises, because an exception ends the process in some of pyarrow's writers: whoever had something
    written looks at `failure` afterwards.

    Args:
        target: Where it goes. A symbolic link is followed: the link stays, the file that it names is replaced.
        staged: The file, where another process has written it.

    Attributes:
        path: Where it is.
        failure: Why not everything was written.
    """

    def __init__(self, target: str, staged: StagedFile | None = None) -> None:
        self._staged = staged or StagedFile(target, readable=True)
        self._file = _buffered(self._staged.raw)
        self._gone = False
        self.path = self._staged.path
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

    def checkpoint(self) -> dict[str, Any]:
        """Make it durable where it is, at its end. What another process needs to put it in its place."""
        self._file.flush()
        return self._staged.checkpoint(final=True)

    def release(self) -> None:
        """Close it. It stays where it is."""
        self._gone = True
        self._staged.close()

    def publish(self) -> None:
        """Make it durable, and put it in the place of its target at once."""
        self._file.flush()
        self._gone = True
        self._staged.commit()

    def keep(self) -> str:
        """Leave it as ``<target>.partial``."""
        with suppress(OSError):  # the disk may be full
            self._file.flush()
        place = self._end(keep=True)
        assert place is not None  # it was not published
        return place

    def discard(self) -> None:
        """Remove it."""
        self._end(keep=False)

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error

    def _end(self, *, keep: bool) -> str | None:
        self._gone = True
        return self._staged.abort(keep)


def _buffered(raw: BinaryIO) -> BinaryIO:
    assert isinstance(raw, io.RawIOBase)  # as staged files are
    return io.BufferedRandom(raw, _BUFFER)
