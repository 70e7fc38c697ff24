"""Skewed work, simulated: what it is worth that a worker without tasks takes those of others."""

from __future__ import annotations

import json
from typing import Final

from command import measure, script
from figures import Figure, Section
from schedulers import COLUMNS, SHAPE, SLOTS, TASKS, Skewed, rows

FULL: Final = 300


def stealing(seeds: int) -> Section:
    """So many simulations with every scheduler. They come out the same everywhere."""
    told = json.loads(measure(script("schedulers_run.py", "skewed", seeds)).output)
    found = {name: Skewed(**one) for name, one in told.items()}
    sooner, later = (1.2, 1.01) if seeds >= FULL else (None, None)
    ours = found["work_stealing"]
    return Section(
        f"Skewed work on {SLOTS} workers",
        f"A simulation, without an executor: {TASKS:,} tasks that take seconds by Pareto({SHAPE}), so that most are "
        f"short and a few very long. Median of {seeds} of them.",
        COLUMNS,
        list(rows(found)),
        [
            Figure("skewed work ends as early with work_stealing as with round_robin", ours.sooner, "x", sooner),
            Figure("skewed work ends as late with work_stealing as with fifo", ours.later, "x", later, "less"),
        ],
        told,
    )
