"""The ledger: a move must cost the same however many tasks there are."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import by_own_clock, interleaved, script, times_as_fast
from figures import Figure, Section

FEW: Final = 100
FULL: Final = 1_000_000
TARGETS: Final = {"submission": 1.5, "random": 5.0}
"""By the order in which tasks are moved: how much dearer a move may be among a million. By chance the tasks lie in
memory as the processor does not expect."""


def ledger(count: int, rounds: int) -> Section:
    """Moves among a hundred tasks and among *count*."""
    moves = 2 * count
    section = Section(
        "Moves of the ledger",
        f"{moves:,} moves, from pending to processing to completed, among {FEW} tasks and among {count:,}; as many "
        f"ledgers one behind the other as that takes. Each line a process of its own; {rounds} interleaved rounds.",
        ("tasks", "order of moves", "µs a move", f"against {FEW}"),
    )
    runs = {
        (size, order): partial(by_own_clock, script("ledger_run.py", size, order, moves))
        for order in TARGETS
        for size in (FEW, count)
    }
    found = interleaved(runs, rounds)
    for size, order in runs:
        each = 1e6 * median(run.seconds for run in found[size, order]) / moves
        ratio = times_as_fast(found[FEW, order], found[size, order])
        section.rows.append((f"{size:,}", order, f"{each:.2f}", "" if size == FEW else f"{ratio:.2f}"))
        section.raw[f"{size}, {order}"] = [asdict(run) for run in found[size, order]]
        if size != FEW:
            name = f"time of a move among {count:,} tasks against {FEW}, in {order} order"
            goal = TARGETS[order] if count >= FULL else None
            section.figures.append(Figure(name, ratio, "x", goal, "less"))
    return section
