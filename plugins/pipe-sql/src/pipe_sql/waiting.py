"""Tables in which rows wait to be committed, and the notes of those that were.

Both are in the database that the rows go to. The name of a table in which rows wait tells for which table they are, and
what they are to do there: to be added, to replace everything, or to replace some dates. When they are committed the
tables go, in the same transaction in which their name is noted. So it is known for good that they came, and they come
once.

What waits is removed when a later run has been faster: by who replaces everything; by anybody, where it would have
replaced everything itself; by who replaces the same dates. Rows that wait to be added hinder nobody, and stay. Of the
notes the latest of each table are kept: who goes on with an older state is told that its rows are gone, and no row
comes twice.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from pipe_core import SinkError
from pipe_sql.catalog import OWN
from pipe_sql.failures import FAILURES
from pipe_sql.writing import Target

NOTES: Final = f"{OWN}commits"
NOTES_KEPT: Final = 1000
_PREFIX: Final = f"{OWN}staged_"
_NAME: Final = re.compile(rf"{_PREFIX}[0-9a-f]{{12}}_(added|whole|d[0-9a-f]{{8}})_[0-9a-f]{{12}}")
_LOCK: Final = 0x7069706573716C  # who makes the table of notes
_MADE: Final = {
    "sqlite": "name TEXT PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP",
    "postgresql": "name TEXT PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()",
}
_ORDER: Final = {"sqlite": "rowid", "postgresql": "at"}

Execute = Callable[..., Sequence[Any]]
"""Runs a statement with its parameters, and gives the rows."""


def executing(connection: Connection) -> Execute:
    """Runs statements on *connection*."""

    def execute(statement: str, *parameters: Any) -> Sequence[Any]:
        result = connection.exec_driver_sql(statement, parameters)
        return result.fetchall() if result.returns_rows else ()

    return execute


# --- names ---


def staged_name(target: Target, mode: str) -> str:
    """A name, which nobody else has, for tables in which rows for *target* wait: the tables' own, or its beginning."""
    claim = "added" if mode == "append" else "whole"
    if mode == "overwrite" and target.between is not None:
        claim = f"d{hashlib.blake2b(repr(target.between.plain[:3]).encode(), digest_size=4).hexdigest()}"
    return f"{_prefix(target)}{claim}_{secrets.token_hex(6)}"


def name_in(target: Target, state: Mapping[str, Any]) -> str:
    """The name that *state* tells. Raises `SinkError` where it is none for *target*."""
    name = state["staged"]
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.startswith(_prefix(target)):
        raise damaged(target)
    return name


def damaged(target: Target) -> SinkError:
    """A state is none of ours."""
    return target.error("what was written down of the rows that wait is damaged, or of another table")


def gone(target: Target) -> SinkError:
    """Rows that waited are not there any more."""
    return target.error(
        "the rows that a run has staged for it are gone. Has a later run written there, or has somebody tidied up? "
        "They must be made again: start a new run"
    )


def dropped(target: Target) -> SinkError:
    """The table is not there any more that rows wait for."""
    return target.error("it is gone, which was there when the run began. Make it again")


def taken_over(target: Target) -> SinkError:
    """Another process goes on with a run."""
    return target.error("another process has gone on with this run, and writes its rows")


def _prefix(target: Target) -> str:
    table = target.table.lower() if target.place.dialect == "sqlite" else target.table
    return f"{_PREFIX}{hashlib.blake2b(table.encode(), digest_size=6).hexdigest()}_"


# --- tables ---


