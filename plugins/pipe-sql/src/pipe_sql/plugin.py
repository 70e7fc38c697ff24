"""What the kernel asks: the options, suffixes and schemes of ``sql``. Imports no database."""

from __future__ import annotations

from typing import Any

from pipe_core import FormatSpec, hookimpl
from pipe_core.kernel.contracts import Format
from pipe_sql.options import SqlOptions


def _sql(options: Any) -> Format:
    from pipe_sql.sql_format import SqlFormat

    return SqlFormat(options)


_SPEC = FormatSpec(
    _sql,
    SqlOptions,
    "Tables and queries of SQLite and PostgreSQL",
    suffixes=(".db", ".sqlite", ".sqlite3"),
    schemes=("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg", "postgres"),
)


@hookimpl
def pipe_format(name: str) -> FormatSpec | None:
    """Describe ``sql``."""
    return _SPEC if name == "sql" else None
