"""The half of a sink that runs on the workers: records become Arrow data there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from pipe_arrow.column_types import Conflict, type_of
from pipe_arrow.plain_values import Dialect, PlainValues
from pipe_core.kernel.contracts import Serializer

POSITION: Final = "position"
_ERROR_FIELDS: Final = (POSITION, "phase", "errors", "raw", "data", "hook", "attempt")
_AS_JSON: Final = ("errors", "raw", "data")
"""Columns of an error sink that hold what nobody has validated: no two rows need to have the same shape."""

Record = dict[str, Any]


class TableEncoder:
    """Rows are records of plain values; many of them travel as Arrow IPC streams, one after the other.

    Args:
        dialect: What the kind of file can hold.
        fixed: Types of columns that were given.
    """

    __slots__ = ("_dialect", "_fixed")

    def __init__(self, dialect: Dialect, fixed: Mapping[str, pa.DataType]) -> None:
        self._dialect = dialect
        self._fixed = fixed

    def bind(self, serializer: Serializer) -> Callable[[Any], Record]:
        """A function that makes one row of one value."""
        record = PlainValues(self._dialect, self._fixed).record
        if tuple(serializer.fields or ()) == _ERROR_FIELDS:
            jsonable = serializer.jsonable
            return lambda value: record(_error_row(jsonable(value)))
        python = serializer.python
        return lambda value: record(python(value))

    def stamp(self, position: int, row: Record) -> Record:
        """The row with its position as the first field."""
        return {POSITION: position, **row}

    def join(self, rows: Sequence[Record]) -> list[Record]:
        """The rows of a batch, as they are: Arrow data of many rows is made at once."""
        return list(rows)

    def merge(self, payloads: Sequence[list[Record] | bytes]) -> bytes:
        """The rows of several batches as bytes."""
        parts: list[bytes] = []
        waiting: list[Record] = []
        for payload in payloads:
            if isinstance(payload, bytes):
                parts += [self._encoded(waiting), payload]
                waiting = []
            else:
                waiting += payload
        return b"".join([*parts, self._encoded(waiting)])

    def tables(self, payload: list[Record] | bytes) -> Iterator[pa.Table]:
        """What `join` or `merge` made, as tables: one, as long as the rows have a common type."""
        if isinstance(payload, list):
            yield from _tables(payload, self._fixed)
            return
        stream = pa.BufferReader(payload)
        while stream.tell() < len(payload):
            with pa.ipc.open_stream(stream) as reader:
                yield reader.read_all()

    def _encoded(self, rows: list[Record]) -> bytes:
        buffer = pa.BufferOutputStream()
        for table in _tables(rows, self._fixed):
            with pa.ipc.new_stream(buffer, table.schema) as writer:
                writer.write_table(table)
        data: bytes = buffer.getvalue().to_pybytes()
        return data


def _error_row(row: Record) -> Record:
    texts = {name: json.dumps(row[name], ensure_ascii=False) for name in _AS_JSON if row.get(name) is not None}
    return {**row, **texts}


def _tables(rows: list[Record], fixed: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    if not rows:
        return
    try:
        yield _table(rows, fixed)
    except Conflict:  # between rows, never in one: the driver will find out which of them does not fit the file
        middle = len(rows) // 2
        yield from _tables(rows[:middle], fixed)
        yield from _tables(rows[middle:], fixed)


def _table(rows: list[Record], fixed: Mapping[str, pa.DataType]) -> pa.Table:
    """The rows as one table. Raises `Conflict` when a column has no type that holds all its cells."""
    names = tuple(rows[0])
    if set(map(tuple, rows)) == {names}:
        columns = zip(*[row.values() for row in rows], strict=True)
        cells = dict(zip(names, map(list, columns), strict=True))
    else:
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        cells = {name: [row.get(name) for row in rows] for name in names}
    arrays = [pa.array(column, fixed[name] if name in fixed else type_of(column)) for name, column in cells.items()]
    return pa.Table.from_arrays(arrays, names=list(cells))
