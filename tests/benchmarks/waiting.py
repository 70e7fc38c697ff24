"""A hook that waits: many of its calls must wait at the same time."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Final

from command import by_own_clock, interleaved, medians, script
from figures import Figure, Section
from systems import present

FULL: Final = 10_000
TARGETS: Final = {"threads": 1.15, "asyncio": 1.3}
MILLISECONDS: Final = 10
AT_ONCE: Final = 100


def waiting(count: int, rounds: int) -> Section:
    """*count* records through a hook that waits."""
    ideal = count * MILLISECONDS / 1000 / AT_ONCE
    section = Section(
        f"A hook that waits, {count:,} records",
        f"{MILLISECONDS} ms for each record, {AT_ONCE} at once, so {ideal:.2f} s would be ideal. `threads` with "
        f"`time.sleep`, `asyncio` with `asyncio.sleep`. From `Pipe(...)` to the end of its run, the start of the "
        f"executor included; {rounds} interleaved rounds.",
        ("executor", "seconds", "processor seconds of the command", "against ideal"),
    )
    arguments = (count, MILLISECONDS, AT_ONCE)
    runs = {name: partial(by_own_clock, script("waiting_run.py", name, *arguments)) for name in present(TARGETS)}
    found = interleaved(runs, rounds)
    for name, target in TARGETS.items():
        if name not in found:
            section.missing(name)
            continue
        seconds, cpu = medians(found[name])
        section.rows.append((name, f"{seconds:.2f}", f"{cpu:.2f}", f"{seconds / ideal:.2f}"))
        goal = target if count >= FULL else None
        section.figures.append(Figure(f"waiting against ideal, {name}", seconds / ideal, "x", goal, "less"))
        section.raw[name] = [asdict(run) for run in found[name]]
    return section
