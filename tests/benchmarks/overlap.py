"""Nodes that wait: each must begin as soon as what it needs is there, and wait for nothing else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import by_own_clock, interleaved, script
from contenders import WORKERS, installed
from figures import Figure, Section
from systems import absent, present

GRAPHS: Final = {
    "branches": ("a(0.3) beside b(0.05) → c(0.3)", 0.35, 0.37),
    "items": ("two items through two nodes, 0.1 → 0.2 and 0.2 → 0.1", 0.3, 0.32),
}
"""What each is, its ideal seconds, and those that are allowed."""
EXECUTORS: Final = ("threads", "asyncio")
PEER: Final = "pipefunc"


def overlap(rounds: int, without: Collection[str] = ()) -> Section:
    """Run a graph with a long and a short branch, and map one over two items of which each takes its time elsewhere."""
    section = Section(
        "Nodes that wait",
        f"Seconds that each node waits are in brackets. {WORKERS} at once, on executors that were started before: "
        f"`threads` with `time.sleep`, `asyncio` with `asyncio.sleep`; `pipefunc` on threads, in its eager way. Each "
        f"line a process of its own; {rounds} interleaved rounds, and all results are checked.",
        ("executor", "graph", "seconds", "ideal"),
    )
    taking_part = present(EXECUTORS, without)
    peers = [PEER] if installed(PEER) else []
    runs = {
        (who, graph): partial(by_own_clock, script("overlap_run.py", who, graph))
        for graph in GRAPHS
        for who in (*taking_part, *peers)
    }
    found = interleaved(runs, rounds)
    for (who, graph), measured in found.items():
        text, ideal, target = GRAPHS[graph]
        seconds = median(run.seconds for run in measured)
        section.rows.append((who, text, f"{seconds:.3f}", f"{ideal:.2f}"))
        section.raw[f"{who}, {graph}"] = [asdict(run) for run in measured]
        if who != PEER:
            section.figures.append(Figure(f"{text}, {who}", seconds, "s", target, "less"))
    for name in EXECUTORS:
        if name not in taking_part:
            section.missing(name, absent(name))
    if not peers:
        section.missing(PEER)
    return section
