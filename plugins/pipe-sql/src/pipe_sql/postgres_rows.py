"""What is sent to PostgreSQL, and the types of a table that is made for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from pipe_core import PipeError, SinkError
from pipe_sql.failures import FAILURES
from pipe_sql.kinds import postgres_keeps, postgres_type
from pipe_sql.writing import Target


class PostgresRows:
    """Sends statements and rows over a connection.

    Args:
        connection: The connection.
        target: The table that the rows are for.
    """

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._target = target
        self.count = 0

    def run(self, statement: str, *parameters: Any) -> list[Any]:
        """Run a statement. Its rows."""
        result = self._connection.exec_driver_sql(statement, parameters)
        return list(result.fetchall()) if result.returns_rows else []

    def insert(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows. Raises `SinkError` that says which one is refused."""
        try:
            with self._connection.begin_nested():
                self._connection.exec_driver_sql(statement, rows)
        except FAILURES as error:
            raise self._culprit(statement, rows, error) from None
        self.count += len(rows)

    def close(self) -> None:
        """Close the connection, which rolls back what was not committed."""
        with contextlib.suppress(*FAILURES):  # it may be broken, and nothing is lost with it
            self._connection.close()

    def _culprit(self, statement: str, rows: list[tuple[Any, ...]], error: Exception) -> SinkError:
        """Which row it was: many are sent at once, and the server does not say."""
        for number, row in enumerate(rows, self.count + 1):
            try:
                with self._connection.begin_nested():
                    self._connection.exec_driver_sql(statement, row)
            except FAILURES as again:
                reason = self._target.place.understood(again)
                if self._connection.closed or self._connection.invalidated:
                    break
                return self._target.refused(reason, f"row {number:,} of those")
        return self._target.error(self._target.place.understood(error).reason)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever the database raises becomes a `SinkError`."""
        try:
            yield
        except PipeError:
            raise
        except FAILURES as error:
            raise self._target.error(self._target.place.understood(error).reason) from None


class FoundTypes:
    """The types of the columns of a table that is made, which are found out as rows come.

    Args:
        target: The table.
        types: Those that are known, as they are declared.
        seen: The kinds of values that were in each column.
    """

    def __init__(
        self, target: Target, types: Mapping[str, str] | None = None, seen: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._target = target
        self.types = dict(types or {})
        self.seen = {name: frozenset(kinds) for name, kinds in (seen or {}).items()}

    def changes(self, columns: tuple[str, ...], kinds: Sequence[frozenset[str]]) -> list[str]:
        """What is to be altered for rows with such values, as it stands behind ``ALTER TABLE``, in order.

        Raises:
            SinkError: No type of a column keeps all its values.
        """
        wanted = {name: self._type(name, found) for name, found in zip(columns, kinds, strict=True)}
        found: list[str] = []
        for name, declared in wanted.items():
            if self.types.get(name) == declared:
                continue
            quoted = self._target.place.quoted(name)
            if name in self.types:
                found.append(f"ALTER COLUMN {quoted} TYPE {declared} USING NULL")
            else:
                found.append(f"ADD COLUMN {quoted} {declared}")
            self.types[name] = declared
        return found

    def _type(self, name: str, found: frozenset[str]) -> str:
        """The type that a column has or gets. One with only NULLs until now gets that of the first value."""
        before = self.seen.get(name, frozenset())
        self.seen[name] = before | found
        if before:
            declared = self.types[name]
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
