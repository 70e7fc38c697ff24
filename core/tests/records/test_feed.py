"""How large the pieces of a source are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipe_core.kernel.contracts import Batch, Extent, SizeNow
from pipe_core.kernel.errors import SourceError
from pipe_core.records.feed import Feed, Piece
from pipe_core.records.result import Result

END = 1 << 40


@dataclass
class Range:
    """A split that nobody reads."""

    begin: int
    bytes: int
    extent: Extent | None = None

    def starting_at(self, begin: int) -> Range:
        return Range(begin, self.bytes)

    def batches(self, size: int) -> Iterator[Batch]:
        yield Batch([], lambda i: None)


class Endless:
    """A source of as many splits as are asked for."""

    name, live, fields, size = "endless", False, None, END
    begin = 0

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def splits(self, size: SizeNow) -> Iterator[Range]:
        while self.begin < END:
            split = Range(self.begin, size())
            self.begin += split.bytes
            yield split

    def chunks(self, size: SizeNow) -> Iterator[Any]:
        raise AssertionError("nobody wants chunks")


def feed(**options: Any) -> Feed:
    return Feed(Endless(), **{"exact": None, "whole": False, "wake": lambda: None, **options})


def taken(feed: Feed) -> Piece:
    piece = feed.take()
    assert piece is not None
    return piece


def run(feed: Feed, count: int, record: float, opening: float = 0.0, of: int = 100) -> list[tuple[int, float]]:
    """Take pieces one by one and learn from them: their bytes, and the seconds that they took.

    A record of *of* bytes takes *record* seconds to be worked on, and a piece *opening* seconds before it is read.
    """
    found = []
    for _ in range(count):
        piece = taken(feed)
        records = max(1, piece.size // of)
        seconds = {"read": opening + records * 1e-7, "pre": records * record}
        extent = Extent(0, records * of)
        feed.learn(Result(read=records, seconds=seconds, extent=extent), piece)
        found.append((piece.size, sum(seconds.values())))
    return found


@pytest.mark.parametrize("of", [3, 6, 100, 1000])
@pytest.mark.parametrize("record", [1e-3, 1e-2])
def test_slow_work_is_cut_small_from_the_first_piece_on(record: float, of: int) -> None:
    seconds = [seconds for _, seconds in run(feed(), 20, record, of=of)]
    assert seconds[0] <= 1000 * record
    assert max(seconds[1:]) <= max(0.2, 2 * (1024 / of) * record)


@pytest.mark.parametrize("of", [6, 100, 1000])
def test_quick_work_is_cut_large_soon(of: int) -> None:
    sizes = [size for size, _ in run(feed(), 6, 4e-6, of=of)]
    assert sizes[0] <= 4096
    assert sizes[3] >= min(0.1 / 4e-6 * of, 8 << 20) / 2
    assert sizes[-1] == pytest.approx(min(0.1 / 4.1e-6 * of, 8 << 20), rel=0.1)


def test_pieces_that_take_long_to_open_are_not_cut_ever_smaller() -> None:
    sizes = [size for size, _ in run(feed(), 10, 1e-6, opening=0.3)]
    assert min(sizes[1:]) >= 64 * 1024


def test_a_piece_has_what_one_worker_works_on_at_once() -> None:
    own = feed(least=50)
    assert taken(own).size >= 50 * 200
    sizes = [size for size, _ in run(own, 10, 1.0)]
    assert sizes[-1] == 50 * 100


def test_records_that_are_longer_than_pieces_make_them_longer() -> None:
    own = feed()
    piece = taken(own)
    own.learn(Result(read=1, seconds={"pre": 1.0}, extent=Extent(0, 1 << 20)), piece)
    assert taken(own).size == 1 << 20


def test_an_exact_number_of_records_decides() -> None:
    own = feed(exact=7)
    assert taken(own).size < 8 * 1024
    sizes = [size for size, _ in run(own, 3, 1e-6)]
    assert sizes[1:] == [700, 700]


def test_a_piece_without_records_teaches_nothing() -> None:
    own = feed()
    first = taken(own)
    own.learn(Result(read=0, seconds={"read": 1.0}, extent=Extent(5, 5)), first)
    assert taken(own).size == first.size


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ZeroDivisionError])
def test_whatever_a_source_raises_ends_the_feed_with_a_reason(kind: type[BaseException]) -> None:
    class Broken(Endless):
        def splits(self, size: SizeNow) -> Iterator[Range]:
            yield Range(0, 1)
            raise kind("gone")

    own = Feed(Broken(), exact=None, whole=False, wake=lambda: None)
    assert own.take() is not None
    assert own.take() is None
    assert own.done
    assert isinstance(own.failure, SourceError)
    assert kind.__name__ in str(own.failure)
