"""A source that workers cannot read for themselves, and a hook that computes."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

from command import Measured, interleaved, measure, medians, script, times_as_fast
from contenders import WORKERS
from figures import Figure, Section
from flows import WrongOutputError, counted
from orders import bad_count
from systems import present

FULL: Final = 100_000
TARGET: Final = 1.7
MICROSECONDS: Final = 50
_TRIAL: Final = 10_000


def unsplit(folder: Path, count: int, rounds: int) -> Section:
    """Orders out of a generator on worker processes, against one process."""
    turns = turns_for(MICROSECONDS / 1e6)
    section = Section(
        f"Orders from a generator and a hook that computes, {count:,} orders",
        f"The driver makes the records and sends them. The hook adds up {turns:,} numbers for each, here about "
        f"{MICROSECONDS} µs; then pydantic, JSON lines and an error sink. Whole commands, {WORKERS} workers; {rounds} "
        f"interleaved rounds, and all wrote the same bytes.",
        ("executor", "seconds", "records/s", "processor seconds"),
    )
    target = folder / "generated.jsonl"
    digests: set[str] = set()
    runs = {name: partial(_run, name, count, turns, target, digests) for name in present(("sync", "loky"))}
    found = interleaved(runs, rounds)
    for name, measured in found.items():
        seconds, cpu = medians(measured)
        section.rows.append((name, f"{seconds:.2f}", f"{count / seconds:,.0f}", f"{cpu:.2f}"))
        section.raw[name] = [asdict(run) for run in measured]
    if "loky" not in found:
        section.missing("loky")
        return section
    ratio = times_as_fast(found["loky"], found["sync"])
    goal = TARGET if count >= FULL else None
    section.figures.append(Figure("speed of loky against sync, generator and a hook that computes", ratio, "x", goal))
    return section


def turns_for(seconds: float) -> int:
    """How many numbers can be added up in so much time, when nothing else runs."""
    best = float("inf")
    for _ in range(50):
        started = time.perf_counter()
        sum(range(_TRIAL))
        best = min(best, time.perf_counter() - started)
    return round(_TRIAL * seconds / best)


def _run(name: str, count: int, turns: int, target: Path, digests: set[str]) -> Measured:
    target.parent.mkdir(parents=True, exist_ok=True)
    measured = measure(script("peer_generated.py", count, turns, name, target))
    errors = Path(f"{target}.errors.jsonl")
    lines, digest = counted([target, errors])
    bad, _ = counted([errors])
    target.unlink()
    errors.unlink()
    digests.add(digest)
    if (lines, bad) != (count, bad_count(count)) or len(digests) > 1:
        raise WrongOutputError(f"{name} wrote {lines:,} lines, {bad:,} of them bad, or other bytes than before.")
    return measured
