"""The first bytes of a file of text, which may tell that it is something else.

Without this look a compressed file under the name of a plain one is a heap of broken records, or a header of garbage.
"""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Final

from pipe_core.formats.encodings import UTF8
from pipe_core.formats.line_feed import BLOCK, ByteStream

_PACKED: Final = {
    b"\x1f\x8b\x08": ("gzip", ".gz"),
    b"\x04\x22\x4d\x18": ("lz4", ".lz4"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", ".zst"),
    **{b"BZh%d1AY&SY" % level: ("bzip2", "") for level in range(1, 10)},
    b"\xfd7zXZ\x00": ("xz", ""),
    b"PK\x03\x04": ("zip", ""),
}
_MARKS_OF_OTHERS: Final = {  # that of UTF-32 begins like the one of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF32_BE: "utf-32",
}


class WrongStart(OSError):
    """A file is not what it is read as. `hint` says what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class Started:
    """A stream whose first bytes are looked at. Raises `WrongStart` with the first read."""

    def __init__(self, stream: ByteStream, encoding: str) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self._encoding = encoding
        self._head: bytes | None = None
        self._at_start = True

    def look(self) -> None:
        """Read so far that the first bytes are known. Raises `WrongStart`, or what the stream raises."""
        head: bytes = self._read(BLOCK) or b""
        while any(len(head) < len(mark) and mark.startswith(head) for mark in _starts(self._encoding)):
            more = self._read(BLOCK)
            if not more:
                break
            head += more
        check_start(head, self._encoding)
        self._head, self._at_start = head, False

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; none at the end."""
        if self._at_start:
            self.look()
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        data: bytes = self._read(size) or b""
        return data


def check_start(head: bytes, encoding: str) -> None:
    """Raises `WrongStart` where a file of text in *encoding* cannot begin with the bytes *head*."""
    for mark, problem in _starts(encoding).items():
        if head.startswith(mark):
            raise WrongStart(*problem)


@lru_cache
def _starts(encoding: str) -> dict[bytes, tuple[str, str]]:
    """What no text in *encoding* begins with, and what to tell of it."""
    if "PK".encode(encoding) != b"PK":  # in UTF-16 and the like all of these are letters
        return {}
    found = {mark: _packed(name, suffix) for mark, (name, suffix) in _PACKED.items()}
    marks = _MARKS_OF_OTHERS if encoding == UTF8 else {codecs.BOM_UTF8: UTF8}
    for mark, other in marks.items():
        problem = f"it begins with the byte order mark of {other}, but is read as {encoding}"
        found[mark] = problem, f"Give encoding={other!r}."
    return found


def _packed(name: str, suffix: str) -> tuple[str, str]:
    if suffix:
        return f"it is compressed with {name}", f"Its name must end in {suffix}, and it must be compressed only once."
    return f"it is compressed with {name}, which is not read", "Decompress it, or compress it with gzip (.gz)."
