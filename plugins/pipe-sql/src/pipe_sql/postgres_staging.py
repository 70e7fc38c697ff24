"""Rows for PostgreSQL that are to have checkpoints: they wait in a table of their own, which is durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from pipe_core import SinkError
from pipe_sql.catalog import Table
from pipe_sql.encoder import Group
from pipe_sql.postgres_log import ROW, SHAPE, PostgresLog
from pipe_sql.postgres_rows import FoundTypes, PostgresRows
from pipe_sql.staged_rows import StagedRows
from pipe_sql.waiting import gone, is_there, staged_name, taken_over
from pipe_sql.writing import Target


class PostgresStaging:
    """Rows on their way to where they wait.

    What is wrong with a row by itself shows when it is written; what is wrong with it beside others, at the commit.

    Args:
        connection: A connection to the database, which the store closes.
        target: The table that the rows are for.
        mode: What to do with rows that are in it.
        table: What it has, where there is one already.
        state: How far another process came, as `checkpoint` told.
    """

    def __init__(
        self,
        connection: Connection,
        target: Target,
        mode: str,
        table: Table | None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._connection = connection
        self._target = target
        self._mode = mode
        self._rows = PostgresRows(connection, target)
        self._found = FoundTypes(target) if table is None else None
        self._begin_anew()
        with self._rows.errors():
            self._rows.run("SELECT set_config('lock_timeout', %s, false)", str(round(1000 * target.place.timeout)))
            if state is not None:
                self._go_on(state)
            connection.commit()

    def _begin_anew(self) -> None:
        self._name = staged_name(self._target, self._mode)
        self._shapes: list[tuple[str, ...]] = []
        self._is_made = False
        self._kept: int | None = None
        self._rows.count = 0

    def _go_on(self, state: Mapping[str, Any]) -> None:
        log = PostgresLog.of(self._target, state)
        self._name, self._shapes, self._rows.count = log.name, list(log.shapes), log.count
        self._found = None if state["types"] is None else FoundTypes(self._target, dict(state["types"]), state["seen"])
        self._is_made, self._kept = True, log.count
        if not is_there(self._rows.run, self._target, self._name):
            raise gone(self._target)
        log.cut(self._rows.run)
        if self._found is not None:
            self._restore(self._found, log.quoted)

    def _restore(self, found: FoundTypes, table: str) -> None:
        """Give the columns the types again that they had. Where they have others, there is nothing in them now."""
        for name in self._columns():
            quoted = self._target.place.quoted(name)
            if name in found.types and not found.seen.get(name):
                self._rows.run(f"ALTER TABLE {table} ALTER COLUMN {quoted} TYPE {found.types[name]} USING NULL")
            elif name not in (*found.types, ROW, SHAPE):
                self._rows.run(f"ALTER TABLE {table} DROP COLUMN {quoted}")

    def write(self, group: Group) -> None:
        """Send the rows to where they wait."""
        columns, kinds, rows = group
        with self._rows.errors():
            self._make()
            self._fit(columns, kinds)
        first, shape = self._rows.count + 1, self._shapes.index(columns)
        numbered = [(*row, number, shape) for number, row in enumerate(rows, first)]
        marks = ", ".join("%s" for _ in range(len(columns) + 2))
        into = f"{self._quoted} ({self._target.columns((*columns, ROW, SHAPE))})"
        try:
            self._rows.insert(f"INSERT INTO {into} VALUES ({marks})", numbered)
        except SinkError as error:
            if f"{self._name}_pkey" in str(error):  # somebody else has given a row that number
                raise taken_over(self._target) from None
            raise

    def checkpoint(self) -> dict[str, Any]:
        """Commit what was written to where it waits. What `StagedRows`, or another one of these, must know of it."""
        with self._rows.errors():
            self._make()
            self._connection.commit()
        self._kept = self._rows.count
        return {
            "staged": self._name,
            "count": self._rows.count,
            "shapes": [list(shape) for shape in self._shapes],
            "types": None if self._found is None else list(self._found.types.items()),
            "seen": {} if self._found is None else {name: sorted(kinds) for name, kinds in self._found.seen.items()},
        }

    def commit(self) -> None:
        """Bring the rows to their table, all at once."""
        if not self._rows.count and (self._mode != "overwrite" or self._found is not None):
            return
        StagedRows(self._target, self._mode, self.checkpoint(), fresh=True).commit()
        self._begin_anew()

    def abort(self, keep: bool) -> None:
        """Forget the rows. Nothing is kept."""
        with self._rows.errors():
            self._connection.rollback()
            if self._kept is not None:
                PostgresLog(self._target, self._name, self._kept, ()).drop_own(self._rows.run)
                self._connection.commit()

    def close(self) -> None:
        """Close the connection. What was checkpointed stays."""
        self._rows.close()

    @property
    def _quoted(self) -> str:
        return self._target.place.quoted(self._name, self._target.schema)

    def _make(self) -> None:
        """Make the table in which they wait, with the rules of the one that they are for, if that is there."""
        if self._is_made:
            return
        columns = [f"{ROW} BIGINT PRIMARY KEY", f"{SHAPE} INTEGER"]
        if self._found is None:
            columns.append(f"LIKE {self._target.quoted} INCLUDING CONSTRAINTS")
        else:
            quoted = self._target.place.quoted
            columns += [f"{quoted(name)} {declared}" for name, declared in self._found.types.items()]
        self._rows.run(f"CREATE TABLE {self._quoted} ({', '.join(columns)})")
        self._is_made = True

    def _fit(self, columns: tuple[str, ...], kinds: Sequence[frozenset[str]]) -> None:
        """Let it take rows with these columns."""
        changes = [] if self._found is None else self._found.changes(columns, kinds)
        if columns not in self._shapes:
            if not self._shapes and self._found is not None:
                self._target.make(list(self._found.types.items()))  # refuses a first row without its key
            self._shapes.append(columns)
            if self._found is None:
                changes = self._without_defaults(columns)
        for change in changes:
            self._rows.run(f"ALTER TABLE {self._quoted} {change}")

    def _without_defaults(self, columns: tuple[str, ...]) -> list[str]:
        """Lets columns be empty here that get a default where the rows go to."""
        names = [name for name in self._columns("AND attnotnull") if name not in (*columns, ROW)]
        return [f"ALTER COLUMN {self._target.place.quoted(name)} DROP NOT NULL" for name in names]

    def _columns(self, which: str = "") -> list[str]:
        """The columns that the table has in which the rows wait."""
        there = "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
        statement = f"{there} AND NOT attisdropped {which}"
        return [row[0] for row in self._rows.run(statement, self._quoted.replace("%%", "%"))]
