"""Values as files hold them: checked one by one, so that what cannot be written fails its own record only."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pydantic_core import to_jsonable_python

from pipe_arrow.column_types import digits_of, type_of
from pipe_arrow.fixed_types import FixedType

_INT64: Final = 1 << 63
_SECONDS: Final = (1 << 63) // 10**6
"""Durations are counted in microseconds."""
_DEEPEST: Final = 32
MOST_FIELDS: Final = 4096
_FIRST_NANOSECOND: Final = datetime.datetime(1677, 9, 22)
_LAST_NANOSECOND: Final = datetime.datetime(2262, 4, 11)
_AVRO_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of file can hold.

    Attributes:
        name: Of the kind of file.
        digits: The most digits of a decimal.
        lacks: Types of Python that it has no type for.
        nanoseconds: It counts moments in nanoseconds, which reach from 1677 to 2262.
        identifiers: Names are letters, digits and underscores.
    """

    name: str
    digits: int = 76
    lacks: frozenset[type] = frozenset()
    nanoseconds: bool = False
    identifiers: bool = False


DIALECTS: Final = {
    "parquet": Dialect("Parquet"),
    "feather": Dialect("Feather"),
    "orc": Dialect("ORC", digits=38, lacks=frozenset({datetime.time, datetime.timedelta}), nanoseconds=True),
    "avro": Dialect("Avro", digits=38, lacks=frozenset({datetime.timedelta}), identifiers=True),
}

_FREE: Final = frozenset({float, bool, type(None)})
"""Types whose values every file holds."""


class PlainValues:
    """Makes plain values: None, bool, int, float, str, bytes, Decimal, date and time types, list and dict of such.

    Args:
        dialect: What the file can hold.
        fixed: Types of columns that were given.
    """

    def __init__(self, dialect: Dialect, fixed: Mapping[str, pa.DataType]) -> None:
        self._dialect = dialect
        self._fixed = {name: FixedType(kind) for name, kind in fixed.items()}
        self._checks: dict[type, Callable[[Any, int], Any]] = {
            float: _itself,
            bool: _itself,
            type(None): _itself,
            int: _integer,
            str: _string,
            bytes: _itself,
            datetime.date: _itself,
            datetime.datetime: self._moment,
            datetime.time: _time,
            datetime.timedelta: _duration,
            decimal.Decimal: self._decimal,
            list: self._list,
            dict: self._dict,
        }
        for kind in dialect.lacks:
            self._checks[kind] = self._lacking
        self._names: set[tuple[str, ...]] = set()

    def record(self, record: Any) -> dict[str, Any]:
        """A record with plain values. The one that was given stays as it is.

        Raises:
            ValueError: A value cannot be written; names its column.
        """
        if type(record) is not dict:
            record = _mapping(record)
        if not record:
            raise ValueError("a row without any field cannot be written in columns")
        self._check_names(record)
        checks, fixed = self._checks, self._fixed
        if not fixed and _FREE.issuperset(map(type, record.values())):
            return record  # type: ignore[no-any-return]  # a dict, as was just seen
        plain = {}
        for name, value in record.items():
            try:
                if name in fixed:
                    cell = fixed[name].checked(value, self.value)
                else:
                    cell = (checks.get(type(value)) or self._other)(value, 0)
                    if type(cell) is list or type(cell) is dict:
                        type_of((cell,))  # what is in it must have a common type
            except Exception as error:  # whatever a strange value raises fails its record
                raise ValueError(f"column {name!r}: {error}") from error
            plain[name] = cell
        return plain

    def value(self, value: Any) -> Any:
        """A plain value. Raises ValueError when there is none."""
        return (self._checks.get(type(value)) or self._other)(value, 0)

    def _check_names(self, record: dict[Any, Any]) -> None:
        names = tuple(record)
        if names in self._names:
            return
        if len(names) > MOST_FIELDS:
            raise ValueError(f"the record has {len(names):,} fields, more than {MOST_FIELDS:,}")
        for name in names:
            self._check_name(name)
        if len(self._names) < MOST_FIELDS:
            self._names.add(names)

    def _check_name(self, name: Any) -> None:
        if not isinstance(name, str):
            raise ValueError(f"the name {name!r} is no text; for a map give its type, types={{'column': pa.map_(...)}}")
        name.encode()
        if self._dialect.identifiers and not _AVRO_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name in {self._dialect.name}: only letters, digits and underscores are")

    def _moment(self, value: datetime.datetime, depth: int) -> datetime.datetime:
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC) if value.utcoffset() is not None else value.replace(tzinfo=None)
        if self._dialect.nanoseconds and not _FIRST_NANOSECOND <= value.replace(tzinfo=None) < _LAST_NANOSECOND:
            raise ValueError(f"{value} is not between 1677 and 2262, where {self._dialect.name} has its moments")
        return value

    def _decimal(self, value: decimal.Decimal, depth: int) -> decimal.Decimal:
        if not value.is_finite():
            raise ValueError(f"{value} is no number that a decimal column holds")
        if sum(digits_of(value)) > self._dialect.digits:
            raise ValueError(f"{value:.20g} has more than {self._dialect.digits} digits")
        return value

    def _lacking(self, value: Any, depth: int) -> Any:
        raise ValueError(f"{self._dialect.name} has no type for {type(value).__name__}; make a number or text of it")

    def _list(self, value: Any, depth: int) -> list[Any]:
        checks, deeper = self._checks, _deeper(depth)
        return [(checks.get(type(item)) or self._other)(item, deeper) for item in value]

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        checks, deeper = self._checks, _deeper(depth)
        self._check_names(value)
        return {name: (checks.get(type(item)) or self._other)(item, deeper) for name, item in value.items()}

    def _other(self, value: Any, depth: int) -> Any:
        """A value of another type: a subclass of a plain one, or what pydantic writes as plain data."""
        if isinstance(value, enum.Enum):
            return self._again(value.value, depth)
        if isinstance(value, set | frozenset):
            return self._list(_sorted(value), depth)
        if isinstance(value, tuple):
            return self._list(value, depth)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        for kind in (str, int, float, datetime.datetime, datetime.date, list, dict):
            if isinstance(value, kind):
                return self._again(_base(value, kind), depth)
        return self._again(to_jsonable_python(value), depth)

    def _again(self, value: Any, depth: int) -> Any:
        check = self._checks.get(type(value))
        return self._other(value, _deeper(depth)) if check is None else check(value, depth)


