"""The folder of a run: its journal, how it ended, and whose it is now. What else is there, its front door knows.

runs/20251121-190036-3f9a1c/
    journal.jsonl       what happened
    manifest.json       how it ended: versions, parameters, timings
    epoch               how often it was taken up
    lock                locked by the process that drives it
"""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from pipe_core.kernel.index import suggestion
from pipe_core.runs.errors import RunLockedError, RunNotFoundError, RunSupersededError
from pipe_core.runs.lease import Lease
from pipe_core.runtime.durable import write_whole

_ID: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


class RunFolder:
    """The folder of one run. It travels.

    Args:
        path: Where it is.
        epoch: Which time of being taken up this is, from 1 on.
    """

    def __init__(self, path: Path, epoch: int) -> None:
        self.path = path
        self.epoch = epoch

    @property
    def run(self) -> str:
        """The id of the run."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.path / "journal.jsonl"

    @property
    def manifest(self) -> Path:
        """How it ended."""
        return self.path / "manifest.json"

    # --- whose it is ---

    @classmethod
    def new(cls, runs: Path) -> tuple[Self, Lease]:
        """The folder of a new run in *runs*, which is made if it is missing, and the lock on it."""
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            path = runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return cls._locked(path)

    @classmethod
    def take_up(cls, runs: Path, run: str) -> tuple[Self, Lease]:
        """The folder of a run that was begun before, and the lock on it. Its workers that still live save nothing more.

        Raises:
            RunNotFoundError: There is none of that id.
            RunLockedError: It goes on.
        """
        return cls._locked(find_run(runs, run))

    @classmethod
    def _locked(cls, path: Path) -> tuple[Self, Lease]:
        lease = Lease(path)
        try:
            return cls(path, next_epoch(path)), lease
        except BaseException:  # no room on the disk
            lease.release()
            raise

    def check_epoch(self, node: str) -> None:
        """Raise `RunSupersededError` where somebody has taken up the run meanwhile: what *node* made is not wanted."""
        if (now := _epoch(self.path)) != self.epoch:
            raise RunSupersededError(
                f"The run {self.run} was resumed while node '{node}' still ran for the process that began it (it was "
                f"taken up {now} times, this is of time {self.epoch}). What this one made is not saved."
            )


def find_run(runs: Path, run: str) -> Path:
    """The folder of a run, by its id or by a beginning of it that only one has.

    Raises:
        RunNotFoundError: There is none, or there are several.
    """
    known = run_ids(runs)
    found = [one for one in known if one == run] or [one for one in known if run and one.startswith(run)]
    if len(found) == 1:
        return runs / found[0]
    if found:
        raise RunNotFoundError(f"{len(found)} runs begin with '{run}': {', '.join(found[:5])}. Say more of the id.")
    there = f" The last ones: {', '.join(known[-3:])}." if known else " There are no runs yet."
    raise RunNotFoundError(f"There is no run '{run}' in {str(runs)!r}.{suggestion(run, known)}{there}")


def run_ids(runs: Path) -> list[str]:
    """The ids of all runs in *runs*, the oldest first."""
    try:
        names = os.listdir(runs)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _ID.fullmatch(name))


def is_running(folder: Path) -> bool:
    """Whether a process of this machine, or of one with the same file system, drives the run now."""
    try:
        Lease(folder).release()
    except RunLockedError:
        return True
    except OSError:  # only to be read
        return False
    return False


def _epoch(path: Path) -> int:
    try:
        return int((path / "epoch").read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def next_epoch(path: Path) -> int:
    """Count that the folder was taken up once more."""
    write_whole(path / "epoch", str(number := _epoch(path) + 1).encode(), durable=False)  # for processes that live
    return number
