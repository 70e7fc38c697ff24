"""Whole commands, each in a process of its own, timed from the outside. Unix only: the system counts the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

HERE: Final = Path(__file__).parent
_DISTURBING: Final = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONWARNINGS",
)
KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command took.

    Attributes:
        seconds: From its start to its end, the interpreter's start included.
        cpu_seconds: Of processor time, its own and the system's on its behalf. Less noisy on a machine that is shared.
        peak_bytes: The most memory that it had resident, or this process, whose peak a new process inherits. So this
            one imports little and reads files in blocks.
        output: What it wrote to standard output.
        complaints: What it wrote to standard error.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str
    complaints: str


class CommandFailedError(Exception):
    """A command ended with an exit code that it should not."""


def prepare_environment(folder: Path) -> None:
    """Let commands start alike whatever this process was told: with bytecode kept in *folder*, and no settings."""
    for name in list(os.environ):
        if name.startswith("PIPE_") or name in _DISTURBING:
            del os.environ[name]
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder.resolve())


def measure(command: Sequence[str], *, codes: Sequence[int] = (0,)) -> Measured:
    """Run *command* and measure it.

    Raises:
        CommandFailedError: Its exit code is none of *codes*; the message holds what it complained of.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=complaints)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would warn of a process nobody waited for
        texts = []
        for file in (output, complaints):
            file.seek(0)
            texts.append(file.read())
        if process.returncode not in codes:
            raise CommandFailedError(f"{' '.join(command)} ended with {process.returncode}:\n{texts[1][-3000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Measured(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit, *texts)


def by_own_clock(command: Sequence[str]) -> Measured:
    """Run *command*, which writes the seconds that count: from a point of its own to another."""
    measured = measure(command)
    return replace(measured, seconds=float(measured.output))


def script(name: str, *arguments: object) -> list[str]:
    """The command that runs a script beside this module, with this Python."""
    return [sys.executable, str(HERE / name), *map(str, arguments)]


def interleaved(runs: Mapping[KeyT, Callable[[], Measured]], rounds: int) -> dict[KeyT, list[Measured]]:
    """Every run once, then every run again, and so on: what slows the machine for a while slows all of them."""
    found: dict[KeyT, list[Measured]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            found[key].append(run())
    return found


def medians(runs: Sequence[Measured]) -> tuple[float, float]:
    """Seconds and processor seconds in the middle of *runs*."""
    return median(run.seconds for run in runs), median(run.cpu_seconds for run in runs)


def times_as_fast(ours: Sequence[Measured], theirs: Sequence[Measured]) -> float:
    """How many times as fast ours is: the median of the ratios of each round, so that a slow round counts for both."""
    return median(their.seconds / our.seconds for our, their in zip(ours, theirs, strict=True))
