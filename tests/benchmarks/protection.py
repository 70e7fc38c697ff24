"""What it costs to be safe."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from command import interleaved, medians, script, times_as_fast
from contenders import WORKERS, Contender
from figures import Figure, Section
from flows import LARGE, Arena

TARGET: Final = 5.0
_WITHOUT: Final = "without"
_WITH: Final = "with"
_KEPT: Final = "with, and a checkpoint every second"
_WAYS: Final = {_WITHOUT: ["--bare"], _WITH: [], _KEPT: ["--checkpoint", "1"]}


def _contender(name: str) -> Contender:
    command = partial(_command, _WAYS[name])
    return Contender(f"pipe on loky, {name}", command, rejects_alike=True, package="pipe_loky")


def _command(words: list[str], source: Path, target: Path, errors: Path) -> list[str]:
    return script("protection_run.py", source, target, errors, WORKERS, *words)


def protection(folder: Path, count: int, rounds: int) -> Section:
    """Orders on loky with all that guards them, and without."""
    section = Section(
        f"What protection costs, {count:,} orders on loky",
        "Checksums of all that travels between processes, the notes from which the driver knows what a dead worker "
        "died of, and the comparison of the borders of splits; against the same run with these replaced by nothing, "
        "which only this benchmark can do; and with checkpoints, from which a run that is killed goes on. Whole "
        f"commands, CSV to JSON lines, {WORKERS} workers; {rounds} interleaved rounds.",
        ("protection", "seconds", "processor seconds"),
    )
    contenders = {name: _contender(name) for name in (_WITH, _WITHOUT, _KEPT)}
    if contenders[_WITH].missing:
        section.missing("loky")
        return section
    arena = Arena(folder, count)
    arena.warm_up("csv", list(contenders.values()))
    found = interleaved({name: partial(arena.run, "csv", one) for name, one in contenders.items()}, rounds)
    for name, measured in found.items():
        seconds, cpu = medians(measured)
        section.rows.append((name, f"{seconds:.2f}", f"{cpu:.2f}"))
        section.raw[name] = [asdict(run) for run in measured]
    cost = 100 * (times_as_fast(found[_WITHOUT], found[_WITH]) - 1)
    pairs = zip(found[_WITH], found[_WITHOUT], strict=True)
    cpu_cost = 100 * (median(guarded.cpu_seconds / bare.cpu_seconds for guarded, bare in pairs) - 1)
    goal = TARGET if count >= LARGE else None
    section.figures.append(Figure("time that protection costs", cost, "%", goal, "less"))
    section.figures.append(Figure("processor time that protection costs", cpu_cost, "%"))
    kept = 100 * (times_as_fast(found[_WITHOUT], found[_KEPT]) - 1)
    section.figures.append(Figure("time that protection and checkpoints cost", kept, "%", goal, "less"))
    return section
