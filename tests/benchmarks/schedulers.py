"""Schedulers alone, without an executor: when skewed work ends, and what a task costs. Prints two tables.

Run ``python tests/benchmarks/schedulers.py``. The first table is a simulation and comes out the same everywhere; the
second one is measured.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[2] / "core" / "tests" / "schedulers"))

from simulation import makespan

from pipe_core import get_scheduler

SLOTS: Final = 8
TASKS: Final = 1_000
SHAPE: Final = 1.3
"""Of the Pareto distribution: most tasks are short, a few take as long as hundreds of others together."""
POLICIES: Final = ("fifo", "priority", "work_stealing", "round_robin", "fair")


@dataclass(slots=True)
class Task:
    """A task as schedulers see it."""

    sequence: int
    band: int = 1
    number: float = 0.0
    tag: Any = None
    since: float = 0.0


def made(name: str) -> Any:
    """The scheduler called *name*, bound to `SLOTS` slots where it wants to know."""
    scheduler: Any = get_scheduler(name)
    if hasattr(scheduler, "bind"):
        scheduler.bind(SLOTS)
    return scheduler


# --- when skewed work ends ---


def end_of(scheduler: Any, seconds: Sequence[float]) -> float:
    """When the last of the tasks ends, which belong to three users in turn."""
    for sequence in range(len(seconds)):
        scheduler.push(Task(sequence, tag=sequence % 3))
    return makespan(scheduler, seconds, SLOTS)


@dataclass(slots=True)
class Skewed:
    """What came of skewed work with one scheduler, in the middle of many simulations.

    Attributes:
        sooner: How many times as early as with ``round_robin`` it ends.
        later: How many times as late as with ``fifo``.
        steals: How many tasks were stolen; None where none can be.
    """

    sooner: float
    later: float
    steals: float | None = None


def skewed(seeds: int) -> dict[str, Skewed]:
    """So many simulations with every scheduler."""
    ends: dict[str, list[float]] = {name: [] for name in POLICIES}
    steals: dict[str, list[int]] = {name: [] for name in POLICIES}
    for seed in range(seeds):
        chance = random.Random(seed)
        seconds = [chance.paretovariate(SHAPE) for _ in range(TASKS)]
        for name in POLICIES:
            scheduler = made(name)
            ends[name].append(end_of(scheduler, seconds))
            if hasattr(scheduler, "steals"):
                steals[name].append(scheduler.steals)
    return {
        name: Skewed(
            _ratio(ends["round_robin"], ends[name]),
            _ratio(ends[name], ends["fifo"]),
            median(steals[name]) if steals[name] else None,
        )
        for name in POLICIES
    }


def rows(found: dict[str, Skewed]) -> list[tuple[str, ...]]:
    """As a table, under `COLUMNS`."""
    return [
        (name, f"{one.sooner:.2f}", f"{one.later:.3f}", "" if one.steals is None else f"{one.steals:.0f}")
        for name, one in found.items()
    ]


COLUMNS: Final = ("scheduler", "ends … times as early as round_robin", "… times as late as fifo", "steals")


def _ratio(ones: Iterable[float], others: Iterable[float]) -> float:
    return median(one / other for one, other in zip(ones, others, strict=True))


# --- what a task costs ---

KINDS: Final[dict[str, tuple[str, Callable[[int, random.Random], dict[str, Any]]]]] = {
    "fifo": ("fifo", lambda sequence, chance: {}),
    "priority, all NORMAL": ("priority", lambda sequence, chance: {}),
    "priority, number = creation time": ("priority", lambda sequence, chance: {"number": 1.7e9 + sequence}),
    "priority, three bands": ("priority", lambda sequence, chance: {"band": chance.randrange(3)}),
    "priority, numbers 0 to 9": ("priority", lambda sequence, chance: {"number": float(chance.randrange(10))}),
    "priority, numbers by chance": ("priority", lambda sequence, chance: {"number": chance.random()}),
    "work_stealing, own": ("work_stealing", lambda sequence, chance: {}),
    "round_robin": ("round_robin", lambda sequence, chance: {}),
    "fair, one tag": ("fair", lambda sequence, chance: {}),
    "fair, 1,000 tags": ("fair", lambda sequence, chance: {"tag": chance.randrange(1000)}),
}


WAITING: Final = (100, 100_000)
"""How many tasks wait meanwhile."""


def cost(kind: str, waiting: int, count: int) -> float:
    """Microseconds of a push and a pop together, while about *waiting* tasks wait."""
    name, key = KINDS[kind]
    scheduler, chance = made(name), random.Random(1)
    tasks = [Task(sequence, since=sequence * 1e-5, **key(sequence, chance)) for sequence in range(waiting + count)]
    for task in tasks[:waiting]:
        scheduler.push(task)
    begun = process_time()
    for task in tasks[waiting:]:
        scheduler.push(task)
        scheduler.pop(task.sequence % SLOTS, task.since)
    return (process_time() - begun) / count * 1e6


def costs(count: int, rounds: int) -> list[tuple[str, ...]]:
    """Rows: a push and a pop among 100 and among 100,000, the least of some rounds."""
    return [
        (kind, *(f"{min(cost(kind, waiting, count) for _ in range(rounds)):.2f}" for waiting in WAITING))
        for kind in KINDS
    ]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    print(f"\n{title}\n")
    for cells in (columns, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |")


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="simulations of skewed work (default: 300)")
    parser.add_argument("--count", type=int, default=100_000, help="tasks that are timed (default: 100,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the least counts (default: 3)")
    given = parser.parse_args()
    show(
        f"{TASKS:,} tasks on {SLOTS} slots, seconds by Pareto({SHAPE}), median of {given.seeds} seeds",
        COLUMNS,
        rows(skewed(given.seeds)),
    )
    show(
        f"µs of processor time for a push and a pop, least of {given.rounds} rounds of {given.count:,}",
        ("scheduler", "100 wait", "100,000 wait"),
        costs(given.count, given.rounds),
    )


if __name__ == "__main__":
    main()
