"""A byte range of a CSV file, read by a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pipe_core.formats.byte_range import ByteRange
from pipe_core.formats.csv_rows import CsvLayout, CsvRows
from pipe_core.formats.line_feed import LineFeed
from pipe_core.formats.rows_chunk import rows_batch
from pipe_core.kernel.contracts import Batch


class CsvSplit(ByteRange[CsvLayout]):
    """The rows that begin in a byte range. A row may end behind it: quoted cells hold line ends."""

    __slots__ = ()
    carriage: ClassVar[bool] = True

    def _batches(self, feed: LineFeed, size: int) -> Iterator[Batch]:
        for group in CsvRows(feed, self.layout).groups(size):
            yield rows_batch(self.layout.fields, group)
