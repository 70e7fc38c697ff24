"""What a scheduler costs: a push and a pop, while few or many tasks wait."""

from __future__ import annotations

import json
from functools import partial
from statistics import median
from typing import Final

from command import interleaved, measure, script
from figures import Figure, Section
from schedulers import KINDS, WAITING

FULL: Final = 100_000


def scheduling(count: int, rounds: int) -> Section:
    """Time *count* pushes and pops of every scheduler, with keys that suit it and keys that do not."""
    runs = {kind: partial(measure, script("schedulers_run.py", "cost", kind, count, *WAITING)) for kind in KINDS}
    found = interleaved(runs, rounds)
    few, many = (f"{waiting:,}" for waiting in WAITING)
    section = Section(
        "A push and a pop",
        f"Processor time of both together, the mean of {count:,}, while about {few} or {many} tasks wait. Each "
        f"scheduler in a process of its own; median of {rounds} interleaved rounds.",
        ("scheduler", f"µs while {few} wait", f"µs while {many} wait"),
    )
    for kind, measured in found.items():
        costs = [json.loads(run.output) for run in measured]
        middle = [median(cost[i] for cost in costs) for i in range(len(WAITING))]
        section.rows.append((kind, *(f"{one:.2f}" for one in middle)))
        section.figures.append(Figure(f"push and pop, {kind}, {many} wait", middle[-1], "µs"))
        section.raw[kind] = costs
    return section