def _base(value: Any, kind: type) -> Any:
    """The same as an instance of *kind* itself."""
    if kind is datetime.datetime:
        if getattr(value, "nanosecond", 0):  # as those of pandas have
            raise ValueError(f"{value} has nanoseconds")
        return datetime.datetime.combine(datetime.date(value.year, value.month, value.day), value.timetz())
    if kind is datetime.date:
        return datetime.date(value.year, value.month, value.day)
    if kind is str:
        return str.__str__(value)
    return int(value) if kind is int else float(value) if kind is float else kind(value)


def _itself(value: Any, depth: int) -> Any:
    return value


def _integer(value: int, depth: int) -> int:
    if -_INT64 <= value < _INT64:
        return value
    raise ValueError("the integer has more than 64 bits; write it as text or as a decimal")


def _string(value: str, depth: int) -> str:
    if not value.isascii():
        value.encode()  # half a character is no text
    return value


def _time(value: datetime.time, depth: int) -> datetime.time:
    if value.tzinfo is not None:
        raise ValueError(f"{value} has a time zone, which a time of day in a file has not")
    return value


def _duration(value: datetime.timedelta, depth: int) -> datetime.timedelta:
    if abs(value.total_seconds()) >= _SECONDS - 1:
        raise ValueError(f"{value} is longer than a file can count in microseconds")
    return value


def _sorted(value: Any) -> list[Any]:
    """The items of a set in an order that does not change from process to process, where they have one."""
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def _deeper(depth: int) -> int:
    if depth >= _DEEPEST:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    return depth + 1


def _mapping(record: Any) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise ValueError(f"a row needs names and values, not {type(record).__name__}")
    return dict(record)
