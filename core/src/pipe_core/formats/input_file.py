"""A file that is read: where it is, whether workers can read it in pieces, and its bytes without compression."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from pipe_core.formats.compression import Decompressed, compression_of
from pipe_core.formats.encodings import BOM, UTF8, Transcoded, Unmarked, cuts_anywhere, plain_name
from pipe_core.formats.line_feed import ByteStream, LineFeed
from pipe_core.formats.paths import path_of, remote_file
from pipe_core.formats.text_start import Started, check_start
from pipe_core.kernel.errors import OptionsError, SourceError, SourceNotFoundError

if TYPE_CHECKING:
    from pipe_core.formats.remote_file import RemoteVersion
    from pipe_core.formats.remote_reader import ForwardReader, RangeReader

_HEAD: Final = 16
"""Bytes that tell whether a file is text."""

_PRINTED: Final = 64 * 1024
"""Bytes of a file that its fingerprint is made of."""


class InputFile:
    """A path, a URL, or ``-`` for standard input, as a stream of bytes.

    Args:
        target: The path or URL.
        encoding: What its text is encoded in. What cannot be cut at a byte is read as UTF-8.
        storage_options: What the file system of a URL is told.

    Attributes:
        path: The path, absolute; the URL without secrets.
        remote: What was seen of the file of a URL by `open`, with which workers read it; None for a path.
    """

    def __init__(self, target: Any, encoding: str, storage_options: Mapping[str, Any] | None = None) -> None:
        path = path_of(target)
        self._remote = remote_file(path, storage_options)
        self.remote: RemoteVersion | None = None
        self.is_stdin = path == "-"
        self.path = "-" if self.is_stdin else os.path.abspath(path)
        self.name = "standard input" if self.is_stdin else path
        if self._remote is not None:
            self.path = self.name = self._remote.name
        self.encoding = plain_name(encoding)
        self.size = 0
        self._compression = None if self.is_stdin else compression_of(self.path)
        self._cuttable = cuts_anywhere(self.encoding)
        self._open: list[FileIO | Decompressed | RangeReader | ForwardReader] = []
        self._regular = False

    @property
    def read_encoding(self) -> str:
        """The encoding of the bytes that a feed gives."""
        return self.encoding if self._cuttable else UTF8

    @property
    def live(self) -> bool:
        """Whether reading may block: standard input, and pipes and devices given by path."""
        return self.is_stdin or (self._remote is None and not self._is_regular())

    @property
    def splittable(self) -> bool:
        """Whether a worker can begin in the middle. Known after `open`."""
        return self._regular and self._compression is None and self._cuttable

    def open(self) -> None:
        """Check that the file is there and can be read. Raises `SourceError`."""
        if self.is_stdin:
            return
        with reading_errors(self.name):
            if self._remote is not None:
                self.remote = self._remote.look()
                self._regular = self.remote.ranged
                self.size = self.remote.size or 0
                return
            status = os.stat(self.path)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "it is a folder", self.path)
            self._regular = stat.S_ISREG(status.st_mode)
            self.size = status.st_size
            if self._regular:
                open(self.path, "rb").close()

    def fingerprint(self) -> dict[str, Any]:
        """What tells whether the file is still the one it was: size, time, and the beginning. Nothing of a live one."""
        if self.live:
            return {}
        if self._remote is not None:
            remote = self.remote
            return {} if remote is None else {"size": remote.size, "version": remote.stamp}
        with reading_errors(self.name), open(self.path, "rb") as file:
            status = os.fstat(file.fileno())
            head = hashlib.sha256(file.read(_PRINTED)).hexdigest()
        return {"size": status.st_size, "modified": status.st_mtime_ns, "head": head}

    def feed(self, longest: int, carriage: bool) -> LineFeed:
        """The file from its beginning, behind a byte order mark. Raises OSError where it is no text."""
        patient = not self.live
        feed = LineFeed(self._stream(), longest=longest, carriage=carriage, patient=patient)
        if self.read_encoding == UTF8:
            feed.skip_prefix(BOM)
        return feed

    def content(self) -> ByteStream:
        """The file from its beginning as it is, without its compression."""
        return self._opened()

    def utf8(self) -> ByteStream:
        """The file from its beginning as UTF-8, whatever it is encoded in, behind a byte order mark.

        Raises OSError where it is no text.
        """
        stream = self._text()
        return Unmarked(stream if self.encoding == UTF8 else Transcoded(stream, self.encoding))

    def text_begin(self) -> int:
        """Where the text of a file that can be read in splits begins: behind a byte order mark.

        Raises:
            SourceError: It is no text.
        """
        with reading_errors(self.name), self._raw() as file:
            head = file.read(_HEAD) or b""
            check_start(head, self.encoding)
            return len(BOM) if self.encoding == UTF8 and head.startswith(BOM) else 0

    def _stream(self) -> ByteStream:
        stream = self._text()
        return stream if self._cuttable else Transcoded(stream, self.encoding)

    def _text(self) -> ByteStream:
        stream = Started(sys.stdin.buffer if self.is_stdin else self._opened(), self.encoding)
        if not self.live:  # what is read in splits is read from here no further than its header
            stream.look()
        return stream

    def _opened(self) -> ByteStream:
        with reading_errors(self.name):
            raw = self._raw()
            self._open.append(raw)
            if self._compression is None:
                return raw
            stream = Decompressed(cast(BinaryIO, raw), self._compression)
            self._open.append(stream)
            return stream

    def _raw(self) -> FileIO | RangeReader | ForwardReader:
        if self._remote is None:
            return open(self.path, "rb", buffering=0)
        return self.remote.reader() if self.remote is not None else self._remote.open()

    def close(self) -> None:
        """Close what is open. Standard input stays open."""
        while self._open:
            self._open.pop().close()

    def _is_regular(self) -> bool:
        return self._regular or os.path.isfile(self.path) or not os.path.exists(self.path)


@contextmanager
def reading_errors(name: str, position: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Whatever reading bytes raises becomes a `SourceError` that says what to do and how many records came before."""
    try:
        yield
    except (SourceError, OptionsError):
        raise
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"There is no file {name!r}. Is the path right?", source=name, position=0) from error
    except UnicodeError as error:
        # All but errors of decoding are about the order of bytes.
        other = "encoding='cp1252'" if isinstance(error, UnicodeDecodeError) else "'utf-16-le' or 'utf-16-be'"
        text = f"{name!r} is not in the encoding given: {error}. Give another one, for example {other}."
        raise SourceError(text, source=name, position=position()) from error
    except OSError as error:
        reason = error.strerror or str(error)
        hint = getattr(error, "hint", "A damaged, cut off or protected file?")  # a store knows better
        text = f"{name!r} cannot be read: {reason}. {hint}"
        raise SourceError(text, source=name, position=position()) from error
