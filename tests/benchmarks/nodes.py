"""Nodes that do next to nothing, one run after the other, on threads and on an event loop: what a hand-over costs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import by_own_clock, interleaved, script
from contenders import WORKERS
from figures import Figure, Section
from graphs import BRANCHES, SHAPES
from systems import absent, present

TARGETS: Final = {
    ("threads", "chain"): 20.0,
    ("threads", "fan-out"): 60.0,
    ("asyncio", "async chain"): 25.0,
    ("asyncio", "chain"): 120.0,
}
"""Microseconds a node, by executor and shape."""
FULL: Final = 2_000


def nodes(count: int, rounds: int, without: Collection[str] = ()) -> Section:
    """Run each graph *count* times."""
    section = Section(
        f"Nodes on executors, {count:,} runs",
        f"`Engine(node_executor=...)` with {WORKERS} workers, started before; one run after the other, each waited "
        f"for, so that the start and the end of a run are shared by its few nodes. A chain of {SHAPES['chain']} nodes, "
        f"of plain functions or of `async def`; a fan-out of one node to {BRANCHES}. All results are checked. Each "
        f"line a process of its own; {rounds} interleaved rounds.",
        ("executor", "graph", "µs a node"),
    )
    executors = dict.fromkeys(executor for executor, _ in TARGETS)
    taking_part = present(executors, without)
    runs = {
        (executor, shape): partial(by_own_clock, script("nodes_run.py", executor, shape, count))
        for executor, shape in TARGETS
        if executor in taking_part
    }
    found = interleaved(runs, rounds)
    for (executor, shape), measured in found.items():
        each = 1e6 * median(run.seconds for run in measured) / count / SHAPES[shape]
        section.rows.append((executor, shape, f"{each:.1f}"))
        goal = TARGETS[executor, shape] if count >= FULL else None
        section.figures.append(Figure(f"a node on {executor}, {shape}", each, "µs", goal, "less"))
        section.raw[f"{executor}, {shape}"] = [asdict(run) for run in measured]
    for executor in executors:
        if executor not in taking_part:
            section.missing(executor, absent(executor))
    return section
