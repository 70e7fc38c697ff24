"""Files that keep every transition: JSON lines and SQLite. A log that is there already is continued."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.errors import OptionsError
from pipe_core.runtime.history import Transition, TransitionSink
from pipe_core.tasks.errors import HistoryError

_COLUMNS: Final = ("id", "before", "to", "at", "attempt", "reason", "slot", "name")
_BLOCK: Final = 65_536
_BUSY: Final = 30.0
"""Seconds to wait for somebody else who writes to the same database."""


def open_log(path: str | os.PathLike[str]) -> TransitionSink:
    """A sink for the file at *path*, by its suffix.

    Raises:
        OptionsError: No kind of log has that suffix.
        HistoryError: The file cannot be written, or holds something else.
    """
    path = Path(path)
    kind = _kind(path)[0]
    try:
        return kind(path)
    except (OSError, sqlite3.Error) as error:
        raise HistoryError(f"The log of transitions cannot be kept in {path}: {error}. Nothing was changed.") from error


def read_history(path: str | os.PathLike[str]) -> Iterator[Transition]:
    """The transitions that were kept in the file at *path*, in order.

    `pipe_core.runtime.history.replay` makes the ledger from them. A last line that a killed process left unfinished
    is left out.

    Raises:
        OptionsError: No kind of log has that suffix.
        HistoryError: There is no such file, or something else is in it.
    """
    path = Path(path)
    return _kind(path)[1](path)


class JsonlSink:
    """One JSON object a line: what `Transition.to_dict` gives.

    Args:
        path: The file. Lines go behind those that it has.
    """

    def __init__(self, path: Path) -> None:
        _cut_unfinished(path)
        self._file = path.open("a", encoding="ascii", newline="\n")

    def write(self, transitions: list[Transition], /) -> None:
        """Keep them, in order: they are with the operating system then."""
        self._file.write("".join(json.dumps(one.to_dict(), separators=(",", ":")) + "\n" for one in transitions))
        self._file.flush()

    def close(self) -> None:
        """They are on the disk then."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())


class SqliteSink:
    """A row of the table ``transitions`` each, every batch in one transaction.

    Args:
        path: The database. Others may read it at any time.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS transitions (sequence INTEGER PRIMARY KEY, id NOT NULL, before TEXT, "
                '"to" TEXT NOT NULL, at REAL NOT NULL, attempt INTEGER NOT NULL, reason TEXT NOT NULL, slot INTEGER, '
                "name TEXT NOT NULL)"
            )
            self._db.execute(_select("LIMIT 0"))
        except BaseException:
            self._db.close()
            raise

    def write(self, transitions: list[Transition], /) -> None:
        """Keep them, in order: all of them or none."""
        rows = [tuple(map(_storable, one.to_dict().values())) for one in transitions]
        with self._db:
            self._db.executemany(f"INSERT INTO transitions ({_names()}) VALUES ({_marks()})", rows)

    def close(self) -> None:
        """They are in the database itself then, no more in the file beside it."""
        self._db.close()


def _names() -> str:
    # Not in double quotes: where there is no such column SQLite would take them for text.
    return ", ".join(f"[{name}]" for name in _COLUMNS)


def _marks() -> str:
    return ", ".join("?" * len(_COLUMNS))


def _select(more: str) -> str:
    return f"SELECT {_names()} FROM transitions {more}"  # constants


def _storable(value: Any) -> Any:
    """Text that SQLite takes: halves of characters, which an error's message may have, are spelled out."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


# --- back ---


def _jsonl_history(path: Path) -> Iterator[Transition]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _parsed(line, f"{path}:{number}")
    except OSError as error:
        raise HistoryError(f"The log {path} cannot be read: {error}") from error


def _sqlite_history(path: Path) -> Iterator[Transition]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY)) as db:
            for row in db.execute(_select("ORDER BY sequence")):
                yield Transition.from_dict(dict(zip(_COLUMNS, row, strict=True)))
    except (sqlite3.Error, ValueError) as error:
        raise HistoryError(f"The log {path} cannot be read: {error}") from error


def _parsed(line: bytes, where: str) -> Transition:
    try:
        return Transition.from_dict(json.loads(line))
    except (ValueError, TypeError, KeyError) as error:
        raise HistoryError(f"{where} is no transition of a task, but {line[:80]!r}.") from error


def _cut_unfinished(path: Path) -> None:
    """Take away the end of a last line that a killed process could not finish. A file of something else is refused."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        _parsed(file.readline(), f"{path}:1")
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                file.truncate(start + last + 1)
                return
            end = start


_Kind = tuple[Callable[[Path], TransitionSink], Callable[[Path], Iterator[Transition]]]
_KINDS: Final[dict[str, _Kind]] = {
    ".jsonl": (JsonlSink, _jsonl_history),
    ".sqlite": (SqliteSink, _sqlite_history),
    ".db": (SqliteSink, _sqlite_history),
}


def _kind(path: Path) -> _Kind:
    found = _KINDS.get(path.suffix.lower())
    if found is None:
        raise OptionsError(f"A log of transitions is a file that ends in {', '.join(_KINDS)}, not {path.name!r}.")
    return found
