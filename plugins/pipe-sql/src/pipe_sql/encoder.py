"""Rows out of validated values, made on the workers: what a driver takes as it is, or a refusal of that record."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Final, Literal

from pydantic_core import to_jsonable_python

from pipe_core.kernel.contracts import Serializer
from pipe_core.kernel.index import suggestion
from pipe_sql.catalog import Column
from pipe_sql.errors import UnstorableError
from pipe_sql.place import Dialect

Row = dict[str, Any]
"""A row by the names of its columns. A tuple of one text is JSON."""
Group = tuple[tuple[str, ...], tuple[frozenset[str], ...], list[tuple[Any, ...]]]
"""Consecutive rows with the same columns: the columns, the kinds of values in each, the cells. Plain data."""

_JSON: Final = frozenset({"errors", "raw", "data"})
"""Columns of an error sink that hold anything at all."""
_ERROR_FIELDS: Final = ("position", "phase", "errors")
_UNKNOWN: Final = Column()
_LARGE: Final = 2**63
_KINDS: Final[Mapping[type, str]] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "text",
    bytes: "bytes",
    tuple: "json",
    list: "array",
    decimal.Decimal: "decimal",
    datetime.datetime: "datetime",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "timedelta",
    uuid.UUID: "uuid",
}


@dataclass(frozen=True, slots=True)
class SqlEncoder:
    """Makes rows for one table.

    Attributes:
        dialect: Whose values they are.
        nan: What becomes of NaN.
        columns: Those of the table, where there is one already.
    """

    dialect: Dialect
    nan: Literal["keep", "null"]
    columns: Mapping[str, Column] | None

    def bind(self, serializer: Serializer) -> Callable[[Any], Row]:
        """A function that makes one row of one value. It raises `UnstorableError` for what would be changed."""
        cells = Cells(self)
        cell = cells.cell
        if tuple(serializer.fields or ())[:3] == _ERROR_FIELDS:
            jsonable = serializer.jsonable
            return lambda value: {
                name: (_any_json(one),) if name in _JSON else cell(name, one) for name, one in jsonable(value).items()
            }
        python, known, way = serializer.python, self.columns, cells.ways.get

        def row(value: Any) -> Row:
            record = python(value)
            if not record or (type(record) is not dict and not isinstance(record, Mapping)):
                raise UnstorableError("a row of a table needs names and values", column="")
            if known is not None and not record.keys() <= known.keys():
                raise _no_column(next(name for name in record if name not in known), known)
            if cells.json_columns:
                return {name: cell(name, one) for name, one in record.items()}
            return {name: (way(type(one)) or cell)(name, one) for name, one in record.items()}

        return row

    def stamp(self, position: int, row: Row) -> Row:
        """The row with its position as the first column."""
        return {"position": position, **row}

    def join(self, rows: Sequence[Row]) -> list[Group]:
        """The rows, grouped by their columns."""
        return [_group(columns, list(some)) for columns, some in groupby(rows, key=tuple)]

    def merge(self, payloads: Sequence[list[Group]]) -> list[Group]:
        """The groups of several batches; neighbours with the same columns become one."""
        merged: list[Group] = []
        for columns, kinds, rows in chain.from_iterable(payloads):
            if merged and merged[-1][0] == columns:
                before = merged[-1]
                both = tuple(one | other for one, other in zip(before[1], kinds, strict=True))
                merged[-1] = (columns, both, before[2] + rows)
            else:
                merged.append((columns, kinds, rows))
        return merged


class Cells:
    """Makes cells for the columns of one table.

    Args:
        encoder: What is known of the table.
    """

    def __init__(self, encoder: SqlEncoder) -> None:
        self._sqlite = encoder.dialect == "sqlite"
        self._product = "SQLite" if self._sqlite else "PostgreSQL"
        self._nan = encoder.nan
        self._columns = encoder.columns or {}
        self.json_columns = frozenset(name for name, column in self._columns.items() if column.kind == "json")
        self.ways: dict[type, Callable[[str, Any], Any]] = {
            type(None): _itself,
            bool: _itself,
            bytes: _itself,
            uuid.UUID: self._as_text if self._sqlite else _itself,
            datetime.date: self._iso,
            str: self._text,
            int: self._int,
            float: self._float,
            decimal.Decimal: self._decimal,
            datetime.datetime: self._moment,
            datetime.time: self._moment,
            datetime.timedelta: self._span,
            list: self._nested,
        }

    def cell(self, name: str, value: Any) -> Any:
        """What the driver is given for *value* in the column *name*.

        Raises:
            UnstorableError: The database would change it, or does not know anything like it.
        """
        if name in self.json_columns and value is not None:
            return self._nested(name, value)
        return (self.ways.get(type(value)) or self._way_of(value))(name, value)

    def _way_of(self, value: Any) -> Callable[[str, Any], Any]:
        if isinstance(value, enum.Enum):
            return lambda name, member: self.cell(name, member.value)
        for kind in (bytes, str, int, float, decimal.Decimal, uuid.UUID):  # their subclasses
            if isinstance(value, kind):
                return lambda name, one: self.ways[kind](name, kind(one) if kind is not uuid.UUID else one)
        if isinstance(value, bytearray | memoryview):
            return lambda _, one: bytes(one)
        return self._nested

    def _text(self, name: str, value: str) -> str:
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise self._refused(name, "half of a character, which no database keeps as text") from None
        if not self._sqlite and "\0" in value:
            raise self._refused(name, "a text with NUL, which PostgreSQL cannot keep")
        return value

    def _int(self, name: str, value: int) -> int:
        column = self._columns.get(name, _UNKNOWN)
        if column.kind in ("numeric", "other") and self._columns and not self._sqlite:
            return value
        large = 1 << (column.bits - 1)
        if not -large <= value < large:
            raise self._refused(name, f"an integer of more than {column.bits} bits")
        if column.kind == "float" and int(float(value)) != value:
            raise self._refused(name, "an integer with more digits than a float has")
        return value

    def _float(self, name: str, value: float) -> float | None:
        if value != value:
            if self._nan == "null":
                return None
            if self._sqlite:
                raise self._refused(name, "NaN, which SQLite turns into NULL. nan='null' allows that")
        kind = self._columns.get(name, _UNKNOWN).kind
        if kind == "int" and not (math.isfinite(value) and value.is_integer()):
            raise self._refused(name, "a number with a fraction, and the column is of integers")
        return value

    def _decimal(self, name: str, value: decimal.Decimal) -> Any:
        if value.is_nan():
            if self._nan == "null":
                return None
            if value.is_snan():
                raise self._refused(name, "a signalling NaN")
        if self._sqlite:
            return str(value)
        column = self._columns.get(name, _UNKNOWN)
        scale = 0 if column.kind == "int" else column.scale
        if scale is not None and value.is_finite() and -int(value.normalize().as_tuple().exponent) > scale:
            raise self._refused(name, f"a number with more than {scale} digits behind the point")
        return value

    def _moment(self, name: str, value: Any) -> Any:
        if self._sqlite:
            return value.isoformat()
        aware = value.tzinfo is not None
        kind = self._columns.get(name, _UNKNOWN).kind
        if aware and kind in ("datetime", "time"):
            raise self._refused(name, "a time with an offset, and the column has none")
        if not aware and kind in ("datetimetz", "timetz"):
            raise self._refused(name, "a time without an offset, and the column needs one")
        if kind == "date":
            raise self._refused(name, "a time, and the column is of dates")
        return value

    def _iso(self, name: str, value: Any) -> Any:
        return value.isoformat() if self._sqlite else value

    def _span(self, name: str, value: datetime.timedelta) -> Any:
        return to_jsonable_python(value) if self._sqlite else value

    def _as_text(self, name: str, value: Any) -> str:
        return str(value)

    def _nested(self, name: str, value: Any) -> Any:
        if isinstance(value, list) and self._columns.get(name, _UNKNOWN).kind == "array":
            return value
        try:
            plain = to_jsonable_python(value)
        except Exception as error:  # a serializer of the user's may raise anything
            raise self._refused(name, f"{type(value).__name__}, which cannot be written as JSON") from error
        if name not in self.json_columns and not isinstance(plain, list | dict):
            return self.cell(name, plain)  # a value of one part, such as an address or a path
        try:
            return (_json_text(plain),)
        except ValueError:
            raise self._refused(name, "something with NaN or an infinity in it, which JSON has no word for") from None

    def _refused(self, name: str, what: str) -> UnstorableError:
        return UnstorableError(f"column '{name}' would get {what}", column=name)


def _itself(name: str, value: Any) -> Any:
    return value


def _json_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _any_json(value: Any) -> str:
    """What is in a rejected record, which may be anything: an error sink refuses nothing."""
    try:
        return _json_text(value)
    except (ValueError, RecursionError):
        return json.dumps(repr(value))


def _no_column(name: object, known: Mapping[str, Column]) -> UnstorableError:
    hint = suggestion(str(name), known)
    return UnstorableError(f"the table has no column '{name}'.{hint}", column=str(name))


def _group(columns: tuple[str, ...], records: list[Row]) -> Group:
    rows = [tuple(record.values()) for record in records]
    kinds = tuple(frozenset(_kinds(column)) for column in zip(*rows, strict=True))
    if any("json" in some for some in kinds):
        rows = [tuple(cell[0] if type(cell) is tuple else cell for cell in row) for row in rows]
    return columns, kinds, rows


def _kinds(cells: Sequence[Any]) -> Iterator[str]:
    """The kinds of values in a column; nothing for NULL."""
    for kind in set(map(type, cells)):
        if kind in (datetime.datetime, datetime.time):
            for aware in {cell.tzinfo is not None for cell in cells if type(cell) is kind}:
                yield _KINDS[kind] + ("tz" if aware else "")
        elif kind is int:
            large = any(abs(cell) > 2**53 for cell in cells if type(cell) is int)
            yield "long" if large else "int"
        elif kind is not type(None):
            yield _KINDS[kind]
