"""Chunks of classes that do not travel, as the records that they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import Any, Final

from pipe_core.kernel.contracts import Batch, Readable, Rejection
from pipe_core.kernel.copies import fresh
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.errors import CodecError
from pipe_core.kernel.portable import pack_rejected, unpack_rejected
from pipe_core.records.legible import legible
from pipe_core.runtime.wire import open_error, pack_error

_BATCH: Final = 1000
_SHOWN: Final = 1000
"""Characters that a rejection shows of a record that is too large to travel."""


@dataclass(slots=True)
class Piece:
    """Consecutive records that were read already.

    Attributes:
        records: What there is to validate; None where rejected.
        raws: The records as they were read, by index, where they differ from those in `records`.
        rejected: The records that could not be read or cannot travel, by index.
        failure: Behind the last record, the error that ended the reading, as `pack_error` has it.
    """

    records: list[Any]
    raws: dict[int, Any] = field(default_factory=dict)
    rejected: dict[int, Rejection] = field(default_factory=dict)
    failure: bytes | None = None

    def __len__(self) -> int:
        return len(self.records)

    def pack(self) -> list[Any]:
        """Its parts as `unpack` wants them."""
        return [self.records, list(self.raws), list(self.raws.values()), pack_rejected(self.rejected), self.failure]

    @classmethod
    def unpack(
        cls, records: list[Any], places: list[int], raws: list[Any], rejected: list[Any], failure: bytes | None
    ) -> Piece:
        """The piece that `pack` took apart."""
        return cls(records, dict(zip(places, raws, strict=True)), unpack_rejected(rejected), failure)

    def cut(self, start: int, stop: int) -> Piece:
        """The records from *start* to *stop*."""
        return Piece(
            self.records[start:stop],
            {i - start: raw for i, raw in self.raws.items() if start <= i < stop},
            {i - start: why for i, why in self.rejected.items() if start <= i < stop},
        )

    def halves(self) -> Iterator[Piece]:
        """Two of them."""
        middle = len(self.records) // 2
        yield self.cut(0, middle)
        yield self.cut(middle, len(self.records))

    def legible(self, check: Callable[[Any], None]) -> Piece:
        """The piece of one record which cannot travel as it is: rejected, or only its raw form made legible."""
        raw = legible(self.raws.get(0, self.records[0]))
        if (known := self.rejected.get(0)) is not None:
            return Piece([None], {}, {0: Rejection(known.type, known.message, legible(known.raw))})
        try:
            check(self.records[0])
        except CodecError as error:
            return Piece([None], {}, {0: Rejection("CodecError", str(error), raw)})
        return Piece(self.records, {0: raw})

    def short(self) -> Piece:
        """The piece of one record of which not even the legible form can travel: it is too large."""
        why = self.rejected.get(0) or Rejection("CodecError", "The record is too large to travel.", self.raws.get(0))
        return Piece([None], {}, {0: Rejection(why.type, why.message[:_SHOWN], str(why.raw)[:_SHOWN])})


def pieces_of(readable: Readable) -> Iterator[Piece]:
    """What a chunk or split holds. An error that ends its reading becomes the `failure` of the last piece."""
    batches = readable.batches(_BATCH)
    while True:
        try:
            batch = next(batches, None)
        except BaseException as error:  # of the source; it ends the run where the worker meets it, as in one process
            if is_ctrl_c(error):
                raise
            yield Piece([], failure=pack_error(error))
            return
        if batch is None:
            return
        yield _piece(batch)


def _piece(batch: Batch) -> Piece:
    raws = {}
    for i, record in enumerate(batch.records):
        if i not in batch.rejected:
            raw = _plain_raw(batch, i)
            if not _is_same(record, raw):
                raws[i] = raw
    return Piece(batch.records, raws, dict(batch.rejected))


def _plain_raw(batch: Batch, i: int) -> Any:
    raw = batch.raw(i)
    if type(raw) is dict:
        return raw
    try:
        return dict(raw) if isinstance(raw, Mapping) else raw
    except BaseException as error:  # user code: a mapping that can be read once only
        if is_ctrl_c(error):
            raise
        return batch.records[i]


def _is_same(record: Any, raw: Any) -> bool:
    """Whether *raw* is *record*, or a flat copy of it."""
    if type(record) is dict and type(raw) is dict:
        return list(record) == list(raw) and all(map(is_, record.values(), raw.values()))
    return record is raw


class LooseChunk:
    """The records of some pieces, as a worker reads them.

    Args:
        pieces: In the order of the source.
    """

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        whole = self.joined()
        for start in range(0, len(whole), size):
            yield _batch(whole.cut(start, start + size))
        if whole.failure is not None:
            raise open_error(whole.failure)

    def joined(self) -> Piece:
        """All of them as one piece."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        whole = Piece([])
        for piece in self.pieces:
            shift = len(whole)
            whole.records += piece.records
            whole.raws.update((i + shift, raw) for i, raw in piece.raws.items())
            whole.rejected.update((i + shift, why) for i, why in piece.rejected.items())
            whole.failure = piece.failure
        return whole


def _batch(piece: Piece) -> Batch:
    records, raws, rejected = piece.records, piece.raws, piece.rejected

    def raw(i: int) -> Any:
        if i in rejected:
            return rejected[i].raw
        return raws[i] if i in raws else records[i]

    made, odd = fresh(records)
    return Batch(made, raw, {**rejected, **odd})
