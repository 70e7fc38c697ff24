"""A byte range of a file of lines, read by a worker: what CSV and JSON lines have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Generic, Protocol, Self, TypeVar, cast

from pipe_core.formats.input_file import reading_errors
from pipe_core.formats.line_feed import LineFeed, line_start
from pipe_core.kernel.contracts import Batch, Extent, SizeNow

if TYPE_CHECKING:
    from pipe_core.formats.remote_file import RemoteVersion


class Layout(Protocol):
    """What a range must know of its file. Plain data."""

    @property
    def longest(self) -> int:
        """No record may have more bytes."""


LayoutT = TypeVar("LayoutT", bound=Layout)


@dataclass(slots=True)
class ByteRange(ABC, Generic[LayoutT]):
    """The records that begin from byte `begin` to byte `end` of a file.

    Attributes:
        path: The file, absolute; the URL without secrets for one in a store.
        begin: Where it begins; a guess, moved to the next line start, unless `exact`.
        end: The last record begins before it and is read to its end.
        layout: How the file is laid out.
        exact: A record begins at `begin`.
        extent: What was read. It holds blank lines and half lines too, so that ranges meet where nothing is missing.
        remote: The file in a store that is read; None for one at `path`.
    """

    carriage: ClassVar[bool]

    path: str
    begin: int
    end: int
    layout: LayoutT
    exact: bool = False
    extent: Extent | None = field(default=None, compare=False)
    remote: RemoteVersion | None = None

    @property
    def bytes(self) -> int:
        """The length of the range."""
        return max(self.end - self.begin, 0)

    def starting_at(self, begin: int) -> Self:
        """The same range, but its first record begins exactly at byte *begin*; nothing when that is behind its end."""
        return replace(self, begin=begin, exact=True, extent=None)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records. Raises `SourceError` when the file cannot be read any more."""
        count = 0
        with reading_errors(self.path, lambda: count), self._opened() as file:
            begin = self.begin if self.exact else self._guessed(file)
            file.seek(begin)
            feed = LineFeed(file, offset=begin, end=self.end, longest=self.layout.longest, carriage=self.carriage)
            for batch in self._batches(feed, size):
                count += len(batch.records)
                yield batch
            self.extent = Extent(begin, feed.offset, self.path)

    def _opened(self) -> BinaryIO:
        if self.remote is None:
            return cast(BinaryIO, open(self.path, "rb", buffering=0))
        return cast(BinaryIO, self.remote.reader(until=self.end))

    def _guessed(self, file: BinaryIO) -> int:
        """Where the first record probably begins."""
        return line_start(file, self.begin, self.carriage)

    @abstractmethod
    def _batches(self, feed: LineFeed, size: int) -> Iterator[Batch]:
        """The batches of what *feed* reads."""


def ranges(begin: int, end: int, size: SizeNow) -> Iterator[tuple[int, int]]:
    """From *begin* to *end* in steps of ``size()``, asked for each."""
    while begin < end:
        stop = min(begin + max(size(), 1), end)
        yield begin, stop
        begin = stop
