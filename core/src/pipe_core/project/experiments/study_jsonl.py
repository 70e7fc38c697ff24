"""A study as lines of JSON: the first one tells of the experiment, and each other one how far a trial is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pipe_core.project.experiments.errors import StudyError
from pipe_core.project.experiments.study import VERSION, FileLock, StoredTrial, folded, foreign
from pipe_core.project.experiments.trial import Status
from pipe_core.runtime.durable import sync_folder

_FIRST: Final = b'{"pipe_study":'


class JsonlStudy:
    """See `Study`.

    Args:
        path: The file.

    Raises:
        StudyError: It cannot be written, or something else is in it.
        StudyInUseError: Somebody else has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.path = path, str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path)
        except StudyError:
            raise
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            self._header, self._trials, length = self._read()
            self._file = path.open("ab", buffering=0)
            self._file.truncate(length)  # a line that was not finished
        except OSError as error:
            self._lock.release()
            raise error if isinstance(error, StudyError) else _unwritable(path, error) from error

    def _read(self) -> tuple[dict[str, Any] | None, list[StoredTrial], int]:
        data = self._path.read_bytes()
        length = data.rfind(b"\n") + 1
        if not data.startswith(_FIRST[: len(data)]):
            raise foreign(self._path, "its first line is something else")
        lines = data[:length].splitlines()
        if not lines:
            return None, [], 0
        header: dict[str, Any] = self._parsed(lines[0], 1)
        if header.pop("pipe_study") != VERSION:
            raise foreign(self._path, "another version wrote it")
        return header, folded(self._trial(line, i) for i, line in enumerate(lines[1:], 2)), length

    def _trial(self, line: bytes, number: int) -> StoredTrial:
        fact = self._parsed(line, number)
        try:
            trial = StoredTrial(**{"point": {}, **fact})
        except TypeError:
            raise self._damaged(number, "it tells of no trial") from None
        number_of_trial: Any = trial.number
        if not isinstance(number_of_trial, int) or trial.status not in get_args(Status):
            raise self._damaged(number, "it tells of no trial")
        return trial

    def _parsed(self, line: bytes, number: int) -> Any:
        try:
            return json.loads(line)
        except ValueError as error:
            raise self._damaged(number, str(error)) from error

    def _damaged(self, number: int, why: str) -> StudyError:
        text = (
            f"The study {self._path} is damaged in line {number}: {why}. Nothing was changed. Restore the file, or "
            f"remove all lines of that trial."
        )
        return StudyError(text, path=str(self._path))

    def header(self) -> dict[str, Any] | None:
        """What `begin` was given, or None."""
        return self._header

    def begin(self, header: Mapping[str, Any]) -> None:
        """Write the first line."""
        self._append({"pipe_study": VERSION, **header})
        sync_folder(str(self._path.parent))
        self._header = dict(header)

    def trials(self) -> list[StoredTrial]:
        """All trials that the file had when it was opened."""
        return list(self._trials)

    def write(self, trial: StoredTrial) -> None:
        """Write a line: with the point when the trial begins, with what came of it when it has ended."""
        if trial.status == "running":
            self._append({"number": trial.number, "status": trial.status, "point": trial.point})
            return
        fact = {"number": trial.number, "status": trial.status, "value": trial.value, "duration": trial.duration}
        self._append(fact | ({"error": trial.error} if trial.error is not None else {}))

    def _append(self, fact: Mapping[str, Any]) -> None:
        line = json.dumps(fact, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        """Let others have the file."""
        self._file.close()
        self._lock.release()


def _unwritable(path: Path, error: OSError) -> StudyError:
    reason = error.strerror or str(error)
    return StudyError(f"The study cannot be kept in {path}: {reason}. Trials that ended are in it.", path=str(path))
