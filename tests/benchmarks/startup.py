"""Start-up: what a person waits for before anything happens."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Final

from command import Measured, interleaved, measure
from figures import Figure, Section

_CLI: Final = (sys.executable, "-m", "pipe_core.cli")
COMMANDS: Final = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "import pipe_core": (sys.executable, "-c", "import pipe_core"),
    "pipe --help": (*_CLI, "--help"),
    "pipe plugins list": (*_CLI, "plugins", "list"),
}
_TARGETS: Final = {"import pipe_core": 60.0, "pipe plugins list": 250.0}
_SHOWN: Final = 12


def start_up(rounds: int) -> Section:
    """Each command *rounds* times, interleaved."""
    found = interleaved({name: partial(measure, command) for name, command in COMMANDS.items()}, rounds + 1)
    section = Section(
        "Start-up",
        f"Whole processes, nothing subtracted; median of {rounds} interleaved runs after one to warm up.",
        ("command", "ms", "of which not Python's own"),
        raw={name: [asdict(run) for run in measured] for name, measured in found.items()},
        evidence="\n\n".join(f"{name}\n{_imports(name)}" for name in ("import pipe_core", "pipe plugins list")),
    )
    bare = _milliseconds(found, "python -c pass")
    for name in COMMANDS:
        value = _milliseconds(found, name)
        section.rows.append((name, f"{value:.0f}", f"{value - bare:.0f}"))
        if name in _TARGETS:
            section.figures.append(Figure(name, value, "ms", _TARGETS[name], "less"))
    return section


def _milliseconds(found: dict[str, list[Measured]], name: str) -> float:
    return 1000 * median(run.seconds for run in found[name][1:])


def _imports(name: str) -> str:
    """The slowest imports of a command by their own time, in milliseconds with and without what they import."""
    python, *rest = COMMANDS[name]
    lines = measure([python, "-X", "importtime", *rest]).complaints.splitlines()
    found = []
    for line in lines:
        own, _, more = line.removeprefix("import time:").partition("|")
        total, _, module = more.partition("|")
        if own.strip().isdigit():
            found.append((int(own), int(total), module.strip()))
    found.sort(reverse=True)
    rows = [f"  {own / 1000:7.1f} {total / 1000:7.1f}  {module}" for own, total, module in found[:_SHOWN]]
    return "\n".join([f"  {len(found)} modules; own and whole ms:", *rows])
