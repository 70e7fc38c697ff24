"""Files of a store that are written whole or not at all."""

from __future__ import annotations

import importlib
import io
import logging
import secrets
from contextlib import suppress
from typing import Any, BinaryIO, Final, cast

from pipe_core.formats.remote_errors import StoreError
from pipe_core.formats.remote_file import RemoteFile

logger: Final = logging.getLogger("pipe_core")


class StagedObject:
    """An object written beside its target, which it replaces at the commit.

    A store has no open files either: an object appears as a whole when its upload is complete. It is uploaded under
    another name all the same, so that it can be kept when the run fails, whatever the store. At the commit the store
    itself copies or renames it.

    Args:
        target: Where it goes. That it can be written is tried at once, with an empty object.
    """

    def __init__(self, target: RemoteFile) -> None:
        self._target = target
        self._system, self._path = target.connect()
        folder, separator, base = self._path.rpartition("/")
        self._part = f"{folder}{separator}.{base[:200]}.{secrets.token_hex(6)}.part"
        with target.errors():
            self._system.pipe_file(self._part, b"")
            self._upload = _Upload(target, self._system.open(self._part, "wb"))
        self.raw: BinaryIO = cast(BinaryIO, self._upload)
        self._committed = False

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Refused: an upload ends with its process."""
        raise StoreError("nobody can go on behind a checkpoint in a store")

    def commit(self) -> None:
        """End the upload, and put it in the place of its target."""
        self._upload.finish()
        self._move(self._path)
        self._committed = True

    def abort(self, keep: bool) -> str | None:
        """Remove it, or with *keep* leave it as ``<target>.partial``."""
        if self._committed:
            return None
        if keep:
            self._upload.finish()
            self._move(f"{self._path}.partial")
            return f"{self._target.name}.partial"
        self._upload.discard()
        with suppress(FileNotFoundError), self._target.errors():
            self._system.rm_file(self._part)
        return None

    def close(self) -> None:
        """End an upload that nobody ended."""
        self._upload.discard()

    def _move(self, path: str) -> None:
        """The store moves it, or copies it and it is removed when the copy was seen to be there."""
        copies = type(self._system).mv is importlib.import_module("fsspec").AbstractFileSystem.mv
        with self._target.errors():
            (self._system.cp_file if copies else self._system.mv)(self._part, path)
            self._system.invalidate_cache(path)
            size = self._system.info(path)["size"]
        if size != self._upload.written:
            raise StoreError(f"{self._upload.written:,} bytes were written and {size} are there")
        if copies:
            self._remove_part()

    def _remove_part(self) -> None:
        try:
            with self._target.errors():
                self._system.rm_file(self._part)
        except OSError as error:  # what was promised is there: the run has not failed
            name = self._part.rpartition("/")[2]
            logger.warning("%s is complete. %r beside it could not be removed: %s", self._target.name, name, error)


class _Upload(io.RawIOBase):
    """An upload whose `write` takes everything or raises an OSError without secrets."""

    def __init__(self, target: RemoteFile, file: Any) -> None:
        super().__init__()
        self._target = target
        self._file = file
        self._ended = False
        self.written = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any, /) -> int:
        """Take all of *data*."""
        length = memoryview(data).nbytes
        with self._target.errors():
            self._file.write(data)
        self.written += length
        return length

    def finish(self) -> None:
        """Upload what is left, and let the object appear."""
        if not self._ended:
            with self._target.errors():
                self._file.close()
            self._ended = True

    def discard(self) -> None:
        """Give up what was not uploaded."""
        if self._ended:
            return
        self._ended = True
        buffered = importlib.import_module("fsspec.spec").AbstractBufferedFile
        with suppress(OSError), self._target.errors():
            if isinstance(self._file, buffered):
                self._file.discard()
                self._file.closed = True  # its `close`, which its deletion calls, would upload what is left
            else:
                self._file.close()
