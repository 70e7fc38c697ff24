"""Describes the built-in formats. Imports none of them."""

from __future__ import annotations

from typing import Any

from pipe_core.formats.options import CsvOptions, JsonlOptions, JsonOptions, MemoryOptions
from pipe_core.kernel.contracts import Format
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import FormatSpec


def _csv(options: Any) -> Format:
    from pipe_core.formats.csv_format import CsvFormat

    return CsvFormat(options)


def _jsonl(options: Any) -> Format:
    from pipe_core.formats.jsonl_format import JsonlFormat

    return JsonlFormat(options)


def _json(options: Any) -> Format:
    from pipe_core.formats.json_format import JsonFormat

    return JsonFormat(options)


def _memory(options: Any) -> Format:
    from pipe_core.formats.memory_format import MemoryFormat

    return MemoryFormat(options)


_SPECS = {
    "csv": FormatSpec(_csv, CsvOptions, "Rows of cells with a header", suffixes=(".csv", ".tsv")),
    "jsonl": FormatSpec(_jsonl, JsonlOptions, "One JSON value a line", suffixes=(".jsonl", ".ndjson")),
    "json": FormatSpec(_json, JsonOptions, "An array of JSON values, streamed", suffixes=(".json",)),
    "memory": FormatSpec(_memory, MemoryOptions, "Lists, iterables, queues and functions of this process"),
}


@hookimpl
def pipe_format(name: str) -> FormatSpec | None:
    """The spec of `csv`, `jsonl`, `json` or `memory`."""
    return _SPECS.get(name)
