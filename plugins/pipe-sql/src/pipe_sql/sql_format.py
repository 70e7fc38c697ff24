"""The format `sql`: tables and queries."""

from __future__ import annotations

from typing import Any

from pipe_core import OptionsError
from pipe_sql.options import READING, WRITING, SqlOptions
from pipe_sql.place import parse
from pipe_sql.sink import SqlSink
from pipe_sql.source import SqlSource


class SqlFormat:
    """Reads tables and queries, writes tables."""

    def __init__(self, options: SqlOptions) -> None:
        self._options = options

    def source(self, target: Any, /) -> SqlSource:
        """A source over a table or query of the database *target*."""
        place, options = parse(target, self._options)
        _refuse(options, WRITING, "writing")
        if options.table is None and options.query is None:
            raise _missing(place.name, "a table or a query to read", "table")
        return SqlSource(place, options)

    def sink(self, target: Any, /) -> SqlSink:
        """A sink into a table of the database *target*."""
        place, options = parse(target, self._options)
        _refuse(options, READING, "reading")
        if options.table is None:
            raise _missing(place.name, "the table to write", "table")
        return SqlSink(place, options)


def _refuse(options: SqlOptions, names: frozenset[str], purpose: str) -> None:
    for name in sorted(options.model_fields_set & names):
        text = f"The option '{name}' of the format 'sql' is for {purpose} only. Leave it out here."
        raise OptionsError(text, problems={name: f"is for {purpose} only"})


def _missing(name: str, what: str, option: str) -> OptionsError:
    example = f"{name}?table=orders" if "://" in name else f'("{name}", {{"table": "orders"}})'
    return OptionsError(f"{name} needs {what}: {example}.", problems={option: "is missing"})
