"""What a database says of its tables: columns, keys, names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from pipe_core.kernel.index import suggestion
from pipe_sql.place import Place

ColumnKind = Literal[
    "int", "numeric", "float", "datetime", "datetimetz", "time", "timetz", "date", "array", "bool", "json", "other"
]

_POSTGRES: Final[Mapping[str, ColumnKind]] = {
    "smallint": "int",
    "integer": "int",
    "bigint": "int",
    "numeric": "numeric",
    "real": "float",
    "double precision": "float",
    "timestamp without time zone": "datetime",
    "timestamp with time zone": "datetimetz",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "date": "date",
    "boolean": "bool",
    "json": "json",
    "jsonb": "json",
}
_BITS: Final = {"smallint": 16, "integer": 32, "bigint": 64}
OWN: Final = "_pipe_"
"""What the names of tables begin with that people need not know of."""
_ROWIDS: Final = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class Column:
    """What matters of a column. Plain data, because it travels.

    Attributes:
        kind: What values it holds.
        bits: Of an integer.
        scale: Digits behind the point that a number keeps; None for all.
        nullable: Whether it may be NULL.
    """

    kind: ColumnKind = "other"
    bits: int = 64
    scale: int | None = None
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of a table or view.

    Attributes:
        columns: By name, in order.
        keys: Sets of columns that no two rows have alike, the primary key first.
        rowid: A name of SQLite's own number of every row, where there is one.
    """

    columns: Mapping[str, Column]
    keys: Sequence[tuple[str, ...]]
    rowid: str | None = None


def describe(connection: Connection, place: Place, name: str, schema: str | None) -> Table | None:
    """What the table called *name* has; None where there is none."""
    if place.dialect == "sqlite":
        return _sqlite(connection, name)
    return _postgres(connection, place, name, schema)


def nearest(connection: Connection, place: Place, name: str) -> str:
    """`` Did you mean 'orders'?`` for the nearest table, else the tables that there are."""
    if place.dialect == "sqlite":
        statement = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'"
    else:
        statement = (
            "SELECT relname FROM pg_catalog.pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f') "
            "AND pg_catalog.pg_table_is_visible(oid) AND relnamespace <> 'pg_catalog'::regnamespace"
        )
    names = sorted(row[0] for row in rows(connection, statement) if not row[0].startswith(OWN))
    if near := suggestion(name, names):
        return near
    return f" Its tables: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}." if names else " It has no tables."


def rows(connection: Connection, statement: str, *parameters: Any) -> Sequence[Any]:
    """All rows that *statement* gives."""
    return connection.exec_driver_sql(statement, parameters).fetchall()


# --- SQLite --------------------------------------------------------------------------------------------------------


def _sqlite(connection: Connection, name: str) -> Table | None:
    found = rows(connection, 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', name)
    if not found:
        return None
    columns = {row[0]: _sqlite_column(row[1], bool(row[2])) for row in found if row[4] != 1}
    primary = tuple(row[0] for row in sorted(found, key=lambda row: row[3]) if row[3])
    listed = rows(
        connection,
        "SELECT l.name FROM pragma_index_list(?) AS l WHERE l.\"unique\" AND NOT l.partial AND l.origin <> 'pk'",
        name,
    )
    keys = [primary] if primary else []
    for (index,) in listed:
        parts = [row[0] for row in rows(connection, "SELECT name FROM pragma_index_info(?) ORDER BY seqno", index)]
        if None not in parts:  # an expression has no name
            keys.append(tuple(parts))
    return Table(columns, keys, _rowid(connection, name, columns))


def _sqlite_column(declared: str, not_null: bool) -> Column:
    word = declared.upper()
    if word.startswith("BOOL"):
        return Column("bool", nullable=not not_null)
    if word.startswith("JSON"):
        return Column("json", nullable=not not_null)
    return Column(nullable=not not_null)


def _rowid(connection: Connection, name: str, columns: Mapping[str, Column]) -> str | None:
    if not rows(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", name):
        return None  # a view
    taken = {column.lower() for column in columns}
    word = next((word for word in _ROWIDS if word not in taken), None)
    if word is None:
        return None
    try:
        rows(connection, f'SELECT {word} FROM "{name.replace(chr(34), chr(34) * 2)}" LIMIT 0')
    except OperationalError:  # a table WITHOUT ROWID
        return None
    return word


# --- PostgreSQL ----------------------------------------------------------------------------------------------------

_COLUMNS: Final = """
    SELECT attname, pg_catalog.format_type(atttypid, atttypmod), attnotnull FROM pg_catalog.pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_KEYS: Final = """
    SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_catalog.pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
    GROUP BY i.indexrelid, i.indisprimary ORDER BY i.indisprimary DESC, i.indexrelid
"""
_TYPE: Final = re.compile(
    r"(?P<name>[a-z ]+?)(\((?P<size>\d+)(,(?P<scale>-?\d+))?\))?(?P<rest>[a-z ]*)(?P<array>\[\])*"
)


def _postgres(connection: Connection, place: Place, name: str, schema: str | None) -> Table | None:
    quoted = place.quoted(name, schema).replace("%%", "%")  # a value here, not a part of the statement
    ((number,),) = rows(connection, "SELECT to_regclass(%s)::oid::bigint", quoted)
    if number is None:
        return None
    columns = {row[0]: postgres_column(row[1], not_null=row[2]) for row in rows(connection, _COLUMNS, number)}
    return Table(columns, [tuple(row[0]) for row in rows(connection, _KEYS, number)])


def postgres_column(declared: str, *, not_null: bool = False) -> Column:
    """The column that PostgreSQL's `format_type` describes as *declared*."""
    match = _TYPE.fullmatch(declared)
    if match is None or match["array"]:
        return Column("array" if declared.endswith("[]") else "other", nullable=not not_null)
    name = match["name"] + match["rest"]
    scale = int(match["scale"] or 0) if name == "numeric" and match["size"] else None
    return Column(_POSTGRES.get(name, "other"), _BITS.get(name, 64), scale, not not_null)
