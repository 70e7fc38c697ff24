"""A study as a database of SQLite: the table ``trials`` has a row for each, which anybody may read at any time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pipe_core.project.experiments.errors import StudyError
from pipe_core.project.experiments.study import VERSION, FileLock, StoredTrial, foreign

_BUSY: Final = 30.0
"""Seconds to wait for somebody who reads."""
_MAGIC: Final = b"SQLite format 3\0"
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS pipe_study (version INTEGER NOT NULL, header TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS trials (number INTEGER PRIMARY KEY, point TEXT NOT NULL, status TEXT NOT NULL, "
    "value REAL, duration REAL NOT NULL, error TEXT)",
)


class SqliteStudy:
    """See `Study`.

    Args:
        path: The database.

    Raises:
        StudyError: It cannot be written, or something else is in it.
        StudyInUseError: Somebody else has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.path = path, str(path)
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path)
        try:
            with self._errors():
                self._db = sqlite3.connect(path, timeout=_BUSY, check_same_thread=False)
                try:
                    self._open()
                except BaseException:
                    self._db.close()
                    raise
        except BaseException:
            # Not before the database is closed: closing any handle of a file gives back the locks that SQLite holds.
            self._lock.release()
            raise

    def _open(self) -> None:
        with self._path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start and start != _MAGIC:  # SQLite would write over a short one
            raise foreign(self._path, "it is no database")
        self._db.execute("PRAGMA synchronous=FULL")
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "pipe_study" not in tables:
            raise foreign(self._path, "its tables are others")
        with self._db:
            for statement in _TABLES:
                self._db.execute(statement)
        found = self._db.execute("SELECT version, header FROM pipe_study").fetchone()
        if found and found[0] != VERSION:
            raise foreign(self._path, "another version wrote it")
        self._header: dict[str, Any] | None = json.loads(found[1]) if found else None

    def header(self) -> dict[str, Any] | None:
        """What `begin` was given, or None."""
        return self._header

    def begin(self, header: Mapping[str, Any]) -> None:
        """Write the row about the experiment."""
        with self._errors(), self._db:
            self._db.execute("INSERT INTO pipe_study VALUES (?, ?)", (VERSION, json.dumps(header)))
        self._header = dict(header)

    def trials(self) -> list[StoredTrial]:
        """All trials by their numbers."""
        with self._errors():
            rows = self._db.execute("SELECT number, point, status, value, duration, error FROM trials ORDER BY number")
            return [StoredTrial(number, json.loads(point), *rest) for number, point, *rest in rows]

    def write(self, trial: StoredTrial) -> None:
        """Put the row of the trial in the place of what was known of it."""
        point = json.dumps(trial.point)
        error = None if trial.error is None else trial.error.encode("utf-8", "backslashreplace").decode()
        row = (trial.number, point, trial.status, trial.value, trial.duration, error)
        with self._errors(), self._db:
            self._db.execute("INSERT OR REPLACE INTO trials VALUES (?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Let others have the file."""
        self._db.close()
        self._lock.release()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except StudyError:
            raise
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:
                raise foreign(self._path, str(error)) from error
            raise self._unwritable(str(error)) from error
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error

    def _unwritable(self, reason: str) -> StudyError:
        text = f"The study cannot be kept in {self._path}: {reason}. Trials that ended are in it."
        return StudyError(text, path=str(self._path))
