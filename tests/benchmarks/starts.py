"""Start-up of the executors."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from statistics import median
from typing import Final

from command import by_own_clock, interleaved, script
from contenders import WORKERS
from figures import Figure, Section
from systems import PACKAGES, absent, present

TITLE: Final = "Start-up of executors"


def measured(names: Iterable[str], rounds: int) -> dict[str, list[float]]:
    """Seconds from asking for an executor to its first result, by name; after one round to warm up."""
    found = interleaved({name: partial(by_own_clock, script("starts_run.py", name)) for name in names}, rounds + 1)
    return {name: [run.seconds for run in runs[1:]] for name, runs in found.items()}


def starts(rounds: int, without: Collection[str] = ()) -> Section:
    """Every executor but *without*, and clusters of this machine."""
    found = measured(present(PACKAGES, without), rounds)
    section = Section(
        TITLE,
        f"From `get_executor` to the first result, {WORKERS} workers where there are several, in a new process; median "
        f"of {rounds} interleaved rounds. `dask` and `ray` start a cluster of this machine.",
        ("executor", "ms"),
        raw=dict(found),
    )
    for name in PACKAGES:
        if name not in found:
            section.missing(name, absent(name))
            continue
        seconds = median(found[name])
        section.rows.append((name, f"{1000 * seconds:,.1f}"))
        section.figures.append(Figure(f"start-up of {name}", 1000 * seconds, "ms"))
    return section
