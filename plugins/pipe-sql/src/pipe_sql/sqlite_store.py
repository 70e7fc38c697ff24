"""Rows into a SQLite file: kept beside it until the commit, which moves them in one transaction.

So the file is locked for the moment of the commit only, and a source may read the same file meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipe_core import PipeError
from pipe_sql.catalog import Table
from pipe_sql.encoder import Group
from pipe_sql.failures import FAILURES
from pipe_sql.kinds import sqlite_type
from pipe_sql.place import open_sqlite
from pipe_sql.sqlite_dates import teach_dates
from pipe_sql.sqlite_parts import SqliteParts, keep_parts
from pipe_sql.waiting import dropped, gone, staged_name, supersede
from pipe_sql.writing import Counted, Target


class SqliteStore:
    """Rows on their way into a table.

    Args:
        target: The table.
        mode: What to do with rows that are in it.
        table: What it has, where there is one already.
    """

    def __init__(self, target: Target, mode: str, table: Table | None) -> None:
        self._target = target
        self._path = target.place.path or ""
        self._mode = mode
        self._made = table is None
        self._staged = target.place.quoted(target.table, "main")
        self._kinds: dict[str, frozenset[str]] = {}
        self._shape: tuple[str, ...] | None = None
        self._in_file: frozenset[str] = frozenset()
        self._first = True
        self._count = 0
        self._waiting = 0
        self._name = staged_name(target, mode)
        self._parts: list[tuple[str, ...]] = []
        # A database without a name is a temporary file, gone with the connection, even if that is killed.
        self._staging = sqlite3.connect("", timeout=target.place.timeout, isolation_level=None, check_same_thread=False)
        try:
            teach_dates(self._staging)
            self._staging.execute("PRAGMA main.journal_mode = OFF")
            if table is not None:
                self._mirror()
            self._staging.execute("BEGIN")
        except BaseException:
            self._staging.close()
            raise

    def write(self, group: Group) -> None:
        """Take the rows. What breaks a rule of the table shows here, unless it is about rows that were there before."""
        columns, kinds, rows = group
        with self._errors():
            self._fit(columns, kinds)
        counted = Counted(rows)
        try:
            self._staging.executemany(self._target.insert(columns, into=self._staged), counted)
        except FAILURES as error:
            reason = self._target.place.understood(error)
            raise self._target.refused(reason, f"row {self._count + counted.taken:,} of those") from None
        self._count += len(rows)
        self._waiting += len(rows)

    def checkpoint(self, final: bool) -> dict[str, Any]:
        """Let the rows wait in a table of the file. What `StagedRows`, or `go_on` of another one, must know of them."""
        if self._waiting or (final and not self._parts):
            self._put_part()
        return {
            "staged": self._name,
            "parts": [list(columns) for columns in self._parts],
            "types": self._types() if self._made else None,
            "kinds": {name: sorted(found) for name, found in self._kinds.items()},
            "count": self._count,
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on behind the rows that another process let wait. Those that came behind *state* are removed."""
        rows = SqliteParts.of(self._target, state)
        if self._made and state["types"] is None:
            raise dropped(self._target)
        if not rows.parts and self._made and not os.path.exists(self._path):
            return  # no row had come yet, and so there is no file
        with self._errors(), contextlib.closing(open_sqlite(self._path, self._target.place.timeout)) as connection:

            def execute(statement: str, *parameters: Any) -> list[Any]:
                return connection.execute(statement, parameters).fetchall()

            rows.begin(execute, rows.name)
            rows.cut(execute)
            if not rows.are_there(execute):
                raise gone(self._target)
            connection.execute("COMMIT")
        self._name, self._parts, self._count = rows.name, list(rows.parts), int(state["count"])
        kinds = {str(name): frozenset(found) for name, found in state["kinds"].items()}
        if kinds and self._made:
            self._staging.execute(self._target.make([(name, "") for name in kinds], into=self._staged))
        self._kinds, self._shape = kinds, tuple(kinds) or None

    def commit(self) -> None:
        """Move the rows into the table, in one transaction."""
        some = self._waiting or self._parts
        if not some and not (self._first and self._mode == "overwrite" and not self._made):
            return
        self._staging.execute("COMMIT")
        with self._errors(), self._attached():
            self._move()
            self._first = False
        self._empty()
        self._parts, self._name = [], staged_name(self._target, self._mode)

    def abort(self, keep: bool) -> str | None:
        """Forget the rows. With *keep* they are in a SQLite file ``<path>.partial``."""
        if self._parts:
            return self._abort_parts(keep)
        if not keep or not self._waiting:
            return None
        partial = f"{self._path}.partial"
        with self._errors():
            if self._staging.in_transaction:
                self._staging.execute("COMMIT")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            self._staging.execute("VACUUM INTO ?", (partial,))
        self._waiting = 0
        return partial

    def _abort_parts(self, keep: bool) -> str | None:
        if keep and self._waiting:
            self._put_part()
        with self._errors():
            place = keep_parts(self._rows) if keep else None
        if self._staging.in_transaction:
            self._staging.execute("ROLLBACK")
        with self._errors(), self._attached():
            self._rows.drop_own(self._executed, "target")
        self._parts = []
        return place

    def close(self) -> None:
        """Close the temporary database."""
        self._staging.close()

    # --- staging ---

    def _mirror(self) -> None:
        """Make a table with the same rules, so that what breaks them shows at once and not at the end."""
        with contextlib.closing(open_sqlite(self._path, self._target.place.timeout)) as connection:
            statements = connection.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL "
                "AND type IN ('table', 'index') ORDER BY type DESC",
                (self._target.table,),
            ).fetchall()
        if not statements:
            raise self._target.error("it is a view. Name a table")
        for (statement,) in statements:
            self._staging.execute(statement)

    def _fit(self, columns: tuple[str, ...], kinds: Sequence[frozenset[str]]) -> None:
        if self._target.options.on_conflict == "update" and self._shape not in (None, columns):
            raise self._target.error("with on_conflict='update' all records must have the same fields")
        self._shape = columns
        for name, found in zip(columns, kinds, strict=True):
            if self._made and name not in self._kinds:
                self._add(name, columns)
            self._kinds[name] = self._kinds.get(name, frozenset()) | found

    def _add(self, name: str, columns: tuple[str, ...]) -> None:
        if not self._kinds:
            self._staging.execute(self._target.make([(one, "") for one in columns], into=self._staged))
            self._kinds = dict.fromkeys(columns, frozenset())
        elif name not in self._kinds:
            self._staging.execute(f"ALTER TABLE {self._staged} ADD COLUMN {self._target.place.quoted(name)}")

    def _rest(self) -> tuple[tuple[str, ...], str]:
        """The columns of the rows behind the last part, and the statement that gives these rows."""
        names = tuple(self._kinds)
        return names, f"SELECT {self._target.columns(names)} FROM {self._staged} NOT INDEXED WHERE true"

    def _empty(self) -> None:
        with self._errors():
            if self._kinds:
                self._staging.execute(f"DELETE FROM {self._staged}")
            self._staging.execute("BEGIN")
        self._waiting = 0

    # --- parts ---

    @property
    def _rows(self) -> SqliteParts:
        return SqliteParts(self._target, self._name, self._parts)

    def _put_part(self) -> None:
        """Bring the rows to a table of the file, where they wait."""
        there = self._target.place.quoted(f"{self._name}_{len(self._parts)}", "target")
        if self._staging.in_transaction:
            self._staging.execute("COMMIT")
        with self._errors(), self._attached():
            self._check_parts()
            names, rows = self._rest()
            # Columns without types change nothing on the way.
            self._staging.execute(f"CREATE TABLE {there} ({self._target.columns(names) or 'empty'})")
            if names:
                self._staging.execute(f"INSERT INTO {there} {rows}")
        self._parts.append(tuple(self._kinds))
        self._empty()

    def _check_parts(self) -> None:
        """Raises `SinkError` where not all that waits is there, or more than that."""
        if not self._rows.are_there(self._executed, "target"):
            raise gone(self._target)

    # --- moving ---

    @contextlib.contextmanager
    def _attached(self) -> Iterator[None]:
        existed = os.path.exists(self._path)
        self._staging.execute("ATTACH DATABASE ? AS target", (self._path,))
        done = False
        try:
            self._staging.execute("BEGIN IMMEDIATE")
            yield
            self._staging.execute("COMMIT")
            done = True
        finally:
            if self._staging.in_transaction:
                self._staging.execute("ROLLBACK")
            self._staging.execute("DETACH DATABASE target")
            if not done and not existed:
                os.unlink(self._path)

    def _move(self) -> None:
        there = self._target.place.quoted(self._target.table, "target")
        if self._made:
            self._make(there)
        elif self._first and self._mode == "overwrite":
            self._staging.execute(self._target.clear(there))
        elif (
            self._first and self._mode == "error" and self._staging.execute(f"SELECT 1 FROM {there} LIMIT 1").fetchone()
        ):
            raise self._target.exists()
        if self._kinds:
            self._insert(there)
        supersede(self._executed, self._target, self._mode, "target")

    def _insert(self, there: str) -> None:
        if self._parts:
            self._check_parts()
        try:
            for columns, rows in [*self._rows.moves(self._executed, "target"), self._rest()]:
                self._staging.execute(self._target.insert(columns, into=there, rows=rows))
        except sqlite3.IntegrityError as error:
            first = 1 if self._parts else self._count - self._waiting + 1
            which = f"one of the rows {first:,} to {self._count:,}"
            raise self._target.refused(self._target.place.understood(error), which) from None
        if self._parts:
            self._rows.drop(self._executed, "target")

    def _executed(self, statement: str, *parameters: Any) -> list[Any]:
        return self._staging.execute(statement, parameters).fetchall()

    def _make(self, there: str) -> None:
        """Make the table, or add the columns that it has not had yet.

        The types are those that all rows have. Where more rows may follow they are not known, and there are none.
        """
        if not self._in_file:
            self._staging.execute(self._target.make(self._types(), into=there))
        else:
            for name in self._kinds.keys() - self._in_file:
                self._staging.execute(f"ALTER TABLE {there} ADD COLUMN {self._target.place.quoted(name)}")
        self._in_file = frozenset(self._kinds)

    def _types(self) -> list[tuple[str, str]]:
        """The columns of a table that is made, with their types."""
        open_end = self._mode == "append"
        return [(name, "" if open_end else sqlite_type(kinds)) for name, kinds in self._kinds.items()]

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except PipeError:
            raise
        except FAILURES as error:
            raise self._target.error(self._target.place.understood(error).reason) from None
        except OSError as error:
            raise self._target.error(error.strerror or str(error)) from error
