"""A byte range of a CSV file, read by a worker."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import accumulate, islice
from typing import BinaryIO, ClassVar, Final

from pipe_core.formats.byte_range import ByteRange
from pipe_core.formats.csv_rows import CsvLayout, CsvRows
from pipe_core.formats.line_feed import LineFeed, line_start
from pipe_core.formats.rows_chunk import rows_batch
from pipe_core.kernel.contracts import Batch

_SAMPLE: Final = 16 * 1024
_CANDIDATES: Final = 16
_ROWS: Final = 4


class CsvSplit(ByteRange[CsvLayout]):
    """The rows that begin in a byte range. A row may end behind it: quoted cells hold line ends."""

    __slots__ = ()
    carriage: ClassVar[bool] = True

    def _guessed(self, file: BinaryIO) -> int:
        # A line may begin inside quotes. Rows that are read from there seldom have the right number of cells.
        first = line_start(file, self.begin, self.carriage)
        file.seek(first)
        sample = file.read(_SAMPLE)
        if first < self.end and self.layout.quotechar and self.layout.quotechar.encode(self.layout.encoding) in sample:
            for offset in islice(_line_starts(sample), _CANDIDATES):
                if first + offset < self.end and _looks_good(sample[offset:], self.layout):
                    return first + offset
        return first

    def _batches(self, feed: LineFeed, size: int) -> Iterator[Batch]:
        for group in CsvRows(feed, self.layout).groups(size):
            yield rows_batch(self.layout.fields, group)


def _line_starts(sample: bytes) -> Iterator[int]:
    return accumulate(map(len, sample.splitlines(keepends=True)), initial=0)


def _looks_good(sample: bytes, layout: CsvLayout) -> bool:
    """Whether some rows end in *sample*, and the first of them are as wide as the header."""
    feed = LineFeed(io.BytesIO(sample), longest=layout.longest, carriage=True)
    group = next(CsvRows(feed, layout).groups(_ROWS), None)
    return group is not None and not group.rejected
