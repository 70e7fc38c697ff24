"""A byte range of a CSV file, read by a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pipe_core.formats.csv_rows import CsvLayout, CsvRows
from pipe_core.formats.input_file import reading_errors
from pipe_core.formats.line_feed import LineFeed, line_start
from pipe_core.formats.rows_chunk import rows_batch
from pipe_core.kernel.contracts import Batch, Extent


@dataclass(slots=True)
class CsvSplit:
    """The records that begin from byte `begin` to byte `end` of a file.

    Attributes:
        path: The file, absolute.
        begin: Where it begins; a guess, moved to the next line start, unless `exact`.
        end: The last record begins before it and is read to its end.
        layout: How the file is laid out.
        exact: A record begins at `begin`.
        extent: What was read. Ranges without a record count as read.
    """

    path: str
    begin: int
    end: int
    layout: CsvLayout
    exact: bool = False
    extent: Extent | None = field(default=None, compare=False)

    @property
    def bytes(self) -> int:
        """The length of the range."""
        return max(self.end - self.begin, 0)

    def starting_at(self, begin: int) -> CsvSplit:
        """The same range, but its first record begins exactly at byte *begin*; nothing when that is behind its end."""
        return replace(self, begin=begin, exact=True, extent=None)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records. Raises `SourceError` when the file cannot be read any more."""
        count = 0
        with reading_errors(self.path, lambda: count), open(self.path, "rb", buffering=0) as file:
            begin = self.begin if self.exact else line_start(file, self.begin, carriage=True)
            file.seek(begin)
            feed = LineFeed(file, offset=begin, end=self.end, longest=self.layout.longest, carriage=True)
            for group in CsvRows(feed, self.layout).groups(size):
                count += len(group.rows)
                yield rows_batch(self.layout.fields, group.rows, group.rejected)
            self.extent = Extent(begin, feed.offset)
