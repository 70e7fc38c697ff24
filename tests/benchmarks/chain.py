"""A chain of ten nodes that do next to nothing: what a graph itself costs, in the calling thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import Measured, by_own_clock, interleaved, script, times_as_fast
from contenders import installed
from figures import Figure, Section
from graphs import SHAPES

OURS: Final = "pipe"
PLAIN: Final = "plain calls"
PEERS: Final = {"pipefunc": "pipefunc", "hypernodes": "hypernodes", "Hamilton": "hamilton"}
"""What is measured beside it, and the package that it is in."""
WAYS: Final = {"run": "one run after the other", "map": "one map"}
NO_MAP: Final = "Hamilton"
FULL: Final = 2_000
REPEATED: Final = 5
TARGET: Final = 0.6
AHEAD: Final = 10.0

Found = dict[tuple[str, str], list[Measured]]


def chain(count: int, rounds: int) -> Section:
    """Run the chain *count* times, and map it over as many items, here and elsewhere."""
    section = Section(
        f"A chain of {SHAPES['chain']} nodes, {count:,} items",
        f"Functions that add one, each to the result of the one before, in the calling thread; median of {REPEATED} "
        f"times in each process. `pipe` and `hypernodes` give all outputs, which is the fastest way of `hypernodes`; "
        f"`pipefunc` and Hamilton are asked for the last one in a run. All results are checked. Hamilton has no map "
        f"in one thread. Each way in a process of its own; {rounds} interleaved rounds.",
        ("library", "how", "µs a node", f"{OURS} is … times as fast"),
    )
    peers = [name for name, package in PEERS.items() if installed(package)]
    runs = {
        (name, way): partial(by_own_clock, script("chain_run.py", name, way, count, REPEATED))
        for way in WAYS
        for name in (OURS, PLAIN, *peers)
        if (name, way) != (NO_MAP, "map")
    }
    found: Found = interleaved(runs, rounds)
    for name, way in runs:
        faster = "" if name == OURS else f"{times_as_fast(found[OURS, way], found[name, way]):.2f}"
        section.rows.append((name, WAYS[way], f"{_each(found[name, way], count):.2f}", faster))
        section.raw[f"{name}, {way}"] = [asdict(run) for run in found[name, way]]
    for name in PEERS:
        if name not in peers:
            section.missing(name)
    for way in WAYS:
        section.figures += _figures(found, way, count, [name for name in peers if (name, way) in found])
    return section


def _figures(found: Found, way: str, count: int, peers: Sequence[str]) -> list[Figure]:
    full = count >= FULL
    name = f"a node of a chain, {way}"
    figures = [Figure(name, _each(found[OURS, way], count), "µs", TARGET if full else None, "less")]
    if peers:
        speed = min(times_as_fast(found[OURS, way], found[peer, way]) for peer in peers)
        goal = AHEAD if full else None
        figures.append(Figure(f"speed of a chain against the best of {', '.join(peers)}, {way}", speed, "x", goal))
    return figures


def _each(runs: Sequence[Measured], count: int) -> float:
    """Microseconds a node."""
    return 1e6 * median(run.seconds for run in runs) / count / SHAPES["chain"]