def is_there(execute: Execute, target: Target, name: str) -> bool:
    """Whether the database has a table of that name, where that of *target* is looked for."""
    if target.place.dialect == "sqlite":
        return bool(execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", name))
    quoted = target.place.quoted(name, target.schema).replace("%%", "%")  # a value here, not a part of the statement
    return execute("SELECT to_regclass(%s)", quoted)[0][0] is not None


def tables_of(execute: Execute, target: Target, name: str, schema: str = "main") -> list[str]:
    """The tables in which rows wait whose names begin with *name*. *schema* is what SQLite calls the file."""
    if target.place.dialect == "sqlite":
        statement = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND {_begins(target)}"
        return [row[0] for row in execute(statement, _beginning(target, name))]
    where = "pg_catalog.pg_table_is_visible(oid)" if target.schema is None else "relnamespace = %s::regnamespace"
    schemas = () if target.schema is None else (target.place.quoted(target.schema).replace("%%", "%"),)
    statement = f"SELECT relname AS name FROM pg_catalog.pg_class WHERE relkind = 'r' AND {where}"
    statement = f"SELECT name FROM ({statement}) AS tables WHERE {_begins(target)}"
    return [row[0] for row in execute(statement, *schemas, _beginning(target, name))]


def supersede(execute: Execute, target: Target, mode: str, schema: str = "main") -> None:
    """Remove what waits for the table of *target* and comes too late, now that rows are there by *mode*.

    Args:
        execute: Runs a statement in the transaction that commits these rows.
        target: The table.
        mode: What they did to it.
        schema: What SQLite calls the file.
    """
    new = _claim(staged_name(target, mode))
    for name in tables_of(execute, target, _prefix(target), schema):
        old = _claim(name)
        if "whole" in (new, old) or new == old != "added":
            _drop(execute, target, name, schema)


def _claim(name: str) -> str:
    found = _NAME.match(name)
    return found[1] if found else ""


def _drop(execute: Execute, target: Target, name: str, schema: str) -> None:
    if target.place.dialect == "sqlite":
        execute(f"DROP TABLE {target.place.quoted(name, schema)}")
        return
    quoted = target.place.quoted(name, target.schema)
    execute("SAVEPOINT pipe_drop")
    try:
        execute(f"LOCK TABLE {quoted} IN ACCESS EXCLUSIVE MODE NOWAIT")
        execute(f"DROP TABLE {quoted}")
    except FAILURES:  # somebody writes into it in this moment, or has it removed already
        execute("ROLLBACK TO SAVEPOINT pipe_drop")
    execute("RELEASE SAVEPOINT pipe_drop")


# --- notes ---


def was_committed(execute: Execute, target: Target, name: str) -> bool:
    """Whether it was noted that the rows of that name were committed."""
    if not is_there(execute, target, NOTES):
        return False
    return bool(execute(f"SELECT 1 FROM {_notes(target)} WHERE name = {target.place.mark}", name))


def note(execute: Execute, target: Target, name: str) -> None:
    """Note that the rows of that name are committed, with the transaction that this is in."""
    notes, mark, order = _notes(target), target.place.mark, _ORDER[target.place.dialect]
    if not is_there(execute, target, NOTES):
        if target.place.dialect == "postgresql":
            execute("SELECT pg_advisory_xact_lock(%s)", _LOCK)  # two that make a table at once fail
        execute(f"CREATE TABLE IF NOT EXISTS {notes} ({_MADE[target.place.dialect]})")
    execute(f"INSERT INTO {notes} (name) VALUES ({mark})", name)
    own, beginning = _begins(target), _beginning(target, _prefix(target))
    oldest = f"SELECT {order} FROM {notes} WHERE {own} ORDER BY {order} DESC LIMIT 1 OFFSET {NOTES_KEPT}"
    execute(f"DELETE FROM {notes} WHERE {own} AND {order} <= ({oldest})", beginning, beginning)


def _notes(target: Target) -> str:
    return target.place.quoted(NOTES, target.schema)


def _begins(target: Target) -> str:
    return "name GLOB ?" if target.place.dialect == "sqlite" else "starts_with(name, %s)"


def _beginning(target: Target, name: str) -> str:
    return f"{name}*" if target.place.dialect == "sqlite" else name
