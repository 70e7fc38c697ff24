"""Rows of CSV out of blocks of whole lines, exactly as `csv.reader` reads the whole file.

The ordinary way has no Python work per record: a block is decoded once and `csv.reader` makes lists of it. Behind the
block it is given one more line, a character that no decoded text can hold. If that comes back as a row of its own, no
record crosses the block's end. If not, the last record is unfinished and is read again, alone, with more lines.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from pipe_core.formats import rejections
from pipe_core.formats.group import Group
from pipe_core.formats.line_feed import BLOCK, LineFeed, LongLine
from pipe_core.kernel.contracts import Rejection

_BORDER: Final = "\ud800"
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_LEAST: Final = 4096
"""Bytes to read on with when a record does not end in its block."""
_CAREFUL: Final = 256
"""Bytes in the block behind a quote that was left open: the next line may leave one open as well."""

Cells = list[Any]


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a CSV file is laid out, as plain data that travels to the workers. The words are those of `CsvOptions`."""

    encoding: str
    delimiter: str
    quotechar: str | None
    escapechar: str | None
    fields: tuple[str, ...]
    null_values: frozenset[str]
    strip: bool
    longest: int


class CsvRows:
    """Reads the rows of a feed.

    Args:
        feed: Whole lines; `LineFeed` with ``carriage=True``.
        layout: What the file looks like. Without fields every row is good.
    """

    def __init__(self, feed: LineFeed, layout: CsvLayout) -> None:
        self._feed = feed
        self._layout = layout
        self._width = len(layout.fields)
        self._most = BLOCK
        self._open_until = 0.0  # a quote that is open at a line end before this offset is open up to it
        self._cleans = bool(layout.null_values) or layout.strip
        self._dialect: dict[str, Any] = {
            "delimiter": layout.delimiter,
            "quotechar": layout.quotechar,
            "escapechar": layout.escapechar,
            "quoting": csv.QUOTE_NONE if layout.quotechar is None else csv.QUOTE_MINIMAL,
        }

    def groups(self, size: int) -> Iterator[Group[Cells]]:
        """The rows in groups of at most *size*, never empty ones."""
        while True:
            try:
                block = self._feed.take(self._most)
            except LongLine as error:
                too_large = rejections.record_too_large(error.length, self._layout.longest, error.head)
                yield Group([[]], {0: too_large})
                continue
            if not block:
                return
            unfinished = yield from self._block(block, size)
            self._most = min(2 * self._most, BLOCK)
            if unfinished:
                yield from self._grouped(*self._finish(unfinished))

    def first(self) -> tuple[Cells, Rejection | None] | None:
        """The next row that is not blank, or why it is rejected; None when there is none."""
        while block := self._feed.take():
            if rows := block.lstrip(b"\r\n"):  # what is read one by one below costs a block each
                [row], suspect, rejection = self._finish(rows)
                if row or rejection is not None:
                    return row, rejection or (self._fault(row) if suspect else None)
        return None

    def _block(self, block: bytes, size: int) -> Generator[Group[Cells], None, bytes]:
        """Gives the groups of one block and returns the bytes of a record that does not end in it."""
        text, suspect = self._decode(block)
        reader = csv.reader(chain(io.StringIO(text, newline=""), (_BORDER,)), **self._dialect)
        while True:
            lines_before = reader.line_num
            rows: list[Cells] = []
            try:
                rows.extend(islice(reader, size))
            except csv.Error:  # the rows before it are in the list
                yield from self._grouped(rows, suspect)
                return self._behind(block, text, lines_before, len(rows))
            if (last := rows[-1]) and last[-1].endswith(_BORDER):
                del rows[-1]
                yield from self._grouped(rows, suspect)
                return b"" if last == [_BORDER] else self._behind(block, text, lines_before, len(rows))
            yield from self._grouped(rows, suspect)

    def _behind(self, block: bytes, text: str, lines: int, rows: int) -> bytes:
        """What follows in *block*, whose text is *text*, behind so many lines and then so many rows."""
        stream = io.StringIO(text, newline="")
        deque(islice(stream, lines), maxlen=0)
        deque(islice(csv.reader(stream, **self._dialect), rows), maxlen=0)
        rest = self._encode(stream.read())
        return rest if block.endswith((b"\n", b"\r")) else rest[:-1]  # without the line end that `_decode` added

    def _finish(self, data: bytes) -> tuple[list[Cells], bool, Rejection | None]:
        """Reads the record that begins with *data*, and pushes back what follows it."""
        limit = self._layout.longest
        begin = self._feed.offset - len(data)
        line = _first_line(data)
        try:
            if begin + limit > self._open_until or self._first(line) is not None:
                while (found := self._first(data)) is None and len(data) <= limit and (more := self._more(data)):
                    data += more
                if found is not None and found[1] <= limit:
                    row, length, suspect = found
                    self._feed.push_back(data[length:])
                    return [row], suspect, None
        except csv.Error:
            pass  # given up below, like what has no end
        return [[]], False, self._give_up(data, line)

    def _more(self, data: bytes) -> bytes:
        # As much again: reading a long record over and over costs twice its length, and a short one needs little.
        return self._feed.more(max(len(data), _LEAST))

    def _first(self, data: bytes) -> tuple[Cells, int, bool] | None:
        """The first record of *data*, its length in bytes, and whether it is suspect; None while it has no end."""
        text, suspect = self._decode(data)
        reader = csv.reader(chain(io.StringIO(text, newline=""), (_BORDER,)), **self._dialect)
        row: Cells = next(reader)
        if row and row[-1].endswith(_BORDER):
            return None
        return row, min(self._length(text, reader.line_num), len(data)), suspect

    def _length(self, text: str, lines: int) -> int:
        return len(self._encode("".join(islice(io.StringIO(text, newline=""), lines))))

    def _give_up(self, data: bytes, line: bytes) -> Rejection:
        """Rejects the first *line* of *data*, so that an open quote costs one line and not the file."""
        shown = self._decode(line)[0].rstrip("\r\n")
        try:
            deque(csv.reader((shown,), **self._dialect), maxlen=0)
        except csv.Error:
            self._feed.push_back(data[len(line) :])
            return rejections.field_too_large(_readable(shown))
        begin = self._feed.offset - len(data)
        looks_ahead = self._feed.patient and self._layout.escapechar is None
        if looks_ahead and begin + self._layout.longest > self._open_until:
            data = self._look_ahead(data, len(line))
        self._feed.push_back(data[len(line) :])
        self._most = _CAREFUL
        return rejections.open_quote(_readable(shown))

    def _look_ahead(self, data: bytes, line: int) -> bytes:
        """Finds out how far a quote stays open that is open behind the first line. Returns *data* and what was read.

        What is inside quotes at a line end goes on in one way only, wherever the quote began. So this is looked at once
        for all lines that follow; else each of many open quotes would cost the largest record allowed.
        """
        while len(data) <= 2 * self._layout.longest and (more := self._more(data)):
            data += more
        begin = self._feed.offset - len(data) + line
        text = f"{self._layout.quotechar}{self._decode(data[line:])[0]}"
        reader = csv.reader(chain(io.StringIO(text, newline=""), (_BORDER,)), **self._dialect)
        try:
            row = next(reader)
        except csv.Error:
            row = []
        if row and row[-1].endswith(_BORDER):
            self._open_until = begin + len(data) - line if len(data) > 2 * self._layout.longest else math.inf
        else:
            self._open_until = begin + self._length(text, reader.line_num - 1) - 1
        return data

    def _grouped(self, rows: list[Cells], suspect: bool, rejection: Rejection | None = None) -> Iterator[Group[Cells]]:
        if rejection is not None:
            yield Group(rows, {0: rejection})
            return
        rejected: dict[int, Rejection] = {}
        if suspect or not self._width or set(map(len, rows)) != {self._width}:
            rows = [row for row in rows if row]
            rejected = self._judge(rows)
        if self._cleans:
            rows = [list(map(self._clean, row)) for row in rows]
        if rows:
            yield Group(rows, rejected)

    def _judge(self, rows: list[Cells]) -> dict[int, Rejection]:
        """Finds the bad rows, and empties them."""
        rejected = {}
        for i, row in enumerate(rows):
            if (rejection := self._fault(row)) is not None:
                rejected[i] = rejection
                rows[i] = []
        return rejected

    def _fault(self, row: Cells) -> Rejection | None:
        if any(map(_UNDECODED.search, row)):
            return rejections.bad_encoding(self._layout.encoding, list(map(_readable, row)))
        if any("\0" in cell for cell in row):
            return rejections.nul_byte(row)
        if self._width and len(row) != self._width:
            return rejections.ragged_row(row, self._width)
        return None

    def _clean(self, cell: str) -> str | None:
        if self._layout.strip:
            cell = cell.strip()
        return None if cell in self._layout.null_values else cell

    def _decode(self, data: bytes) -> tuple[str, bool]:
        """The text of *data*, which always ends with a line end, and whether there may be something wrong in it."""
        suspect = b"\0" in data
        try:
            text = data.decode(self._layout.encoding)
        except UnicodeDecodeError:
            text, suspect = data.decode(self._layout.encoding, "surrogateescape"), True
        return (text if text.endswith(("\n", "\r")) else text + "\n"), suspect

    def _encode(self, text: str) -> bytes:
        return text.encode(self._layout.encoding, "surrogateescape")


def _first_line(data: bytes) -> bytes:
    match = _LINE_END.search(data)
    return data if match is None else data[: match.end()]


def _readable(text: str) -> str:
    r"""Text whose undecoded bytes are shown as ``\xNN``."""
    return _UNDECODED.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", text)
