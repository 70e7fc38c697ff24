"""Rows that wait in their database until this process, or a later one, commits them: all of them, once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from pipe_core import SinkError
from pipe_sql.encoder import Group
from pipe_sql.failures import FAILURES, DatabaseError
from pipe_sql.postgres_log import PostgresLog
from pipe_sql.sqlite_parts import SqliteParts, keep_parts
from pipe_sql.waiting import (
    Execute,
    damaged,
    dropped,
    executing,
    gone,
    is_there,
    name_in,
    note,
    supersede,
    was_committed,
)
from pipe_sql.writing import Target


class StagedRows:
    """Rows on their way from where they wait.

    Args:
        target: Their own table.
        mode: What becomes of rows that are in it.
        state: What `checkpoint` told of them.
        fresh: Whether that was just now: then they are there.

    Raises:
        SinkError: They are gone, or *state* is none.
    """

    def __init__(self, target: Target, mode: str, state: Mapping[str, Any], *, fresh: bool = False) -> None:
        self._target = target
        self._mode = mode
        self._name = name_in(target, state)
        self._is_done = False
        try:
            self._types = None if state["types"] is None else [(str(name), str(kind)) for name, kind in state["types"]]
            self._rows = (SqliteParts if target.place.dialect == "sqlite" else PostgresLog).of(target, state)
        except (KeyError, TypeError, ValueError):
            raise damaged(target) from None
        if not fresh:
            with self._transaction() as execute:
                self._waits(execute)

    def write(self, group: Group) -> None:
        """Refused: their end was said."""
        raise self._target.error("its rows have been brought to their end")

    def commit(self) -> None:
        """Bring them to their table, once. Raises `SinkError` where one is refused, or they are gone."""
        with self._transaction() as execute:
            if self._waits(execute):
                self._move(execute)
        self._is_done = True

    def _move(self, execute: Execute) -> None:
        self._prepare(execute)
        for columns, rows in self._rows.moves(execute):
            execute(self._target.insert(columns, rows=rows))
        self._rows.drop(execute)
        supersede(execute, self._target, self._mode)
        note(execute, self._target, self._name)

    def abort(self, keep: bool) -> str | None:
        """Forget them, where they are not committed. With *keep* those for SQLite go to a file ``<path>.partial``."""
        if self._is_done:
            return None
        place = self._kept() if keep and isinstance(self._rows, SqliteParts) else None
        with self._transaction() as execute:
            self._rows.drop_own(execute)
        return place

    def _kept(self) -> str | None:
        assert isinstance(self._rows, SqliteParts)  # who calls has looked
        with self._transaction() as execute:
            waits = self._rows.are_there(execute)
        with self._errors():
            return keep_parts(self._rows) if waits else None

    def close(self) -> None:
        """There is nothing open."""

    def _waits(self, execute: Execute) -> bool:
        """Whether they wait; else they are committed. Raises `SinkError` where they are gone."""
        if self._rows.are_there(execute):
            return True
        if was_committed(execute, self._target, self._name):
            return False
        raise gone(self._target)

    def _prepare(self, execute: Execute) -> None:
        if not is_there(execute, self._target, self._target.table):
            if self._types is None:
                raise dropped(self._target)
            if self._types:
                execute(self._target.make(self._types))
            return
        if self._mode != "append" and self._target.place.dialect == "postgresql":
            execute(f"LOCK TABLE {self._target.quoted} IN SHARE ROW EXCLUSIVE MODE")
        if self._mode == "overwrite":
            execute(self._target.clear(self._target.quoted))
        elif self._mode != "append" and execute(f"SELECT 1 FROM {self._target.quoted} LIMIT 1"):
            raise self._target.exists()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Execute]:
        path = self._target.place.path
        if path is not None and not os.path.exists(path):
            raise self._target.error("the file is gone, and with it the rows that waited there")
        with self._errors(), contextlib.closing(self._target.place.connect()) as connection:
            execute = executing(connection)
            self._rows.begin(execute, self._name)
            yield execute
            connection.commit()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SinkError:
            raise
        except DatabaseError as error:
            raise self._target.error(error.reason) from None
        except FAILURES as error:
            reason = self._target.place.understood(error)
            if reason.constraint:
                raise self._target.refused(reason, "one of the rows") from None
            raise self._target.error(reason.reason) from None
        except OSError as error:
            raise self._target.error(error.strerror or str(error)) from error
