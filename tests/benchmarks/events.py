"""Events that do nothing: what an event executor costs, and whether that grows with how many there are."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Final

from command import Measured, interleaved, measure, script, times_as_fast
from contenders import installed
from figures import Figure, Section

FULL: Final = 8_000
"""So many as others were measured with."""
CROWDS: Final = (1_000, 100_000)
"""Between these an event must not become dearer."""


def events(count: int, crowds: tuple[int, int], rounds: int) -> Section:
    """Append and process *count* events, here and with lionpride; and here *crowds* of them."""
    section = Section(
        "Events that do nothing",
        f"Appended to an executor that is started, then processed on its event loop. Each line a process of its own, "
        f"with as many executors one behind the other as make up the same number of events in the last two; {rounds} "
        f"interleaved rounds.",
        ("executor", "events", "µs to append", "µs to process", "µs an event"),
    )
    ways = {("pipe", count): 1, ("pipe", crowds[0]): crowds[1] // crowds[0], ("pipe", crowds[1]): 1}
    if installed("lionpride"):
        ways["lionpride", count] = 1
    runs = {key: partial(_run, *key, times) for key, times in ways.items()}
    found = interleaved(runs, rounds)
    for (whose, size), times in ways.items():
        told = [json.loads(run.output) for run in found[whose, size]]
        parts = [1e6 * median(one[part] for one in told) / size / times for part in ("append", "process")]
        section.rows.append((whose, f"{size:,}", *(f"{part:.1f}" for part in (*parts, sum(parts)))))
        section.raw[f"{whose}, {size}"] = told
    seconds = median(run.seconds for run in found["pipe", count])
    full = count >= FULL
    each = Figure(
        f"an event that does nothing, of {count:,}", 1e6 * seconds / count, "µs", 30 if full else None, "less"
    )
    growth = times_as_fast(found["pipe", crowds[0]], found["pipe", crowds[1]])
    name = f"time of an event among {crowds[1]:,} against {crowds[0]:,}"
    section.figures += [each, Figure(name, growth, "x", 1.2 if crowds == CROWDS else None, "less")]
    if ("lionpride", count) in found:
        speed = times_as_fast(found["pipe", count], found["lionpride", count])
        section.figures.append(Figure(f"speed of events against lionpride, {count:,}", speed, "x"))
    else:
        section.missing("lionpride")
    return section


def _run(whose: str, count: int, times: int) -> Measured:
    """One run, with the seconds of both parts."""
    measured = measure(script("events_run.py", whose, count, times))
    return replace(measured, seconds=sum(json.loads(measured.output).values()))
