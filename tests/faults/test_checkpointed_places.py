"""Runs with checkpoints whose sink and error sink are in different places: what fails between the two loses nothing.

Some places can be gone on with anywhere, some have one checkpoint, some none, and some can take nothing back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import FlowReport, Pipe
from pipe_core.runtime.failpoints import NAMES, armed

RECORDS = [{"n": n if n % 10 else f"bad {n}"} for n in range(3_000)]
GOOD = [n for n in range(3_000) if n % 10]
BAD = list(range(0, 3_000, 10))
POINTS = [
    f"{name}=error@{time}"
    for name in NAMES
    if name.startswith(("checkpoint.", "errors.commit", "sink.commit"))
    for time in ((1,) if ".commit." in name else (2, 4))
]
"""There are three chunks with a checkpoint each, where there can be some, and one checkpoint of the end."""


class Number(BaseModel):
    n: int


class Place:
    """A place, and the numbers that are in it.

    Args:
        name: What ids call it.
        target: What `Pipe` is given; a function makes it anew.
        needs: What must be installed.
        reads: What `Pipe` is given to read it again.
        once: Whether it has every record once, whatever happens.
        anywhere: Whether there are checkpoints before the end.
    """

    def __init__(
        self, name: str, target: Any, *needs: str, reads: Any = None, once: bool = True, anywhere: bool = True
    ) -> None:
        self.name, self.target, self.needs = name, target, needs
        self.reads, self.once, self.anywhere = reads if reads is not None else target, once, anywhere

    def numbers(self, field: str) -> list[int]:
        found: list[Any] = []
        Pipe(self.reads, found).run()
        return sorted(int(row[field]) for row in found)


_called: list[Any] = []


def take(row: Any) -> None:
    """Take a record, for good."""
    _called.append(row)


PLACES = [
    Place("jsonl", "{}.jsonl"),
    Place("json", "{}.json"),
    Place("csv-parts", "{}.csv/"),
    Place("store", "memory://places/{}.jsonl", "fsspec", anywhere=False),
    Place("function", take, reads=_called, once=False),
    Place("parquet", "{}.parquet", "pipe_arrow", anywhere=False),
    Place("parquet-parts", "{}.parquet/", "pipe_arrow"),
    Place("sqlite", ("sqlite:///places.db", {"table": "{}"}), "pipe_sql"),
    Place("delta", ("{}", {"format": "delta"}), "pipe_delta"),
]
"""Each is the sink once and the error sink once."""
PAIRS = list(zip(PLACES, [*PLACES[3:], *PLACES[:3]], strict=True))


def named(place: Place, name: str) -> Place:
    """The place for *name*."""

    def told(target: Any) -> Any:
        if isinstance(target, tuple):
            return tuple(map(told, target))
        if isinstance(target, dict):
            return {key: told(value) for key, value in target.items()}
        return target.format(name) if isinstance(target, str) else target

    return Place(place.name, told(place.target), reads=told(place.reads), once=place.once, anywhere=place.anywhere)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    _called.clear()


def pipe(sink: Place, errors: Place) -> Pipe:
    kept: dict[str, Any] = {"checkpoint": "runs", "checkpoint_seconds": 1e-9, "chunk_size": 1_000}
    return Pipe(RECORDS, sink.target, errors=errors.target, schema=Number, mode="overwrite", **kept)


def went_on(sink: Place, errors: Place, point: str) -> FlowReport | None:
    """The report of the run behind one that has failed at *point*; None where it never came there."""
    try:
        with armed(point):
            pipe(sink, errors).run()
    except OSError:
        return pipe(sink, errors).resume()
    return None


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("sink", "errors"), PAIRS, ids=lambda place: place.name)
def test_what_fails_between_two_places(sink: Place, errors: Place) -> None:
    for package in (*sink.needs, *errors.needs):
        pytest.importorskip(package)
    failed = 0
    for number, point in enumerate(POINTS):
        good, bad = named(sink, f"good_{number}"), named(errors, f"bad_{number}")
        _called.clear()
        report = went_on(good, bad, point)
        if report is None:
            assert point.endswith("@4" if good.anywhere and bad.anywhere else ("@2", "@4"))
            continue
        failed += 1
        assert (report.read, report.valid, report.failed) == (3_000, len(GOOD), len(BAD)), point
        assert report.delivery == ("exactly-once" if good.once and bad.once else "at-least-once")
        for place, field, expected in ((good, "n", GOOD), (bad, "position", BAD)):
            found = place.numbers(field)
            assert sorted(set(found)) == expected, (place.name, point)
            assert found == expected or not place.once, (place.name, point)
    assert failed >= 4
