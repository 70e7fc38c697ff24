"""Rows into PostgreSQL: one transaction from the first row to the commit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from pipe_core import SinkError
from pipe_sql.catalog import Table
from pipe_sql.encoder import Group
from pipe_sql.failures import FAILURES
from pipe_sql.kinds import postgres_keeps, postgres_type
from pipe_sql.writing import Target


class PostgresStore:
    """Rows on their way into a table.

    Args:
        connection: A connection to its database, which the store closes.
        target: The table.
        mode: What to do with rows that are in it.
        table: What it has, where there is one already.
    """

    def __init__(self, connection: Connection, target: Target, mode: str, table: Table | None) -> None:
        self._connection = connection
        self._target = target
        self._made = table is None
        self._types: dict[str, str] = {}
        self._seen: dict[str, frozenset[str]] = {}
        self._count = 0
        with self._errors():
            milliseconds = str(round(1000 * target.place.timeout))
            self._run("SELECT set_config('lock_timeout', %s, false)", (milliseconds,))
            connection.commit()
            if table is not None and mode != "append":
                self._claim(mode)

    def _claim(self, mode: str) -> None:
        """Keep others from writing until the commit. Who reads sees the old rows until then."""
        self._run(f"LOCK TABLE {self._target.quoted} IN SHARE ROW EXCLUSIVE MODE")
        if mode == "overwrite":
            self._run(*self._target.clear(self._target.quoted))
        elif self._run(f"SELECT 1 FROM {self._target.quoted} LIMIT 1"):
            raise self._target.exists()

    def write(self, group: Group) -> None:
        """Send the rows. What breaks a rule of the table shows here, unless the rule is deferred."""
        columns, kinds, rows = group
        if self._made:
            with self._errors():
                self._fit(columns, kinds, rows)
        statement = self._target.insert(columns)
        try:
            with self._connection.begin_nested():
                self._connection.exec_driver_sql(statement, rows)
        except FAILURES as error:
            raise self._culprit(statement, rows, error) from None
        self._count += len(rows)

    def commit(self) -> None:
        """Commit."""
        try:
            self._connection.commit()
        except FAILURES as error:
            reason = self._target.place.understood(error)
            if reason.constraint:
                raise self._target.refused(reason, "a row of those") from None
            raise self._target.error(
                f"{reason.reason}. The commit was not acknowledged: look into the table before you run again"
            ) from None

    def abort(self, keep: bool) -> None:
        """Roll back. Nothing can be kept: the rows were in the transaction only."""
        with self._errors():
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection, which rolls back what was not committed."""
        with contextlib.suppress(*FAILURES):  # it may be broken, and nothing is lost with it
            self._connection.close()

    def _run(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        result = self._connection.exec_driver_sql(statement, parameters)
        return list(result.fetchall()) if result.returns_rows else []

    def _culprit(self, statement: str, rows: list[tuple[Any, ...]], error: Exception) -> SinkError:
        """Which row it was: many are sent at once, and the server does not say."""
        for number, row in enumerate(rows, self._count + 1):
            try:
                with self._connection.begin_nested():
                    self._connection.exec_driver_sql(statement, row)
            except FAILURES as again:
                reason = self._target.place.understood(again)
                if self._connection.closed or self._connection.invalidated:
                    break
                return self._target.refused(reason, f"row {number:,} of those")
        return self._target.error(self._target.place.understood(error).reason)

    # --- a table that is made for the records ---

    def _fit(self, columns: tuple[str, ...], kinds: Sequence[frozenset[str]], rows: list[tuple[Any, ...]]) -> None:
        wanted = {name: self._type(name, found) for name, found in zip(columns, kinds, strict=True)}
        if not self._types:
            self._run(self._target.make(list(wanted.items())))
            self._types = wanted
            return
        for name, declared in wanted.items():
            if self._types.get(name) == declared:
                continue
            verb = "ADD COLUMN" if name not in self._types else "ALTER COLUMN"
            how = declared if name not in self._types else f"TYPE {declared} USING NULL"
            self._run(f"ALTER TABLE {self._target.quoted} {verb} {self._target.place.quoted(name)} {how}")
            self._types[name] = declared

    def _type(self, name: str, found: frozenset[str]) -> str:
        """The type that a column has or gets. One with only NULLs until now gets that of the first value."""
        before = self._seen.get(name, frozenset())
        self._seen[name] = before | found
        if before:
            declared = self._types[name]
            if not postgres_keeps(declared, found):
                raise self._mixed(name, before | found)
            return declared
        chosen = postgres_type(found)
        if chosen is None:
            raise self._mixed(name, found)
        return chosen

    def _mixed(self, name: str, kinds: frozenset[str]) -> SinkError:
        return self._target.error(
            f"no type of column keeps all that is in '{name}' ({', '.join(sorted(kinds))}). Give a schema that makes "
            f"them alike, or make the table before the run"
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise self._target.error(self._target.place.understood(error).reason) from None
