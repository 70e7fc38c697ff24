"""The table of executors for people who choose one: ``executors_table.py [RESULTS.json]``. Prints Markdown.

What an executor can do is what its plugin says. Start-up is taken from the results of the benchmark ``starts``, or
measured now.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final, cast

from command import prepare_environment
from results import as_table
from starts import TITLE, measured
from systems import PACKAGES, present

from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.specs import Capabilities, ExecutorSpec

COLUMNS: Final = (
    "executor",
    "runs where",
    "good for",
    "not for",
    "survives a dying worker",
    "hard timeouts",
    "start-up",
)
PLACES: Final = {
    "none": "in the thread that calls",
    "thread": "in threads of this process",
    "process": "in processes of this machine",
    "remote": "on a cluster, or one of this machine",
}
USES: Final = {
    "sync": ("small inputs, tests, a debugger", "work for more than one core"),
    "threads": ("calls that wait, and libraries that release the GIL", "computing in Python"),
    "asyncio": ("async functions, hundreds of which wait at once", "computing in Python"),
    "loky": ("computing, on all cores of this machine; code that may crash", "a second of work or less"),
    "dask": ("a Dask cluster that is there; more than one machine", "calls of a few milliseconds"),
    "ray": ("a Ray cluster that is there; more than one machine", "calls of a few milliseconds"),
}
"""What each is good for and what not: the part that no plugin says."""
ROUNDS: Final = 3


def table(starts: dict[str, list[float]]) -> str:
    """The executors that are installed, the known ones first, as Markdown.

    Args:
        starts: Seconds of start-ups by name.
    """
    return as_table(COLUMNS, [_row(name, able, starts.get(name)) for name, able in _installed()])


def _installed() -> Iterator[tuple[str, Capabilities]]:
    specs = current_kernel().usable("executors")
    found = {entry.name: cast(ExecutorSpec, spec).capabilities for entry, spec in specs}
    for name in (*PACKAGES, *sorted(set(found) - set(PACKAGES))):
        if name in found:
            yield name, found[name]


def _row(name: str, able: Capabilities, starts: list[float] | None) -> tuple[str, ...]:
    # Where calls share the process of the driver there is no worker that could die alone.
    survives = "there are none" if able.in_process else _yes(able.survives_worker_death)
    good, bad = USES.get(name, ("", ""))
    return f"`{name}`", PLACES[able.isolation], good, bad, survives, _yes(able.hard_timeout), _time(starts)


def _yes(able: bool) -> str:
    return "yes" if able else "no"


def _time(starts: list[float] | None) -> str:
    if not starts:
        return "not measured"
    seconds = median(starts)
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _read(path: Path) -> dict[str, list[float]]:
    sections = json.loads(path.read_text(encoding="utf-8"))["sections"]
    for section in sections:
        if section["title"] == TITLE:
            return cast("dict[str, list[float]]", section["raw"])
    raise SystemExit(f"{path} has no results of the benchmark 'starts'.")


def _measure() -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        prepare_environment(Path(folder))
        return measured(present(PACKAGES), ROUNDS)


if __name__ == "__main__":
    print(table(_read(Path(sys.argv[1])) if len(sys.argv) > 1 else _measure()))
