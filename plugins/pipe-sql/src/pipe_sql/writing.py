"""What both stores share: statements, and the errors of rows that are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipe_core import SinkError, TargetExistsError
from pipe_sql.between import Between
from pipe_sql.encoder import Group
from pipe_sql.failures import DatabaseError
from pipe_sql.options import SqlOptions
from pipe_sql.place import Place


class Store(Protocol):
    """How rows get into one kind of database so that they appear at once."""

    def write(self, group: Group) -> None:
        """Take the rows. Raises `SinkError` where one is refused."""

    def commit(self) -> None:
        """Make durable and visible what was written."""

    def abort(self, keep: bool) -> str | None:
        """Forget what was not committed; with *keep*, leave it somewhere if that is possible, and say where."""

    def close(self) -> None:
        """Give back the connection."""


@dataclass(frozen=True, slots=True)
class Target:
    """The table that is written.

    Attributes:
        place: The database.
        name: What reports call the sink.
        table: The name of the table.
        schema: The schema that it is in.
        key: What `on_conflict` looks at, and the primary key of a table that is made.
        options: How to write.
        between: The dates of the rows that are replaced by ``overwrite``; None for all.
    """

    place: Place
    name: str
    table: str
    schema: str | None
    key: tuple[str, ...]
    options: SqlOptions
    between: Between | None = None

    @property
    def quoted(self) -> str:
        """The table as it stands in a statement."""
        return self.place.quoted(self.table, self.schema)

    def columns(self, names: Sequence[str]) -> str:
        """Columns as they stand in a statement."""
        return ", ".join(map(self.place.quoted, names))

    def insert(self, names: Sequence[str], *, into: str | None = None, rows: str | None = None) -> str:
        """The statement that adds *rows*, or one row of parameters."""
        values = rows or f"VALUES ({', '.join(self.place.mark for _ in names)})"
        return f"INSERT INTO {into or self.quoted} ({self.columns(names)}) {values}{self._conflict(names)}"

    def clear(self, table: str) -> str:
        """The statement that removes the rows that are replaced from *table*."""
        where = "" if self.between is None else f" WHERE {self.between.condition(self.place)}"
        return f"DELETE FROM {table}{where}"

    def _conflict(self, names: Sequence[str]) -> str:
        if self.options.on_conflict == "error":
            return ""
        others = [self.place.quoted(name) for name in names if name not in self.key]
        if self.options.on_conflict == "ignore" or not others:
            return f" ON CONFLICT ({self.columns(self.key)}) DO NOTHING"
        changes = ", ".join(f"{name} = excluded.{name}" for name in others)
        return f" ON CONFLICT ({self.columns(self.key)}) DO UPDATE SET {changes}"

    def make(self, types: Sequence[tuple[str, str]], *, into: str | None = None) -> str:
        """The statement that makes the table.

        Raises:
            SinkError: It has no column of the key.
        """
        missing = [name for name in self.key if name not in dict(types)]
        if missing:
            raise self.error(f"the first record has no '{missing[0]}', which is to be a part of the key")
        parts = [
            f"{self.place.quoted(name)} {declared}{' NOT NULL' if name in self.key else ''}".rstrip()
            for name, declared in types
        ]
        if self.key:
            parts.append(f"PRIMARY KEY ({self.columns(self.key)})")
        return f"CREATE TABLE {into or self.quoted} ({', '.join(parts)})"

    # --- errors ---

    def error(self, reason: str) -> SinkError:
        """The table cannot be written."""
        return SinkError(f"{self.name} cannot be written: {reason}.", sink=self.name)

    def exists(self) -> TargetExistsError:
        """There are rows, and nobody allowed to touch them."""
        return TargetExistsError(
            f"The table '{self.table}' in {self.place.name} has rows already. Use mode='overwrite' or mode='append', "
            f"or another table.",
            sink=self.name,
        )

    def refused(self, error: DatabaseError, which: str) -> SinkError:
        """A row was refused. *which* says what is known of where it is."""
        hint = ""
        if error.constraint:
            hint = " Validate for it in the schema, or give on_conflict='ignore' or 'update' where it is about a key."
        return SinkError(
            f"The table '{self.table}' in {self.place.name} refuses {which} written by this run: {error.reason}. "
            f"What this run wrote since its last commit is taken back.{hint}",
            sink=self.name,
        )


class Counted:
    """Rows that tell how many of them were taken."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.taken = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.taken += 1
            yield row
