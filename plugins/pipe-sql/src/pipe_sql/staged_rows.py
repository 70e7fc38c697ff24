"""Rows that wait in a table of the same SQLite file until this process, or a later one, commits them.

They leave that table in the transaction that brings them to their own, which notes down that they came. So they come
once. What waits for a table goes when another run has replaced what is in the table.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from pipe_core import SinkError
from pipe_sql.encoder import Group
from pipe_sql.failures import FAILURES, DatabaseError
from pipe_sql.writing import Target

NOTES: Final = "_pipe_commits"
"""A table with the names of what waited and was committed, the latest of each table."""
_MOST: Final = 100
_NAME: Final = re.compile(r"_pipe_staged_[0-9a-f]{12}_[0-9a-f]{12}")

Execute = Callable[..., Sequence[Any]]
"""Runs a statement with its parameters, and gives the rows."""


class StagedRows:
    """Rows on their way from the table where they wait.

    Args:
        target: Their own table.
        mode: What becomes of rows that are in it.
        state: ``staged``, where they wait; their ``columns``; ``types`` of a table that is made for them.

    Raises:
        SinkError: They are gone, or *state* is none.
    """

    def __init__(self, target: Target, mode: str, state: Mapping[str, Any]) -> None:
        self._target = target
        self._mode = mode
        self._name = str(state["staged"])
        self._columns: tuple[str, ...] = tuple(state["columns"])
        self._types = [(name, declared) for name, declared in state["types"]]
        if not _NAME.fullmatch(self._name) or not self._name.startswith(_prefix(target)):
            raise target.error("what was written down of the rows that wait is damaged, or of another table")
        with self._transaction() as execute:
            self._waits(execute)

    def write(self, group: Group) -> None:
        """Refused: their end was said."""
        raise self._target.error("its rows have been brought to their end")

    def commit(self) -> None:
        """Bring them to their table, once. Raises `SinkError` where one is refused, or they are gone."""
        with self._transaction() as execute:
            if not self._waits(execute):
                return
            self._prepare(execute)
            if self._columns:
                rows = f"SELECT {self._target.columns(self._columns)} FROM {self._staged} WHERE true"
                execute(self._target.insert(self._columns, rows=rows))
            execute(f"DROP TABLE {self._staged}")
            execute(f"CREATE TABLE IF NOT EXISTS {NOTES} (name TEXT PRIMARY KEY)")
            execute(f"INSERT INTO {NOTES} VALUES (?)", self._name)
            old = f"SELECT rowid FROM {NOTES} WHERE name GLOB ? ORDER BY rowid DESC LIMIT -1 OFFSET {_MOST}"
            execute(f"DELETE FROM {NOTES} WHERE rowid IN ({old})", f"{_prefix(self._target)}*")
            if self._mode != "append":
                supersede(execute, self._target)

    def abort(self, keep: bool) -> None:
        """Forget them, where they are not committed."""
        with self._transaction() as execute:
            execute(f"DROP TABLE IF EXISTS {self._staged}")

    def close(self) -> None:
        """There is nothing open."""

    @property
    def _staged(self) -> str:
        return self._target.place.quoted(self._name)

    def _waits(self, execute: Execute) -> bool:
        """Whether they wait; else they are committed. Raises `SinkError` where they are gone."""
        if _is_there(execute, self._name):
            return True
        if _is_there(execute, NOTES) and execute(f"SELECT 1 FROM {NOTES} WHERE name = ?", self._name):
            return False
        raise self._target.error(
            "the rows that a run has staged for it are gone. Has a later run replaced what is there? They must be made "
            "again: start a new run"
        )

    def _prepare(self, execute: Execute) -> None:
        if not _is_there(execute, self._target.table):
            if self._columns:
                execute(self._target.make(self._types))
        elif self._mode == "overwrite":
            statement, parameters = self._target.clear(self._target.quoted)
            execute(statement, *parameters)
        elif self._mode != "append" and execute(f"SELECT 1 FROM {self._target.quoted} LIMIT 1"):
            raise self._target.exists()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Execute]:
        if not os.path.exists(self._target.place.path or ""):
            raise self._target.error("the file is gone, and with it the rows that waited there")
        try:
            with contextlib.closing(self._target.place.connect()) as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield _on(connection)
                connection.commit()
        except SinkError:
            raise
        except DatabaseError as error:
            raise self._target.error(error.reason) from None
        except FAILURES as error:
            reason = self._target.place.understood(error)
            if reason.constraint:
                raise self._target.refused(reason, "one of the rows") from None
            raise self._target.error(reason.reason) from None


def staged_name(target: Target) -> str:
    """A name, which nobody else has, for a table in which rows for *target* wait."""
    return f"{_prefix(target)}{secrets.token_hex(6)}"


def supersede(execute: Execute, target: Target, schema: str = "main") -> None:
    """Remove what waits for the table of *target*, unless it is to replace some dates only: others were first.

    Args:
        execute: Runs a statement.
        target: The table.
        schema: What SQLite calls the file.
    """
    if target.between is not None:
        return
    statement = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name GLOB ?"
    for (name,) in execute(statement, f"{_prefix(target)}*"):
        execute(f"DROP TABLE {target.place.quoted(name, schema)}")


def _prefix(target: Target) -> str:
    return f"_pipe_staged_{hashlib.blake2b(target.table.lower().encode(), digest_size=6).hexdigest()}_"


def _is_there(execute: Execute, name: str) -> bool:
    return bool(execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", name))


def _on(connection: Connection) -> Execute:
    def execute(statement: str, *parameters: Any) -> Sequence[Any]:
        result = connection.exec_driver_sql(statement, parameters)
        return result.fetchall() if result.returns_rows else ()

    return execute
