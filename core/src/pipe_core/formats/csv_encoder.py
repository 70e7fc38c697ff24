"""Lines of CSV out of validated values, made on the workers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipe_core.kernel.contracts import Serializer

POSITION: Final = "position"
_AS_IS: Final = frozenset({str, int, float, type(None)})
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\0")


Lines = tuple[tuple[str, ...], bytes]
"""One line, or many, behind the names of their columns. Plain data, because it travels."""


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """How CSV is written, as plain data. The words are those of `CsvOptions`."""

    encoding: str
    delimiter: str
    quotechar: str | None
    escapechar: str | None
    on_extra: Literal["error", "ignore"]
    formula: Literal["raw", "escape", "reject"]


class LineWriter:
    """Makes a line of a record.

    Args:
        style: How CSV is written.
        fields: The columns.
    """

    def __init__(self, style: CsvStyle, fields: tuple[str, ...]) -> None:
        self._style = style
        self._fields = fields
        self._known = frozenset(fields)
        # `writerow` returns what `write` returned. With both characters of the line end, cells with either are quoted.
        self._writerow: Callable[[Sequence[Any]], Any] = csv.writer(
            self,
            delimiter=style.delimiter,
            quotechar=style.quotechar,
            escapechar=style.escapechar,
            quoting=csv.QUOTE_NONE if style.quotechar is None else csv.QUOTE_MINIMAL,
            lineterminator="\r\n",
        ).writerow

    def write(self, line: str) -> bytes:
        """What the csv module calls with a line."""
        return f"{line[:-2]}\n".encode(self._style.encoding)

    def header(self) -> bytes:
        """The line with the names of the columns."""
        return self._cells(list(self._fields))

    def record(self, record: Any) -> bytes:
        """The line of a record. Raises ValueError for one that does not fit the columns."""
        if type(record) is dict and tuple(record) == self._fields:
            return self._cells(list(record.values()))
        record = _mapping(record)
        if self._style.on_extra == "error" and not record.keys() <= self._known:
            extra = ", ".join(repr(name) for name in record if name not in self._known)
            raise ValueError(f"no column for {extra}; name the columns with fieldnames or use on_extra='ignore'")
        return self._cells([record.get(name) for name in self._fields])

    def _cells(self, cells: list[Any]) -> bytes:
        if not _AS_IS.issuperset(map(type, cells)):
            cells = [cell if type(cell) in _AS_IS else _text(cell) for cell in cells]
        if self._style.formula != "raw":
            cells = [self._harmless(cell) for cell in cells]
        try:
            line: bytes = self._writerow(cells)
        except csv.Error as error:
            raise ValueError(f"the row cannot be written with this quotechar and escapechar: {error}") from error
        return line

    def _harmless(self, cell: Any) -> Any:
        if not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS):
            return cell
        if self._style.formula == "reject":
            raise ValueError(f"a cell begins with {cell[0]!r}: a spreadsheet would run it as a formula")
        return f"'{cell}"


class CsvEncoder:
    """One line of CSV a record.

    The columns are those that the options name, else the fields of the schema. Where neither is known a row is the
    record itself, and the sink makes the lines with the names of the first.

    Args:
        style: How CSV is written.
        fieldnames: The columns, where the options name them.
    """

    __slots__ = ("_fieldnames", "_style")

    def __init__(self, style: CsvStyle, fieldnames: tuple[str, ...] | None) -> None:
        self._style = style
        self._fieldnames = fieldnames

    def bind(self, serializer: Serializer) -> Callable[[Any], Any]:
        """A function that makes one row of one value."""
        fields = self._fieldnames or (None if serializer.fields is None else tuple(serializer.fields))
        jsonable = serializer.jsonable
        if not fields:
            return lambda value: _mapping(jsonable(value))
        record = LineWriter(self._style, fields).record
        return lambda value: (fields, record(jsonable(value)))

    def stamp(self, position: int, row: Lines | dict[str, Any]) -> Lines | dict[str, Any]:
        """The row with its position as the first column."""
        if isinstance(row, dict):
            return {POSITION: position, **row}
        fields, line = row
        if fields[0] == POSITION:  # the column is there and its cell is empty
            return fields, str(position).encode(self._style.encoding) + line
        cell = f"{position}{self._style.delimiter}".encode(self._style.encoding)
        return (POSITION, *fields), cell + line

    def join(self, rows: Sequence[Any]) -> Lines | list[dict[str, Any]]:
        """The lines as one, or the records in a list."""
        if not rows or isinstance(rows[0], dict):
            return list(rows)
        return rows[0][0], b"".join([line for _, line in rows])

    def merge(self, payloads: Sequence[Any]) -> Lines | list[dict[str, Any]]:
        """The same of several batches."""
        if not payloads or isinstance(payloads[0], list):
            return [row for payload in payloads for row in payload]
        return payloads[0][0], b"".join([lines for _, lines in payloads])


def _mapping(record: Any) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise ValueError(f"a row of CSV needs names and values, not {type(record).__name__}")
    return dict(record)


def _text(cell: Any) -> str:
    if cell is True or cell is False:
        return "true" if cell else "false"
    return json.dumps(cell, ensure_ascii=False, separators=(",", ":"))
