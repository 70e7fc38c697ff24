"""A map of items that compute: what two processes are worth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from typing import Final

from command import by_own_clock, interleaved, medians, script, times_as_fast
from contenders import WORKERS, installed
from figures import Figure, Section
from systems import absent, present
from unsplit import turns_for

FULL: Final = 2_000
MILLISECONDS: Final = 2
PEER: Final = "pipefunc"
OURS: Final = "pipe on loky"
ALONE: Final = "pipe on sync"
THEIRS: Final = "pipefunc on loky"
TARGETS: Final = {ALONE: 1.85, THEIRS: 1.0}


def cores(count: int, rounds: int, without: Collection[str] = ()) -> Section:
    """Map a node that computes over *count* items, in one process and in two."""
    turns = turns_for(MILLISECONDS / 1e3)
    section = Section(
        f"A map that computes, {count:,} items",
        f"One node that adds up {turns:,} numbers for each item, here about {MILLISECONDS} ms. {WORKERS} workers, "
        f"started before, for `pipe` and for `pipefunc` with its own choice of chunks; all results are checked. Each "
        f"line a process of its own; {rounds} interleaved rounds.",
        ("library", "seconds", "ms an item", f"{OURS} is … times as fast"),
    )
    if not present(["loky"], without):
        section.missing(OURS, absent("loky"))
        return section
    names = [OURS, ALONE, *([THEIRS] if installed(PEER) else [])]
    runs = {name: partial(by_own_clock, script("cores_run.py", name, count, turns)) for name in names}
    found = interleaved(runs, rounds)
    for name, measured in found.items():
        seconds, _ = medians(measured)
        section.raw[name] = [asdict(run) for run in measured]
        faster = ""
        if name != OURS:
            ratio = times_as_fast(found[OURS], measured)
            faster = f"{ratio:.2f}"
            goal = TARGETS[name] if count >= FULL else None
            section.figures.append(Figure(f"speed of a map that computes, {OURS} against {name}", ratio, "x", goal))
        section.rows.append((name, f"{seconds:.2f}", f"{1e3 * seconds / count:.2f}", faster))
    if THEIRS not in found:
        section.missing(THEIRS)
    return section
