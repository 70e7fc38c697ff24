"""Which type a column gets in a table that is made for the records of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SQLITE: Final[Mapping[str, str]] = {
    "bool": "BOOLEAN",
    "int": "INTEGER",
    "float": "REAL",
    "text": "TEXT",
    "bytes": "BLOB",
    "json": "JSON TEXT",  # the second word keeps SQLite from reading a number out of it
}
_POSTGRES: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    name: (declared, frozenset(kinds.split()))
    for name, declared, kinds in (
        ("bool", "BOOLEAN", "bool"),
        ("int", "BIGINT", "int long"),
        ("float", "DOUBLE PRECISION", "float int"),
        ("decimal", "NUMERIC", "decimal int long"),
        ("text", "TEXT", "text"),
        ("bytes", "BYTEA", "bytes"),
        ("json", "JSON", "json"),
        ("datetime", "TIMESTAMP", "datetime"),
        ("datetimetz", "TIMESTAMPTZ", "datetimetz"),
        ("date", "DATE", "date"),
        ("time", "TIME", "time"),
        ("timetz", "TIMETZ", "timetz"),
        ("timedelta", "INTERVAL", "timedelta"),
        ("uuid", "UUID", "uuid"),
    )
}


def sqlite_type(kinds: frozenset[str]) -> str:
    """The declared type for values of *kinds*; none where they differ, so that SQLite changes none of them."""
    found = {"int" if kind == "long" else kind for kind in kinds}
    return _SQLITE.get(found.pop(), "") if len(found) == 1 else ""


def postgres_type(kinds: frozenset[str]) -> str | None:
    """The type for values of *kinds*: ``TEXT`` where there are none yet, None where no type keeps them all."""
    if not kinds:
        return "TEXT"
    return next((declared for declared, kept in _POSTGRES.values() if kinds <= kept), None)


def postgres_keeps(declared: str, kinds: frozenset[str]) -> bool:
    """Whether a column that was made as *declared* keeps values of *kinds* as they are."""
    return any(kinds <= kept for known, kept in _POSTGRES.values() if known == declared)
