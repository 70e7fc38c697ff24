"""Calls that do nothing: what an executor itself costs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import by_own_clock, interleaved, script, times_as_fast
from contenders import WORKERS
from figures import Figure, Section
from systems import CHUNKS_AHEAD, absent, present

TARGETS: Final = {"threads": 1.25, "loky": 1.25, "dask": 1.5, "ray": 1.25}
BARE: Final = {
    "threads": "ThreadPoolExecutor.submit",
    "loky": "loky.ProcessPoolExecutor.submit",
    "dask": "Client.submit",
    "ray": "ray.remote",
}
CLUSTERS: Final = ("dask", "ray")
FULL: Final = 10_000
FEW: Final = 2_000


def tasks(count: int, few: int, rounds: int, without: Collection[str] = ()) -> Section:
    """Submit *count* calls, or *few* to what is slower, and wait for all; here and on the system itself."""
    section = Section(
        "Calls that do nothing",
        f"Submit them all, then take all results; {WORKERS} workers, started and warm, with up to {CHUNKS_AHEAD} calls "
        f"ready for a busy worker process. Each way in a process of its own; {rounds} interleaved rounds.",
        ("executor", "the same on the system itself", "calls", "µs a call", "there", "against it"),
    )
    taking_part = present(TARGETS, without)
    runs = {
        (name, whose): partial(by_own_clock, script("tasks_run.py", name, whose, few if name in CLUSTERS else count))
        for name in taking_part
        for whose in ("bare", "ours")
    }
    found = interleaved(runs, rounds)
    for name, target in TARGETS.items():
        if name not in taking_part:
            section.missing(name, absent(name))
            continue
        calls, bare, ours = few if name in CLUSTERS else count, found[name, "bare"], found[name, "ours"]
        each = [f"{1e6 * median(run.seconds for run in runs) / calls:.0f}" for runs in (ours, bare)]
        ratio = times_as_fast(bare, ours)
        section.rows.append((name, BARE[name], f"{calls:,}", *each, f"{ratio:.2f}"))
        goal = target if count >= FULL else None
        section.figures.append(Figure(f"time of a call that does nothing, {name}", ratio, "x", goal, "less"))
        section.raw[name] = {"bare": [asdict(run) for run in bare], "ours": [asdict(run) for run in ours]}
    return section
