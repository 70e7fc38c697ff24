"""Suspects: a piece whose worker died, or hung, is run again in ever smaller parts until the culprit is alone.

A record is blamed when two workers have died of it alone, or one that was the third death it was part of; every other
record of its piece goes its ordinary way. So a worker that is killed from outside blames nobody, not even where it ran
a single record of a piece whose worker had died before. A culprit costs three deaths, or two where it came alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pipe_core.kernel.contracts import Extent
from pipe_core.records.feed import Piece
from pipe_core.records.program import Program
from pipe_core.records.result import Failure, Pending, Phase, Result
from pipe_core.records.transport.loose_chunk import LooseChunk, pieces_of
from pipe_core.runtime.wire import open_error

_FEW: Final = 128
"""So many records or fewer are run one by one; more are cut into the square root of their number first."""
_ALONE: Final = 2
"""So many deaths alone, and a record is to blame."""
_DEATHS: Final = 3
"""So many deaths in all, the last one alone, and it is as well."""


@dataclass(eq=False, slots=True)
class Part:
    """Some consecutive records of a suspect piece.

    Attributes:
        begin: The first of them, counted from the piece's first.
        end: Behind the last of them.
        deaths: How many workers died of a part that held all of these, as far as is known.
        alone: How many of them died of this very part, where it is too small to be cut.
        result: What became of them.
        given: Whether it was handed over.
        placed: Whether the indexes in its result count from the piece's first record.
    """

    begin: int
    end: int
    deaths: int
    alone: int = 0
    result: Result | None = None
    given: bool = False
    placed: bool = False

    def __len__(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Death:
    """What is known of the end of a worker.

    Attributes:
        kind: ``"WorkerKilled"`` or ``"HookTimeout"``.
        message: What to say of the record that is blamed.
        at: The first record of the batch in work, counted from the part's first; None where nobody knows.
        hook: The name of the hook in work, where known.
        phase: Where it was.
        certain: Whether the record at *at* is known to be the culprit.
    """

    kind: str
    message: str
    at: int | None = None
    hook: str | None = None
    phase: Phase = "worker"
    certain: bool = False


class Suspect:
    """A piece whose worker died.

    Args:
        piece: The piece. Its records are read here, which runs code of the source only.
        program: The run's program.
        unit: How many records must stay together, because a hook says so.
    """

    def __init__(self, piece: Piece, program: Program, unit: int = 1) -> None:
        self._program = program
        self._position = piece.position
        self._unit = unit
        self._whole = LooseChunk(list(pieces_of(piece.readable))).joined()
        self._extent: Extent | None = getattr(piece.readable, "extent", None)
        self._parts = [Part(0, len(self._whole), 0, given=True)]

    @property
    def first(self) -> Part:
        """The part that stands for the whole piece, of which the first worker died."""
        return self._parts[0]

    def due(self) -> Iterator[tuple[Part, Piece]]:
        """The parts that are to be handed over, each once."""
        for part in self._parts:
            if not part.given:
                part.given = True
                records = self._whole.cut(part.begin, part.end)
                position = None if self._position is None else self._position + part.begin
                yield part, Piece(LooseChunk([records]), len(records), position)

    def killed(self, part: Part, death: Death) -> bool:
        """A worker died of *part*. True when that settled who is to blame."""
        deaths = part.deaths + 1
        if death.certain and death.at is not None:
            culprit = part.begin + death.at
            self._replace(part, [(part.begin, culprit, part.deaths), (culprit + 1, part.end, part.deaths)])
            self._blame(Part(culprit, culprit + 1, deaths), death)
            return True
        if len(part) <= self._unit:
            part.deaths, part.alone = deaths, part.alone + 1
            if part.alone < _ALONE and deaths < _DEATHS:
                part.given = False  # once more
                return False
            self._replace(part, [])
            self._blame(Part(part.begin, part.end, deaths), death)
            return True
        self._replace(part, self._smaller(part, death.at, deaths))
        return False

    def _smaller(self, part: Part, at: int | None, deaths: int) -> Iterator[tuple[int, int, int]]:
        begin, end = part.begin, part.end
        if at is not None:
            # The batch in work is under suspicion. What came before it has passed, what comes behind was not touched.
            first = part.begin + at // self._unit * self._unit
            begin, end = first, min(part.end, max(first + self._program.batch_size, first + self._unit))
            yield part.begin, begin, part.deaths
        few = end - begin <= _FEW * self._unit
        width = self._unit if few else math.isqrt((end - begin) // self._unit) * self._unit
        for start in range(begin, end, width):
            yield start, min(start + width, end), deaths
        yield end, part.end, part.deaths

    def _replace(self, part: Part, ranges: Any) -> None:
        place = self._parts.index(part)
        self._parts[place : place + 1] = [Part(begin, end, deaths) for begin, end, deaths in ranges if begin < end]

    def _blame(self, part: Part, death: Death) -> None:
        """Reject the records of *part* for good."""
        errors = [{"type": death.kind, "message": death.message}]
        failures = [self._failure(part, i, errors, death) for i in range(len(part))]
        part.result = Result(read=len(part), failures=failures)
        if any(hook.kind == "run" for hook in self._program.hooks):
            pending = [Pending(failure.index, 0, (), None, failure) for failure in failures]
            part.result = Result(read=len(part), pending=pending)
        part.given = True
        self._parts.append(part)
        self._parts.sort(key=lambda one: one.begin)

    def _failure(self, part: Part, i: int, errors: list[dict[str, Any]], death: Death) -> Failure:
        place = part.begin + i
        raw = self._whole.raws.get(place, self._whole.records[place])
        row = self._program.failed_row(death.phase, errors, raw, None, death.hook, part.deaths)
        return Failure(i, death.phase, errors, row, death.hook)

    def shorten(self, most: int) -> None:
        """Only the first *most* records count. What is known of them stays."""
        kept = [part for part in self._parts if part.result is not None and part.end <= most]
        self._whole = self._whole.cut(0, most)
        self._parts = []
        begin = 0
        for part in [*kept, Part(most, most, 0)]:
            if begin < part.begin:
                self._parts.append(Part(begin, part.begin, 0))
            if len(part):
                self._parts.append(part)
            begin = part.end

    def result(self) -> Result | None:
        """What became of the whole piece; None while some of it runs."""
        if any(part.result is None for part in self._parts):
            return None
        merged = Result(extent=self._extent)
        payloads = []
        for part in self._parts:
            assert part.result is not None  # looked at above
            _append(merged, part.result, 0 if part.placed else part.begin)
            part.placed = True
            payloads += [part.result.payload] if part.result.payload is not None else []
            if merged.fatal is not None:
                break
        if payloads and self._program.encoder is not None:
            merged.payload = self._program.encoder.merge(payloads)
        if merged.fatal is None and self._whole.failure is not None:
            merged.fatal = open_error(self._whole.failure)
        return merged


def _append(merged: Result, one: Result, shift: int) -> None:
    """Put *one*, whose indexes are *shift* short of the piece's, behind what is there."""
    merged.read += one.read
    merged.valid += one.valid
    merged.dropped += one.dropped
    merged.expanded += one.expanded
    for failure in one.failures:
        failure.index += shift
    merged.failures += one.failures
    if one.pending is not None:
        for pending in one.pending:
            pending.index += shift
            if pending.failure is not None:
                pending.failure.index += shift
            if pending.entry is not None:
                pending.entry._index += shift
        merged.pending = [*(merged.pending or ()), *one.pending]
    if one.entries is not None:
        for entry in one.entries:
            entry._index += shift
        merged.entries = [*(merged.entries or ()), *one.entries]
    for phase, seconds in one.seconds.items():
        merged.seconds[phase] = merged.seconds.get(phase, 0.0) + seconds
    merged.fatal = one.fatal
