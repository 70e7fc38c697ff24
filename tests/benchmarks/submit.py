"""Calls that do nothing, through `TaskExecutor`: what priorities, a ledger, a bound and statistics cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import by_own_clock, interleaved, script, times_as_fast
from contenders import WORKERS, installed
from figures import Figure, Section
from systems import absent, present

OURS: Final = "TaskExecutor"
PEERS: Final[dict[str, str | None]] = {
    f"{OURS}, priority=": None,
    "ThreadPoolExecutor": None,
    "PyFerris": "pyferris",
}
"""What is measured beside it, and the package that it is in."""
WAYS: Final = {"all": "all are submitted, then all results taken", "each": "each is waited for before the next one"}
FULL: Final = 10_000


def submit(count: int, rounds: int, without: Collection[str] = ()) -> Section:
    """Submit *count* calls to threads and take their results, here and elsewhere."""
    section = Section(
        "Calls with priorities",
        f"{count:,} calls that do nothing, to {WORKERS} threads, started and warm. `TaskExecutor` as it is: with its "
        f"scheduler `priority`, bounded queue, ledger, history and statistics. With `priority=`, one band after the "
        f"other. PyFerris' `submit` returns when the call has ended. Each way in a process of its own; {rounds} "
        f"interleaved rounds.",
        ("executor", "how", "µs a call", f"{OURS} is … times as fast"),
    )
    if not present(["threads"], without):
        section.missing(OURS, absent("threads"))
        return section
    taking_part = [OURS, *(name for name, package in PEERS.items() if package is None or installed(package))]
    runs = {
        (name, way): partial(by_own_clock, script("submit_run.py", name, way, count))
        for way in WAYS
        for name in taking_part
    }
    found = interleaved(runs, rounds)
    for name, way in runs:
        each = f"{1e6 * median(run.seconds for run in found[name, way]) / count:.1f}"
        faster = "" if name == OURS else f"{times_as_fast(found[OURS, way], found[name, way]):.2f}"
        section.rows.append((name, WAYS[way], each, faster))
        section.raw[f"{name}, {way}"] = [asdict(run) for run in found[name, way]]
    ours, bare = found[OURS, "all"], found["ThreadPoolExecutor", "all"]
    cost, full = times_as_fast(bare, ours), count >= FULL
    goal = 1.3 if full else None
    section.figures.append(Figure(f"time of a call, {OURS} against ThreadPoolExecutor", cost, "x", goal, "less"))
    if "PyFerris" in taking_part:
        speed = times_as_fast(ours, found["PyFerris", "all"])
        section.figures.append(Figure(f"speed of {OURS} against PyFerris", speed, "x", 2.0 if full else None))
    else:
        section.missing("PyFerris")
    return section
