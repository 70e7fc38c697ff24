"""What an encoding allows: cutting at bytes, or only reading from the beginning."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

from pipe_core.formats.line_feed import ByteStream
from pipe_core.kernel.errors import OptionsError

BOM: Final = codecs.BOM_UTF8
UTF8: Final = "utf-8"
_TURNED: Final = re.compile("[\ufffe\u0a00]")
"""No characters, but a byte order mark and a newline with their two bytes turned. Else a whole file is one odd line."""


@lru_cache
def plain_name(encoding: str) -> str:
    """One name for an encoding: ``utf-8`` for ``UTF8`` and ``utf-8-sig``. Raises `OptionsError` for an unknown one."""
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)
    except (LookupError, ValueError) as error:
        problem = f"Python knows no text encoding named {encoding!r}"
        raise OptionsError(
            f"{problem}; use for example 'utf-8' or 'cp1252'.", problems={"encoding": problem}
        ) from error
    return UTF8 if name == "utf-8-sig" else name


@lru_cache
def cuts_anywhere(encoding: str) -> bool:
    """Whether text in this encoding can be cut at any line end byte: UTF-8, and one byte a character with ASCII."""
    if encoding == UTF8:
        return True
    ascii_bytes = bytes(range(128))
    pairs = bytes(byte for first in range(256) for second in range(256) for byte in (first, second))
    pairs += b"\x1b$B!!\x1b(B\x1b$)C\x0e!!\x0f"  # what switches alphabets in the encodings of ISO 2022
    same = ascii_bytes.decode(encoding, "replace") == ascii_bytes.decode("ascii")
    return same and len(pairs.decode(encoding, "replace")) == len(pairs)


def require_utf8(encoding: str) -> None:
    """Raises `OptionsError` for another encoding: JSON is written in UTF-8 alone."""
    if plain_name(encoding) != UTF8:
        problem = f"JSON is written as UTF-8, not {encoding}"
        raise OptionsError(f"{problem}. Leave the encoding out.", problems={"encoding": problem})


class Transcoded:
    """A stream in any encoding, read as UTF-8. Raises UnicodeError behind the last good character."""

    def __init__(self, stream: ByteStream, encoding: str) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._failure: UnicodeError | None = None
        self._in_first_line = encoding.startswith("utf-16")

    def read(self, size: int, /) -> bytes:
        """About *size* bytes; none at the end."""
        while self._failure is None:
            data: bytes = self._read(size) or b""
            if text := self._decoded(data):
                return text.encode()
            if not data and self._failure is None:
                return b""
        raise self._failure

    def _decoded(self, data: bytes) -> str:
        _, state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            self._failure = error
            self._decoder.setstate((b"", state))  # such as the alphabet that an earlier read has switched to
            return self._decoder.decode(error.object[: error.start])
        except UnicodeError as error:  # UTF-16 without its byte order mark
            self._failure = error
            return ""
        if self._in_first_line:
            self._in_first_line = "\n" not in text
            if self._in_first_line and _TURNED.search(text):
                self._failure = UnicodeError("the two bytes of each character are in the other order")
                return ""
        return text


class Unmarked:
    """A stream of UTF-8 without its byte order mark."""

    def __init__(self, stream: ByteStream) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self._at_start = True

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; none at the end."""
        data: bytes = self._read(size) or b""
        while self._at_start and data and len(data) < len(BOM) and BOM.startswith(data):
            more = self._read(size)
            if not more:
                break
            data += more
        if self._at_start:
            self._at_start, data = False, data.removeprefix(BOM)
            return data or (self._read(size) or b"")
        return data
