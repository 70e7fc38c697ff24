"""The file of a study: every trial is in it before anybody acts on it, so that a later process can go on.

A file that ends in ``.jsonl`` gets a line for each fact, one that ends in ``.sqlite`` or ``.db`` a row for each trial.
Whoever is killed leaves at most one unfinished line, which the next one cuts off; in SQLite not even that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments.errors import StudyError, StudyInUseError
from pipe_core.project.experiments.trial import Status

if sys.platform != "win32":
    import fcntl

VERSION: Final = 1
"""The form of studies. Another one is refused."""


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial as a file has it: the point is plain data by name."""

    number: int
    point: Mapping[str, Any]
    status: Status = "running"
    value: float | None = None
    duration: float = 0.0
    error: str | None = None


class Study(Protocol):
    """Where an experiment keeps its trials. What a method was given is on the disk when it returns."""

    path: str

    def header(self) -> dict[str, Any] | None:
        """What `begin` was given, or None for a study that has not begun."""

    def begin(self, header: Mapping[str, Any]) -> None:
        """Begin it with facts about the experiment."""

    def trials(self) -> list[StoredTrial]:
        """All trials by their numbers."""

    def write(self, trial: StoredTrial) -> None:
        """Keep how far a trial is. The same number again replaces what was known of it."""

    def close(self) -> None:
        """Let others have the file."""


def open_study(path: str | os.PathLike[str]) -> Study:
    """The study in the file at *path*, which is made if there is none.

    Raises:
        OptionsError: No kind of study has that suffix.
        StudyError: The file cannot be written, or something else is in it.
        StudyInUseError: Somebody else has it open.
    """
    from pipe_core.project.experiments.study_jsonl import JsonlStudy
    from pipe_core.project.experiments.study_sqlite import SqliteStudy

    path = Path(path)
    check_suffix(path)
    return JsonlStudy(path) if path.suffix == ".jsonl" else SqliteStudy(path)


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Make sure that a study can be kept in a file of that name.

    Raises:
        OptionsError: No kind of study has its suffix.
    """
    if Path(path).suffix not in {".jsonl", ".sqlite", ".db"}:
        raise OptionsError(
            f"A study is kept in a file that ends in .jsonl, .sqlite or .db, not in '{os.fspath(path)}'.",
            problems={"study": "another suffix"},
        )


class MemoryStudy:
    """A study that is kept nowhere."""

    path = ""

    def header(self) -> dict[str, Any] | None:
        """It never has begun before."""
        return None

    def begin(self, header: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def trials(self) -> list[StoredTrial]:
        """None."""
        return []

    def write(self, trial: StoredTrial) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class FileLock:
    """One writer of a file at a time, where the system has such locks. A process that dies gives it back.

    Raises:
        StudyInUseError: Somebody else has it.
    """

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._number)
            raise StudyInUseError(
                f"The study {path} is in use: another experiment writes to it, here or in another process. Wait until "
                f"it has ended, or choose another file.",
                path=str(path),
            ) from None
        except OSError:  # a file system without locks
            return

    def release(self) -> None:
        """Give it back."""
        os.close(self._number)


def folded(facts: Iterable[StoredTrial]) -> list[StoredTrial]:
    """The trials that *facts* tell of, each as the last one says, and with the point that the first one says."""
    known: dict[int, StoredTrial] = {}
    for fact in facts:
        before = known.get(fact.number)
        known[fact.number] = fact if before is None or fact.point else replace(fact, point=before.point)
    return [known[number] for number in sorted(known)]


def foreign(path: Path, why: str) -> StudyError:
    """The error that *path* holds something else."""
    text = f"{path} holds no study of this version of pipe: {why}. Nothing was changed; choose another file."
    return StudyError(text, path=str(path))
