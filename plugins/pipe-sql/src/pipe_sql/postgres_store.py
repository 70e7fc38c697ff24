"""Rows into PostgreSQL: one transaction from the first row to the commit."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from pipe_sql.catalog import Table
from pipe_sql.encoder import Group
from pipe_sql.failures import FAILURES
from pipe_sql.postgres_rows import FoundTypes, PostgresRows
from pipe_sql.waiting import supersede
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
        self._mode = mode
        self._rows = PostgresRows(connection, target)
        self._found = FoundTypes(target) if table is None else None
        with self._rows.errors():
            milliseconds = str(round(1000 * target.place.timeout))
            self._rows.run("SELECT set_config('lock_timeout', %s, false)", milliseconds)
            connection.commit()
            if table is not None and mode != "append":
                self._claim(mode)

    def _claim(self, mode: str) -> None:
        """Keep others from writing until the commit. Who reads sees the old rows until then."""
        self._rows.run(f"LOCK TABLE {self._target.quoted} IN SHARE ROW EXCLUSIVE MODE")
        if mode == "overwrite":
            self._rows.run(self._target.clear(self._target.quoted))
        elif self._rows.run(f"SELECT 1 FROM {self._target.quoted} LIMIT 1"):
            raise self._target.exists()

    def write(self, group: Group) -> None:
        """Send the rows. What breaks a rule of the table shows here, unless the rule is deferred."""
        columns, kinds, rows = group
        if self._found is not None:
            with self._rows.errors():
                self._fit(self._found, columns, kinds)
        self._rows.insert(self._target.insert(columns), rows)

    def commit(self) -> None:
        """Commit."""
        with self._rows.errors():
            supersede(self._rows.run, self._target, self._mode)
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
        with self._rows.errors():
            self._connection.rollback()

    def close(self) -> None:
        """Close the connection, which rolls back what was not committed."""
        self._rows.close()

    def _fit(self, found: FoundTypes, columns: tuple[str, ...], kinds: Sequence[frozenset[str]]) -> None:
        """Make the table, or let it have the columns and types that these rows need."""
        is_new = not found.types
        changes = found.changes(columns, kinds)
        if is_new:
            self._rows.run(self._target.make(list(found.types.items())))
            return
        for change in changes:
            self._rows.run(f"ALTER TABLE {self._target.quoted} {change}")
