"""Avro whose records can be nested without end, as in a tree: there a small file can ask for a million levels.

fastavro's compiled reader follows them on the stack of the process, which ends with it. Its reader in Python raises
RecursionError instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import fastavro
from fastavro import _read_py

from pipe_arrow.reading import Damaged

_RECORDS = ("record", "error")


def avro_records(file: BinaryIO) -> Iterator[Any]:
    """The records of a file. Raises `Damaged` for one that is nested too deep, or what fastavro raises."""
    compiled = fastavro.reader(file)
    if not is_recursive(compiled.writer_schema):
        yield from compiled
        return
    file.seek(0)
    try:
        yield from _read_py.reader(file)
    except RecursionError:
        raise Damaged("its next record is nested deeper than Python can follow") from None


def is_recursive(schema: Any, inside: frozenset[str] = frozenset()) -> bool:
    """Whether a type of *schema* holds itself. *inside* has the names of the types around it."""
    if isinstance(schema, str):
        return _last_name(schema) in inside
    if isinstance(schema, list):
        return any(is_recursive(one, inside) for one in schema)
    if schema["type"] in _RECORDS:
        inside |= {_last_name(schema["name"])}
        return any(is_recursive(field["type"], inside) for field in schema["fields"])
    parts = [schema[part] for part in ("type", "items", "values") if part in schema]
    return any(is_recursive(part, inside) for part in parts)


def _last_name(name: str) -> str:
    return name.rpartition(".")[2]
