"""Bytes in blocks of whole lines: what every reader of records by line works on.

A feed stands at an offset of its stream. It hands out lines that begin before its `end`, and more where a record that
has begun does not end there. What is not needed after all is pushed back.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final, Protocol

BLOCK: Final = 128 * 1024
"""Bytes in a block. From 64 to 256 KiB the speed is the same."""
_ANY_LINE_END: Final = re.compile(rb"\r\n?|\n")
_NEWLINE: Final = re.compile(rb"\n")


class ByteStream(Protocol):
    """What a feed reads from."""

    def read(self, size: int, /) -> bytes | None:
        """At most *size* bytes; none at the end."""


class LongLine(Exception):
    """A line is longer than a record may be. It was skipped; `head` is how it begins and `length` its bytes."""

    def __init__(self, head: bytes, length: int) -> None:
        super().__init__(f"a line of {length} bytes")
        self.head = head
        self.length = length


class LineFeed:
    """Whole lines of a stream, from its present place on.

    Args:
        stream: Read with ``read1`` where it has that, so that what a damaged stream held before the damage is seen.
        offset: The stream's present place in its source, in bytes.
        end: Lines that begin at this offset or behind it are left alone. None: read to the end.
        longest: No record may have more bytes.
        carriage: Whether a carriage return alone ends a line.
        patient: Fill whole blocks; False for a stream that may block.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        offset: int = 0,
        end: int | None = None,
        longest: int,
        carriage: bool = False,
        patient: bool = True,
    ) -> None:
        self.offset = offset
        self.longest = longest
        self._read = getattr(stream, "read1", stream.read)
        self._end = end
        self._block = self._full = min(BLOCK, longest)
        self._carriage = carriage
        self._line_end = _ANY_LINE_END if carriage else _NEWLINE
        self.patient = patient
        self._held = b""  # what was read; handed out already up to `_at`
        self._at = 0
        self._ended = False
        self._failure: Exception | None = None

    def take(self, most: int = BLOCK) -> bytes:
        """The next lines that begin before the end, at least one, about *most* bytes; nothing when there are none.

        Raises:
            LongLine: The next line is longer than a record may be. It is behind us then.
        """
        if self._end is not None and self.offset >= self._end:
            return b""
        self._block = min(most, self._full)
        cut = self._next_cut()
        if self._end is not None and self.offset + cut > self._end:
            cut = self._first_cut(self._end - self.offset - 1) or self._waiting
        if cut > self.longest:
            raise self._skip()
        return self._hand_out(cut)

    def more(self, most: int = BLOCK) -> bytes:
        """The next lines wherever they begin; half a line when it is longer than a record may be."""
        self._block = min(most, self.longest)
        return self._hand_out(self._next_cut())

    def push_back(self, data: bytes) -> None:
        """Take back the last bytes that were handed out."""
        self.offset -= len(data)
        if len(data) <= self._at:
            self._at -= len(data)
        else:
            self._held, self._at = data + self._held[self._at :], 0

    def skip_prefix(self, prefix: bytes) -> None:
        """Go behind *prefix* if the stream goes on with it."""
        while self._waiting < len(prefix) and prefix.startswith(self._held) and not self._ended:
            self._pull(self._block)
        if self._held.startswith(prefix):
            self._hand_out(len(prefix))

    def skip_line(self) -> int:
        """Go behind the next line end, or to the end of the stream. Returns the offset of that place."""
        while not (cut := self._first_cut(0)) and not self._ended:
            self._hand_out(max(self._waiting - 1, 0))  # the last byte may be the first half of a line end
            self._pull(self._block)
        self._hand_out(cut or self._rest())
        return self.offset

    def _next_cut(self) -> int:
        """How many of the held bytes are whole lines. More than `longest` means one line, perhaps unfinished."""
        self._fill()
        while not (cut := self._last_cut() or self._first_cut(self._block - 1)):
            if self._waiting > self.longest:
                return self._waiting
            if self._ended:
                return self._rest()
            self._pull(self._block)
        return cut

    def _rest(self) -> int:
        # The last line has no line end. Where the stream broke, it is no line but half of one.
        if self._failure is not None:
            raise self._failure
        return self._waiting

    @property
    def _waiting(self) -> int:
        return len(self._held) - self._at

    def _fill(self) -> None:
        if not self.patient and self._last_cut():
            return
        while self._waiting < self._block and not self._ended:
            self._pull(max(self._full, self._block) - self._waiting)
            if not self.patient:
                return

    def _pull(self, size: int) -> None:
        try:
            data = self._read(size)
        except Exception as error:  # raised by `_rest`, behind the lines that were read before it
            self._failure, self._ended = error, True
            return
        if data:
            self._held, self._at = self._held[self._at :] + data, 0
        else:
            self._ended = True

    def _last_cut(self) -> int:
        """Behind the last line end of a block, 0 when there is none."""
        held, at = self._held, self._at
        cut = held.rfind(b"\n", at, at + self._block) + 1
        if not cut and self._carriage:
            # A carriage return ends a line only if it is known that no newline follows.
            cut = held.rfind(b"\r", at, min(at + self._block, len(held)) - 1) + 1
        return max(cut - at, 0)

    def _first_cut(self, start: int) -> int:
        """Behind the first line end that is not wholly before *start*, 0 when none is known."""
        match = self._line_end.search(self._held, self._at + start)
        if match is None or (match.group() == b"\r" and match.end() == len(self._held) and not self._ended):
            return 0
        return match.end() - self._at

    def _hand_out(self, cut: int) -> bytes:
        data = self._held[self._at : self._at + cut]
        self._at += cut
        self.offset += cut
        return data

    def _skip(self) -> LongLine:
        start, head = self.offset, self._held[self._at : self._at + 1000]
        return LongLine(head, self.skip_line() - start)


def line_start(stream: BinaryIO, guess: int, carriage: bool) -> int:
    """Where the first line begins that begins at byte *guess* or behind it. Where there is none: the file's size."""
    if guess == 0:
        return 0
    stream.seek(guess - 1)
    return LineFeed(stream, offset=guess - 1, longest=4096, carriage=carriage).skip_line()
