"""A place in a stream of JSON text, moved over one value after the other without parsing them."""

from __future__ import annotations

import re
from typing import Final

from pipe_core.formats.line_feed import BLOCK, ByteStream

STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_MARK: Final = re.compile(rb'[{}\[\]"]')
_IN_STRING: Final = re.compile(rb'["\\]')
_SCALAR: Final = re.compile(rb'[^\s,:\[\]{}"]*+')


class BrokenJson(ValueError):
    """The text is broken outside the records, or goes on where it should end."""


class _ValueEnd:
    """Looks for the end of one value, block by block."""

    __slots__ = ("depth", "done", "in_scalar", "in_string")

    def __init__(self) -> None:
        self.depth = 0
        self.done = self.in_scalar = self.in_string = False

    def advance(self, data: bytes, at: int) -> int:
        """Goes on from *at*, to the end of the value or of the data."""
        while at < len(data) and not self.done:
            if self.in_string:
                at = self._string(data, at)
                if at < 0:
                    return len(data) - 1  # a backslash: what it escapes is not here yet
            elif self.in_scalar:
                at = _SCALAR.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing too
                self.done = at < len(data)
            else:
                at = self._mark(data, at)
        return at

    def _string(self, data: bytes, at: int) -> int:
        match = _IN_STRING.search(data, at)
        if match is None:
            return len(data)
        if match.group() == b"\\":
            return match.end() + 1 if match.end() < len(data) else -1
        self.in_string = False
        self.done = self.depth == 0
        return match.end()

    def _mark(self, data: bytes, at: int) -> int:
        match = _MARK.search(data, at) if self.depth else _MARK.match(data, at)
        if match is None:
            self.in_scalar = self.depth == 0
            return len(data) if self.depth else at
        mark = match.group()
        if mark == b'"':
            self.in_string = True
        else:
            self.depth += 1 if mark in b"{[" else -1
            self.done = self.depth <= 0
        return match.end()


class JsonCursor:
    """A place in a stream.

    Args:
        stream: UTF-8.

    Attributes:
        data: What is held of the stream.
        at: The place in `data`.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.data = b""
        self.at = 0
        self._read = getattr(stream, "read1", stream.read)
        self._passed = 0

    @property
    def offset(self) -> int:
        """The place in the stream, in bytes."""
        return self._passed + self.at

    @property
    def ended(self) -> bool:
        """Whether nothing is held of what follows. Behind a number this is the end of the stream."""
        return self.at == len(self.data)

    def peek(self) -> bytes:
        """The next byte that is no white space; nothing at the end."""
        while True:
            self.at = _SPACE.match(self.data, self.at).end()  # type: ignore[union-attr]  # it matches nothing too
            if self.at < len(self.data) or not self._refill():
                return self.data[self.at : self.at + 1]

    def expect(self, mark: bytes) -> None:
        """Go over *mark*. Raises `BrokenJson` when something else is there."""
        found = self.peek()
        if found != mark:
            raise self.broken(f"{mark.decode()!r} is missing")
        self.at += 1

    def value(self, longest: int) -> tuple[bytes, int]:
        """The next value and its length; only its beginning when it is longer than *longest* bytes."""
        if self.peek() in b",:]}":  # nothing too, at the end
            raise self.broken("a value is missing")
        look = _ValueEnd()
        end = look.advance(self.data, self.at)
        while not look.done and end - self.at <= longest:
            behind = end - self.at
            if not self._refill():
                end = self._unfinished(look, end)
                break
            end = look.advance(self.data, self.at + behind)
        value, self.at = self.data[self.at : end], end
        return value, len(value) + self._skip(look)

    def broken(self, problem: str) -> BrokenJson:
        """An error that says where."""
        cut_off = " The file is cut off?" if not self.data[self.at :] else ""
        return BrokenJson(f"{problem} at byte {self.offset:,}.{cut_off}")

    def _skip(self, look: _ValueEnd) -> int:
        """Goes to the end of a value without holding it."""
        begin = self.offset
        while not look.done:
            if not self._refill():
                self._unfinished(look, self.at)
                break
            self.at = look.advance(self.data, self.at)
        return self.offset - begin

    def _unfinished(self, look: _ValueEnd, end: int) -> int:
        if not look.in_scalar:
            self.at = len(self.data)
            raise self.broken("a value does not end")
        look.done = True
        return end

    def _refill(self) -> bool:
        more = self._read(BLOCK)
        if not more:
            return False
        self._passed += self.at
        self.data, self.at = self.data[self.at :] + more, 0
        return True
