"""The feed: a source cut into pieces of the right size, each at the right moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pipe_core.kernel.contracts import Chunk, CountedSource, Extent, Readable, SeekableSource, Source, Split
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.errors import SourceError
from pipe_core.records.reader import IDLE_SECONDS, Reader, chunks_behind, source_error
from pipe_core.records.result import Result
from pipe_core.runtime.failpoints import failpoint

FIRST_BYTES: Final = 2 * 1024
"""The first splits, of which nobody knows how long they take: a few records, or some hundreds of tiny ones."""
LEAST_BYTES: Final = 1024
READ_BYTES: Final = 64 * 1024
"""The least where a split takes longer to be read than to be worked on: to open it costs more than its bytes."""
MOST_BYTES: Final = 8 * 1024 * 1024
RECORD_BYTES: Final = 200
"""A record, as long as nobody knows better."""
FIRST_CHUNK: Final = 200
FIRST_RECORDS: Final = 400
"""Records in the first chunks of all workers together, so that each soon has one and its time is known."""
MOST_RECORDS: Final = 10_000
CHUNK_SECONDS: Final = 0.05
"""Work for one chunk: long against the cost of handing it over, short against a person's patience."""
SPLIT_SECONDS: Final = 0.1
"""Work for one split, which nobody waits for while it is read."""
CHUNK_GROWTH: Final = 4.0
SPLIT_GROWTH: Final = 16.0
"""How many times larger or smaller than a piece the pieces behind it may be, whatever its time says."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk or split that is ready to be processed.

    Attributes:
        readable: What to read.
        size: Bytes of input that it stands for, about.
        position: The number of its first record, where that is known.
    """

    readable: Readable
    size: int
    position: int | None = None


class Feed:
    """Cuts a source into pieces.

    Sources that workers can read are cut into splits, others into chunks. Sizes follow the time that pieces were
    measured to take, unless *exact* says how many records a chunk has.

    Args:
        source: An opened source.
        exact: The number of records in every chunk but the last; None to let it adapt.
        whole: Whether chunks must be used because positions must be known or chunk borders are exact.
        workers: How many work on the pieces.
        least: How many records a piece has at least, where it may adapt: those that one worker works on at once.
        wake: Called from the reading thread of a live source when there is something to take.
        skip: How many records from the first are not wanted: another process was done with them.
        behind: Where the last of them ended, if the source was read in splits.
    """

    def __init__(
        self,
        source: Source,
        *,
        exact: int | None,
        whole: bool,
        workers: int = 1,
        least: int = 1,
        wake: Callable[[], None],
        skip: int = 0,
        behind: Extent | None = None,
    ) -> None:
        self._source = source
        self._least = least
        self._records = exact or max(least, min(FIRST_CHUNK, FIRST_RECORDS // workers))
        self._bytes = max(FIRST_BYTES, min(READ_BYTES, (exact or least) * RECORD_BYTES))
        self._exact = exact
        self._position = skip
        self.done = False
        self.failure: SourceError | None = None
        splits = source.splits(lambda: self._bytes)
        self._countable = splits is None
        if skip:
            splits = self._splits_behind(skip, behind)
        self._splits = None if whole else splits
        self._chunks: Iterator[Chunk] | None = None
        self._reader: Reader | None = None
        if self._splits is None:
            if source.live:
                idle = math.inf if whole and exact else IDLE_SECONDS
                self._reader = Reader(source, self._records, wake, idle=idle, skip=skip)
            else:
                self._chunks = chunks_behind(source, skip, lambda: self._records)

    def _splits_behind(self, skip: int, behind: Extent | None) -> Iterator[Split] | None:
        """The splits behind that place. None where the records before it must be read to be left out."""
        if isinstance(self._source, CountedSource):
            return self._source.splits_from(skip, lambda: self._bytes)
        if behind is None or not isinstance(self._source, SeekableSource):
            return None
        return self._source.splits_behind(behind, lambda: self._bytes)

    @property
    def splitting(self) -> bool:
        """Whether workers read the source."""
        return self._splits is not None

    @property
    def total(self) -> tuple[int | None, Literal["bytes", "records"]]:
        """How much there is to read, where that is known, and in what unit.

        A source that could be split but is read in chunks knows its size only in bytes, which chunks do not tell.
        """
        size = self._source.size
        if self.splitting:
            return size, "bytes"
        return (size if self._countable else None), "records"

    @property
    def next_size(self) -> int:
        """About how many bytes the next piece stands for."""
        return self._bytes if self.splitting else self._records * RECORD_BYTES

    def take(self) -> Piece | None:
        """The next piece; None when there is none now, or none any more (`done`)."""
        if self.done:
            return None
        try:
            failpoint("source.take.before")
            piece = self._next()
        except SourceError as error:
            self.failure, self.done = error, True
            return None
        except BaseException as error:  # a source of the user's may raise anything; it ends the run with its reason
            if is_ctrl_c(error):
                raise
            self.failure, self.done = source_error(self._source, error), True
            return None
        if piece is None and self._reader is None:
            self.done = True
        return piece

    def _next(self) -> Piece | None:
        if self._splits is not None:
            split: Split | None = next(self._splits, None)
            return None if split is None else Piece(split, split.bytes)
        if self._reader is not None:
            return self._from_reader(self._reader)
        assert self._chunks is not None  # one of the three was chosen
        chunk = next(self._chunks, None)
        return None if chunk is None else self._positioned(chunk)

    def _from_reader(self, reader: Reader) -> Piece | None:
        chunk = reader.take()
        if chunk is None and reader.ended:
            self.done = True
            if reader.failure is not None:
                raise reader.failure
        return None if chunk is None else self._positioned(chunk)

    def _positioned(self, chunk: Chunk) -> Piece:
        piece = Piece(chunk, len(chunk) * RECORD_BYTES, self._position)
        self._position += len(chunk)
        return piece

    def learn(self, result: Result, piece: Piece) -> None:
        """Choose the size of the pieces to come by what *piece* took."""
        seconds = sum(result.seconds.values())
        if not result.read or seconds <= 0:
            return
        if self.splitting:
            self._bytes = self._next_bytes(result, piece, seconds)
        elif self._exact is None:
            factor = _factor(CHUNK_SECONDS / seconds, CHUNK_GROWTH)
            self._records = int(min(MOST_RECORDS, max(self._least, result.read * factor)))
            if self._reader is not None:
                self._reader.resize(self._records)

    def _next_bytes(self, result: Result, piece: Piece, seconds: float) -> int:
        extent = result.extent
        size = piece.size if extent is None else max(extent.end - extent.begin, 1)  # a long record ends far behind it
        if self._exact is not None:
            return max(1, self._exact * size // result.read)
        record = -(-size // result.read)
        reads = result.seconds.get("read", 0.0) > seconds / 2
        least = max(READ_BYTES if reads else LEAST_BYTES, self._least * record)
        return int(min(MOST_BYTES, max(least, size * _factor(SPLIT_SECONDS / seconds, SPLIT_GROWTH))))

    def due(self) -> float | None:
        """Seconds until records that have arrived want to be taken, or None when none wait."""
        return self._reader.due() if self._reader is not None else None

    def close(self) -> str | None:
        """Stop reading. The result names a source that is still blocked in a read, which is left to its thread."""
        if self._reader is not None and not self._reader.stop():
            return self._source.name
        return None


def _factor(wanted: float, most: float) -> float:
    return min(most, max(1 / most, wanted))
