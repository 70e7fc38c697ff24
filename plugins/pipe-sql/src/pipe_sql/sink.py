"""Tables as sinks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

from sqlalchemy import Connection

from pipe_core import OptionsError, PipeError, SinkError
from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.index import suggestion
from pipe_sql import catalog
from pipe_sql.between import Between
from pipe_sql.catalog import Table
from pipe_sql.encoder import Group, SqlEncoder
from pipe_sql.failures import FAILURES, DatabaseError
from pipe_sql.options import SqlOptions
from pipe_sql.place import Place
from pipe_sql.postgres_staging import PostgresStaging
from pipe_sql.postgres_store import PostgresStore
from pipe_sql.sqlite_store import SqliteStore
from pipe_sql.staged_rows import StagedRows
from pipe_sql.waiting import damaged
from pipe_sql.writing import Store, Target


class SqlSink:
    """Rows into a table, all of them at the commit.

    A table that does not exist is made with the first record. One that exists stays as it is: ``overwrite`` replaces
    its rows, not its columns.

    Args:
        place: The database.
        options: Which table, and how.
    """

    def __init__(self, place: Place, options: SqlOptions) -> None:
        self._place = place
        self._options = options
        self._table: Table | None = None
        self._store: Store | None = None
        self._between: Between | None = None
        self._mode: Mode = "error"
        self._kept = False
        self._expects = False
        self._key: tuple[str, ...] = ()
        if options.db_schema is not None and place.dialect == "sqlite":
            raise OptionsError("SQLite has no schemas: leave out 'db_schema'.", problems={"db_schema": "no schemas"})

    @property
    def name(self) -> str:
        """The URL without its password, and the table."""
        parts = (self._options.db_schema, self._options.table)
        return f"{self._place.name}?table={'.'.join(part for part in parts if part is not None)}"

    @property
    def delivery(self) -> Literal["exactly-once"]:
        """Exactly once: rows are committed together or not at all."""
        return "exactly-once"

    def exists(self) -> bool:
        """Whether the table has rows."""
        if self._is_new_file():
            return False
        try:
            with closing(self._place.connect()) as connection:
                table = catalog.describe(connection, self._place, self._target.table, self._target.schema)
                return table is not None and self._has_rows(connection)
        except FAILURES as error:
            raise self._target.error(self._place.understood(error).reason) from None
        except DatabaseError as error:
            raise self._target.error(error.reason) from None

    def encoder(self) -> SqlEncoder:
        """What workers need to make rows."""
        columns = None if self._table is None else dict(self._table.columns)
        return SqlEncoder(self._place.dialect, self._options.nan, columns)

    def replace_between(self, column: str, start: str, upper: str) -> None:
        """Before `open`: ``overwrite`` replaces only the rows of some dates, in the transaction that writes the others.

        Args:
            column: The column with the dates.
            start: The first date or time, as ISO 8601.
            upper: That before which they are.

        Raises:
            OptionsError: These are no dates.
        """
        self._between = Between.of(column, start, upper)

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Check the table, and begin.

        Raises:
            TargetExistsError: There are rows, and *mode* is ``error`` or ``ignore``.
            SinkError: The database does not answer or refuses, or the table lacks a column.
        """
        self._began(mode, fields, None)

    def _began(self, mode: Mode, fields: Sequence[str] | None, state: Mapping[str, Any] | None) -> None:
        self._mode = mode
        try:
            if self._is_new_file():
                self._check_folder()
                self._check_key(None)
                self._store = self._sqlite_store(mode, state)
                return
            connection = self._place.connect()
            try:
                self._open_with(connection, mode, fields, state)
            except BaseException:
                connection.close()
                raise
        except FAILURES as error:
            raise self._target.error(self._place.understood(error).reason) from None
        except DatabaseError as error:
            raise self._target.error(error.reason) from None

    @property
    def resumable(self) -> bool:
        """Whether `checkpoint` works here: for PostgreSQL it must have been expected before `open`."""
        return not isinstance(self._store, PostgresStore)

    def expect_checkpoints(self) -> None:
        """Before `open`: there will be checkpoints.

        PostgreSQL's rows go to a table of their own then, where they wait for the commit. Where nobody may make one
        they go where they belong, and there are none.
        """
        self._expects = True

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Let the rows wait in a table of the database. The state with which `resume` goes on, in any process.

        Raises:
            SinkError: They have gone to their own table of PostgreSQL already, or the database cannot take them.
        """
        state = self._checkpoint(self._opened, final)
        target = self._target
        told = {**state, "key": list(target.key), "final": final}
        told["between"] = None if target.between is None else target.between.plain
        if final:
            self._opened.close()
            self._store = StagedRows(target, self._mode, told, fresh=True)
        self._kept = True
        return told

    def _checkpoint(self, store: Store, final: bool) -> dict[str, Any]:
        if isinstance(store, SqliteStore):
            return store.checkpoint(final)
        if isinstance(store, PostgresStaging):
            return store.checkpoint()
        if isinstance(store, StagedRows):
            raise self._target.error("its rows have been brought to their end")
        raise SinkError(
            f"{self.name} has no checkpoints: its rows went to the table at once, in a transaction that ends with this "
            f"process. Call expect_checkpoints before open, and make sure that tables may be made there.",
            sink=self.name,
        )

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Go on at *state*, which `checkpoint` gave. What was written behind it is removed.

        Raises:
            TargetExistsError: For ``error`` and ``ignore``: rows came to the table meanwhile.
            SinkError: What was written is gone, or *state* is none of this table.
        """
        try:
            self._mode = mode
            self._between = Between.known(state["between"])
            self._key, final = tuple(state["key"]), state["final"]
            if final:
                self._store = StagedRows(self._target, mode, state)
            else:
                self._began(mode, fields, state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, PipeError):
                raise
            raise damaged(self._target) from None
        self._kept = True

    def write(self, payload: Sequence[Group], count: int) -> None:
        """Take the next rows."""
        store = self._opened
        for group in payload:
            store.write(group)

    def commit(self) -> None:
        """Make the rows visible, all at once."""
        self._opened.commit()
        self._kept = False

    def abort(self, keep: bool = False) -> str | None:
        """Leave the table as it was at the last commit. With *keep*, SQLite's rows are kept in ``<path>.partial``."""
        store, self._store = self._store, None
        self._kept = False
        if store is None:
            return None
        try:
            return store.abort(keep)
        finally:
            store.close()

    def close(self) -> None:
        """Close the connection. What was neither checkpointed nor committed is aborted."""
        if not self._kept:
            self.abort()
            return
        store, self._store = self._store, None
        if store is not None:
            store.close()

    # --- opening ---

    @property
    def _target(self) -> Target:
        options = self._options
        key = self._key or options.key or ()
        if not key and options.on_conflict != "error" and self._table is not None and self._table.keys:
            key = self._table.keys[0]
        return Target(self._place, self.name, options.table or "", options.db_schema, key, options, self._between)

    @property
    def _opened(self) -> Store:
        if self._store is None:
            raise SinkError(f"{self.name} is not open for writing.", sink=self.name)
        return self._store

    def _sqlite_store(self, mode: Mode, state: Mapping[str, Any] | None) -> SqliteStore:
        store = SqliteStore(self._target, mode, self._table)
        if state is not None:
            try:
                store.go_on(state)
            except BaseException:
                store.close()
                raise
        return store

    def _postgres_store(self, connection: Connection, mode: Mode, state: Mapping[str, Any] | None) -> Store:
        if state is None and not (self._expects and self._may_make(connection)):
            return PostgresStore(connection, self._target, mode, self._table)
        return PostgresStaging(connection, self._target, mode, self._table, state)

    def _may_make(self, connection: Connection) -> bool:
        """Whether tables may be made where the rows go to, and made like theirs."""
        statement = "SELECT has_schema_privilege(coalesce(%s, current_schema()), 'CREATE')"
        parameters = [self._target.schema]
        if self._table is not None:
            statement += " AND has_table_privilege(to_regclass(%s), 'SELECT')"
            parameters.append(self._target.quoted.replace("%%", "%"))
        return bool(catalog.rows(connection, statement, *parameters)[0][0])

    def _open_with(
        self, connection: Connection, mode: Mode, fields: Sequence[str] | None, state: Mapping[str, Any] | None
    ) -> None:
        self._table = catalog.describe(connection, self._place, self._options.table or "", self._options.db_schema)
        self._check_key(self._table)
        if self._table is not None:
            self._check_fields(self._table, fields)
            if self._between is not None:
                self._check_fields(self._table, [self._between.column])
                self._between = self._between.as_kept(self._table.columns[self._between.column].kind)
            if mode in ("error", "ignore") and self._has_rows(connection):
                raise self._target.exists()
        connection.rollback()
        if self._place.dialect == "postgresql":
            self._store = self._postgres_store(connection, mode, state)
            return
        self._check_writable(connection)
        connection.close()
        self._store = self._sqlite_store(mode, state)

    def _check_fields(self, table: Table, fields: Sequence[str] | None) -> None:
        for field in fields or ():
            if field not in table.columns:
                raise SinkError(
                    f"The table '{self._options.table}' in {self._place.name} has no column '{field}'."
                    f"{suggestion(field, table.columns)} Its columns: {', '.join(table.columns)}.",
                    sink=self.name,
                )

    def _check_key(self, table: Table | None) -> None:
        """The key must be one: without it, nobody can tell what a conflict is."""
        key = self._target.key
        if self._options.on_conflict != "error" and not key:
            raise self._target.error(
                f"on_conflict='{self._options.on_conflict}' needs a key. Name its columns as 'key'"
            )
        if table is None or not key or any(set(known) == set(key) for known in table.keys):
            return
        known = " or ".join(f"({', '.join(names)})" for names in table.keys)
        raise self._target.error(
            f"no primary key or unique index of the table is ({', '.join(key)})"
            + (f". There is {known}" if known else ", nor is there any")
        )

    def _has_rows(self, connection: Connection) -> bool:
        return bool(catalog.rows(connection, f"SELECT 1 FROM {self._target.quoted} LIMIT 1"))

    # --- files ---

    def _is_new_file(self) -> bool:
        return self._place.path is not None and not os.path.exists(self._place.path)

    def _check_folder(self) -> None:
        folder = os.path.dirname(self._place.path or "")
        if not os.path.isdir(folder):
            raise DatabaseError("its folder does not exist: make it first")
        if not os.access(folder, os.W_OK):
            raise DatabaseError("write access to its folder is missing")

    def _check_writable(self, connection: Connection) -> None:
        if not os.access(self._place.path or "", os.W_OK):
            raise DatabaseError("write access to the file is missing")
