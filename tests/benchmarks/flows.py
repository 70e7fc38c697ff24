"""Records from file to file: this project against a plain loop, ZooPipe and the floor."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, Literal

from command import Measured, interleaved, measure, medians, times_as_fast
from contenders import CONTENDERS, IN_PROCESSES, Contender
from figures import Figure, Section
from orders import bad_count, prepared

FULL: Final = 500_000
LARGE: Final = 2_500_000
"""With so many records the start-up hardly counts, and the target against ZooPipe is higher."""
Kind = Literal["csv", "jsonl"]


class WrongOutputError(Exception):
    """A contender did not write what it should: its time says nothing."""


class Arena:
    """Runs contenders over the same orders and checks what they write.

    Args:
        folder: Where sources are kept and outputs are written.
        count: The number of orders.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._digests: dict[tuple[str, ...], str] = {}

    def run(self, kind: Kind, contender: Contender, *options: str) -> Measured:
        """Run one contender once.

        Raises:
            WrongOutputError: It wrote other records or bytes than it should.
        """
        source = prepared(self._folder, kind, self._count)
        target, errors = self._folder / "good.jsonl", self._folder / "bad.jsonl"
        for path in (*contender.files(target), *contender.files(errors)):
            path.unlink(missing_ok=True)
        measured = measure([*contender.command(source, target, errors), *options], codes=contender.codes)
        bad = bad_count(self._count)
        self._check(contender, target, self._count - bad, (kind, "good", *options) if contender.exact else None)
        self._check(contender, errors, bad, (kind, "bad", *options) if contender.rejects_alike else None)
        return measured

    def warm_up(self, kind: Kind, contenders: Sequence[Contender]) -> None:
        """One short run each, so that nobody's first round compiles modules or reads them from a cold disk."""
        short = Arena(self._folder, 1000)
        for one in contenders:
            short.run(kind, one)

    def _check(self, contender: Contender, path: Path, lines: int, alike: tuple[str, ...] | None) -> None:
        found, digest = counted(contender.files(path))
        if found != lines:
            raise WrongOutputError(f"{contender.name} wrote {found:,} lines to {path.name}, not {lines:,}.")
        if alike is not None and self._digests.setdefault(alike, digest) != digest:
            raise WrongOutputError(f"{contender.name} wrote other bytes to {path.name} than those before it.")


def counted(paths: Sequence[Path]) -> tuple[int, str]:
    """The lines of some files and a digest of their bytes. In blocks: see `Measured.peak_bytes`."""
    lines, digest = 0, hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 18):
                lines += block.count(b"\n")
                digest.update(block)
    return lines, digest.hexdigest()


def compare(folder: Path, kind: Kind, count: int, rounds: int) -> Section:
    """All contenders over *count* orders."""
    section = Section(
        f"{kind.upper()} to JSON lines, {count:,} orders, one process",
        f"Whole commands, start-up included; {rounds} rounds, each contender once in each. Two orders in a hundred are "
        f"bad and go to an error sink with their reasons. Outputs are checked: all but ZooPipe wrote the same bytes.",
    )
    return _raced(section, CONTENDERS, Arena(folder, count), kind, count, rounds)


def in_processes(folder: Path, count: int, rounds: int) -> Section:
    """The same in two processes."""
    section = Section(
        f"CSV to JSON lines, {count:,} orders, two worker processes",
        f"As above, in {rounds} rounds. The processes of the others write a file each, and join nothing.",
    )
    return _raced(section, IN_PROCESSES, Arena(folder, count), "csv", count, rounds)


def _raced(
    section: Section, contenders: Sequence[Contender], arena: Arena, kind: Kind, count: int, rounds: int
) -> Section:
    """Fill *section* with what the contenders did. The first of them is the one that the others are measured by."""
    ours, *_ = contenders
    ratio = f"{ours.name} is … times as fast"
    section.columns = ("contender", "seconds", "records/s", "processor seconds", "peak MB", ratio)
    taking_part = [one for one in contenders if not one.missing and not ours.missing]
    arena.warm_up(kind, taking_part)
    found = interleaved({one.name: partial(arena.run, kind, one) for one in taking_part}, rounds)
    for one in taking_part:
        _add(section, one, ours, found, count, kind)
    for one in contenders:
        if one not in taking_part:
            section.missing(one.name if one.missing else f"{one.name}: nothing to compare with")
    return section


def _add(
    section: Section, one: Contender, ours: Contender, found: dict[str, list[Measured]], count: int, kind: Kind
) -> None:
    measured = found[one.name]
    seconds, cpu = medians(measured)
    peak = max(run.peak_bytes for run in measured) / 1e6
    ratio = times_as_fast(found[ours.name], measured)
    shown = "" if one is ours else f"{ratio:.2f}"
    section.rows.append((one.name, f"{seconds:.2f}", f"{count / seconds:,.0f}", f"{cpu:.2f}", f"{peak:.0f}", shown))
    section.raw[one.name] = [asdict(run) for run in measured]
    if one.target is not None:
        target = one.target[count >= LARGE] if count >= FULL and kind == "csv" else None
        section.figures.append(Figure(f"speed against {one.name}, {section.title}", ratio, "x", target))


def with_hooks(folder: Path, count: int, rounds: int) -> Section:
    """This project with a hook before and one after validation, against itself without."""
    arena, ours = Arena(folder, count), CONTENDERS[0]
    hooked = Contender("pipe with two hooks", ours.command)
    arena.warm_up("csv", [ours])
    runs = {"without": partial(arena.run, "csv", ours), "with": partial(arena.run, "csv", hooked, "--hooks")}
    found = interleaved(runs, rounds)
    ratio = times_as_fast(found["with"], found["without"])
    section = Section(
        f"Two hooks, CSV to JSON lines, {count:,} orders",
        "A plain function for each entry before validation (strip a name) and one after it (round an amount).",
        ("hooks", "seconds", "records/s"),
        figures=[Figure("speed with two hooks against without", ratio, "x", 0.7 if count >= FULL else None)],
        raw={name: [asdict(run) for run in measured] for name, measured in found.items()},
    )
    for name, measured in found.items():
        seconds = median(run.seconds for run in measured)
        section.rows.append((name, f"{seconds:.2f}", f"{count / seconds:,.0f}"))
    return section
