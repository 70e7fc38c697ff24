"""Rows that wait in tables of a SQLite file: one for what came between two checkpoints."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipe_core import SinkError
from pipe_sql.place import open_sqlite
from pipe_sql.waiting import Execute, name_in, tables_of, taken_over
from pipe_sql.writing import Target


@dataclass(frozen=True, slots=True)
class SqliteParts:
    """The tables in which the rows of one run wait.

    Attributes:
        target: Where they are going.
        name: What the tables' names begin with.
        parts: The columns of each.
    """

    target: Target
    name: str
    parts: Sequence[tuple[str, ...]]

    @classmethod
    def of(cls, target: Target, state: Mapping[str, Any]) -> SqliteParts:
        """Those that *state* tells of. Raises KeyError or TypeError where it is damaged."""
        return cls(target, name_in(target, state), [tuple(columns) for columns in state["parts"]])

    def begin(self, execute: Execute, name: str) -> None:
        """Begin a transaction that keeps others from writing."""
        execute("BEGIN IMMEDIATE")

    def are_there(self, execute: Execute, schema: str = "main") -> bool:
        """Whether all of them are. Raises `SinkError` where there are more: somebody else has gone on."""
        there = set(tables_of(execute, self.target, f"{self.name}_", schema))
        if f"{self.name}_{len(self.parts)}" in there:
            raise taken_over(self.target)
        return all(f"{self.name}_{i}" in there for i in range(len(self.parts)))

    def drop_own(self, execute: Execute, schema: str = "main") -> None:
        """Remove them, unless somebody else has gone on with them."""
        with contextlib.suppress(SinkError):
            self.are_there(execute, schema)
            self.drop(execute, schema)

    def moves(self, execute: Execute, schema: str = "main") -> Iterator[tuple[Sequence[str], str]]:
        """The columns of each that has rows, and the statement that gives these."""
        for i, columns in enumerate(self.parts):
            if columns:
                table = self.target.place.quoted(f"{self.name}_{i}", schema)
                yield columns, f"SELECT {self.target.columns(columns)} FROM {table} WHERE true"

    def cut(self, execute: Execute) -> None:
        """Remove those that came behind them."""
        for name in tables_of(execute, self.target, f"{self.name}_"):
            number = name.removeprefix(f"{self.name}_")
            if number.isdecimal() and int(number) >= len(self.parts):
                execute(f"DROP TABLE {self.target.place.quoted(name)}")

    def drop(self, execute: Execute, schema: str = "main") -> None:
        """Remove them."""
        for name in tables_of(execute, self.target, f"{self.name}_", schema):
            execute(f"DROP TABLE {self.target.place.quoted(name, schema)}")


def keep_parts(rows: SqliteParts) -> str:
    """Copy the rows into a table of a SQLite file ``<path>.partial``, in the place of an earlier one. That place."""
    target = rows.target
    partial = f"{target.place.path}.partial"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    names = dict.fromkeys(name for columns in rows.parts for name in columns)
    with contextlib.closing(open_sqlite(target.place.path or "", target.place.timeout)) as connection:
        connection.execute("ATTACH DATABASE ? AS partial", (partial,))
        there = target.place.quoted(target.table, "partial")
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE {there} ({target.columns(tuple(names)) or 'empty'})")
        for columns, selected in rows.moves(lambda *_: ()):
            connection.execute(f"INSERT INTO {there} ({target.columns(columns)}) {selected}")
        connection.execute("COMMIT")
    return partial
