"""Executors that were started before the run: how fast they are, and what the driver has to do for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from command import measure, script
from contenders import WORKERS
from figures import Figure, Section
from flows import LARGE, WrongOutputError
from orders import bad_count, prepared
from systems import absent, present

CLUSTERS: Final = {"dask": 0.9, "ray": 0.9}
"""How fast they should be, measured by loky."""
SPLITTING: Final = ("loky", "dask", "ray")


@dataclass(frozen=True, slots=True)
class Way:
    """A way of the rows to the sink.

    Attributes:
        target: What the sink is called.
        goal: Processor seconds that a driver may spend on a million records.
        options: Of the sink.
    """

    target: str
    goal: float
    options: Mapping[str, str] = field(default_factory=dict)


THROUGH: Final = Way("orders.jsonl", 0.6)
WAYS: Final = {
    "bytes through the system": THROUGH,
    "files of the workers, joined": Way("orders.jsonl", 0.25, {"via": "files"}),
    "files of the workers, left in parts": Way("orders.jsonl/", 0.05),
}


def clusters(folder: Path, count: int, rounds: int, without: Collection[str] = ()) -> Section:
    """The same run on loky and on clusters of this machine."""
    section = Section(
        f"Executors that were started before, {count:,} orders",
        f"`Pipe(..., executor=...)` with an executor that is warm, {WORKERS} workers each, CSV to JSON lines with an "
        f"error sink. All in one process, {rounds} interleaved rounds; all wrote the same bytes.",
        ("executor", "seconds", "records/s", "speed against loky"),
    )
    names = present(SPLITTING, without)
    if "loky" not in names:
        section.missing("loky", absent("loky"))
        return section
    found = _measured(folder, count, THROUGH, rounds, names)
    loky = found["loky"]["runs"]
    for name in SPLITTING:
        if name not in names:
            section.missing(name, absent(name))
            continue
        runs = found[name]["runs"]
        seconds = median(run["seconds"] for run in runs)
        ratio = median(one["seconds"] / other["seconds"] for one, other in zip(loky, runs, strict=True))
        shown = "" if name == "loky" else f"{ratio:.2f}"
        section.rows.append((name, f"{seconds:.2f}", f"{count / seconds:,.0f}", shown))
        if name in CLUSTERS:
            goal = CLUSTERS[name] if count >= LARGE else None
            section.figures.append(Figure(f"speed of {name} against loky, both started before", ratio, "x", goal))
    section.raw = found
    return section


def driver(folder: Path, count: int, rounds: int, without: Collection[str] = ()) -> Section:
    """What the driver's process spends while workers read, validate and make the rows."""
    section = Section(
        f"The driver, {count:,} orders in a file that workers read",
        f"Processor seconds of the driver's process for a million records. Its start is not among them and has a "
        f"column of its own. {rounds} rounds, {WORKERS} workers. One driver feeds as many cores as the processor "
        f"seconds of the workers are a multiple of its own.",
        ("executor", "rows go as", "driver s/million", "workers s/million", "one driver feeds", "start, processor s"),
    )
    for name in SPLITTING:
        if not present([name], without):
            section.missing(name, absent(name))
            continue
        for text, way in WAYS.items():
            found = _measured(folder, count, way, rounds, [name])[name]
            _add(section, name, text, found, count, way.goal if count >= LARGE else None)
    return section


def _add(section: Section, name: str, way: str, found: dict[str, Any], count: int, goal: float | None) -> None:
    runs, millions = found["runs"], count / 1e6
    own = median(run["driver"] for run in runs) / millions
    cells = ("not told", "")
    section.figures.append(Figure(f"driver's processor time a million records, {name}, {way}", own, "s", goal, "less"))
    if all(run["workers"] is not None for run in runs):
        theirs = median(run["workers"] for run in runs) / millions
        cells = (f"{theirs:.2f}", f"{theirs / own:.0f} cores")
        section.figures.append(Figure(f"one driver feeds, {name}, {way}", theirs / own, "cores"))
    section.rows.append((name, way, f"{own:.3f}", *cells, f"{found['start']:.2f}"))
    section.raw[f"{name}, {way}"] = found


def _measured(folder: Path, count: int, way: Way, rounds: int, names: Sequence[str]) -> dict[str, Any]:
    source, room = prepared(folder, "csv", count), folder / "given"
    shutil.rmtree(room, ignore_errors=True)  # of a run that failed
    room.mkdir()
    target = f"{room}/{way.target}"
    output = measure(script("given_run.py", source, target, json.dumps(dict(way.options)), rounds, *names)).output
    shutil.rmtree(room)
    found: dict[str, Any] = json.loads(output)
    for name, told in found.items():
        if told["lines"] != count - bad_count(count):
            raise WrongOutputError(f"{name} wrote {told['lines']:,} of {count - bad_count(count):,} lines to {target}.")
    return found
