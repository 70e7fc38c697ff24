"""The contenders: who does the work, how each is started, and what it must write."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from command import HERE, script


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: What tables call it.
        command: Makes the command from source, target and error sink.
        codes: The exit codes of a run in which some records failed.
        exact: Whether it must write the same bytes as all that are exact.
        rejects_alike: Likewise for the error sink.
        package: What must be installed for it.
        target: How many times as fast this project should be from CSV, for half a million records and for millions.
        parts: How many files it writes for each that it is given, with a number behind their names.
    """

    name: str
    command: Callable[..., Sequence[str]]
    codes: tuple[int, ...] = (0,)
    exact: bool = True
    rejects_alike: bool = False
    package: str | None = None
    target: tuple[float | None, float | None] | None = None
    parts: int = 1

    @property
    def missing(self) -> bool:
        """Whether it cannot take part here."""
        return self.package is not None and not installed(self.package)

    def files(self, path: Path) -> list[Path]:
        """What it writes when it is told to write *path*."""
        if self.parts == 1:
            return [path]
        return [path.with_stem(f"{path.stem}_part_{number}") for number in range(1, self.parts + 1)]


def installed(package: str) -> bool:
    """Whether *package* could be imported."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package that it is in is not there
        return False


def _by_command_line(source: Path, target: Path, errors: Path) -> list[str]:
    validate = [
        sys.executable,
        "-m",
        "pipe_core.cli",
        "validate",
        str(source),
        "--schema",
        f"{HERE / 'schema.py'}:Order",
    ]
    return [*validate, "--to", str(target), "--errors", str(errors), "--mode", "overwrite", "--no-progress"]


CONTENDERS: Final = (
    Contender("pipe", partial(script, "peer_pipe.py"), rejects_alike=True),
    Contender("pipe validate", _by_command_line, codes=(0, 1), rejects_alike=True, package="pipe_core.cli"),
    Contender("plain loop", partial(script, "peer_plain.py"), target=(1.5, 1.5)),
    Contender("ZooPipe", partial(script, "peer_zoopipe.py"), exact=False, package="zoopipe", target=(1.5, 1.7)),
    Contender("floor", partial(script, "peer_floor.py"), rejects_alike=True, target=(0.9, 0.9)),
)

WORKERS: Final = 2
"""Worker processes of everybody who has some."""


def on_executor(executor: str, source: Path, target: Path, errors: Path) -> list[str]:
    """The command of this project on *executor*."""
    return script("peer_workers.py", source, target, errors, executor, WORKERS)


ON_LOKY: Final = Contender("pipe on loky", partial(on_executor, "loky"), rejects_alike=True, package="pipe_loky")
IN_PROCESSES: Final = (
    ON_LOKY,
    Contender("pipe on sync", partial(script, "peer_pipe.py"), rejects_alike=True, target=(None, 1.6)),
    Contender("two plain loops, half each", partial(script, "peer_halves.py", "plain"), parts=2, target=(None, 0.85)),
    Contender("two floors, half each", partial(script, "peer_halves.py", "floor"), parts=2, target=(None, None)),
    Contender(
        "ZooPipe, MultiProcessEngine",
        partial(script, "peer_zoopipe_processes.py"),
        exact=False,
        package="zoopipe",
        target=(None, 1.6),
        parts=2,
    ),
)
"""The same work in two processes, and for comparison in one."""
