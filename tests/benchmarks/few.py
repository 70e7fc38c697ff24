"""Few records: what is lost by workers that were not needed."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from command import interleaved, times_as_fast
from contenders import ON_LOKY, Contender, on_executor
from figures import Figure, Section
from flows import Arena

ROWS: Final = 100
TARGET: Final = 4.0
_AUTO: Final = Contender("pipe on auto", partial(on_executor, "auto"), rejects_alike=True)
_SYNC: Final = Contender("pipe on sync", partial(on_executor, "sync"), rejects_alike=True)


def few(folder: Path, rounds: int) -> Section:
    """A hundred orders on `loky` and on what `auto` chooses, against `sync`."""
    section = Section(
        f"Few records, {ROWS} orders",
        f"CSV to JSON lines, whole commands; median of {rounds} interleaved rounds. `auto` should take `sync`.",
        ("executor", "ran on", "ms", "against sync"),
    )
    contenders = [one for one in (_SYNC, _AUTO, ON_LOKY) if not one.missing]
    arena = Arena(folder, ROWS)
    arena.warm_up("csv", contenders)
    found = interleaved({one.name: partial(arena.run, "csv", one) for one in contenders}, rounds)
    for name, measured in found.items():
        ratio = times_as_fast(found[_SYNC.name], measured)
        chosen = sorted({run.output.strip() for run in measured})
        seconds = median(run.seconds for run in measured)
        section.rows.append((name, ", ".join(chosen), f"{1000 * seconds:.0f}", f"{ratio:.2f}"))
        section.raw[name] = [asdict(run) for run in measured]
    left = sum(run.output.strip() == "sync" for run in found[_AUTO.name])
    section.figures.append(Figure(f"runs of {ROWS} orders that auto leaves on sync", 100 * left / rounds, "%", 100.0))
    if ON_LOKY.missing:
        section.missing(ON_LOKY.name)
        return section
    ratio = times_as_fast(found[_SYNC.name], found[ON_LOKY.name])
    section.figures.append(Figure(f"time of {ROWS} orders on loky against sync", ratio, "x", TARGET, "less"))
    return section
