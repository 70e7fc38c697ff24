"""Arrow types out of plain values, and the one type that holds what two types hold.

The order is: null, then anything; int64, then double; a list or struct by its parts; a decimal by its digits. Nothing
else has a common type. An integer becomes a float only where both are equal.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

UTC_MOMENT: Final = pa.timestamp("us", "UTC")
MOMENT: Final = pa.timestamp("us")
EXACT: Final = 1 << 53
"""No integer beyond is a float for certain."""
_SCALARS: Final[dict[type, pa.DataType]] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
    datetime.date: pa.date32(),
    datetime.time: pa.time64("us"),
    datetime.timedelta: pa.duration("us"),
}
_MOST_DIGITS: Final = 76


class Conflict(ValueError):
    """Values have no common type.

    Attributes:
        path: The names that lead to them.
        first: What was there first.
        second: What came.
    """

    def __init__(self, first: str, second: str, path: tuple[str, ...] = ()) -> None:
        where = f" in {'.'.join(path)}" if path else ""
        super().__init__(f"{first} and {second} have no common type{where}")
        self.first = first
        self.second = second
        self.path = path


def type_of(cells: Iterable[Any]) -> pa.DataType:
    """The type that holds all *cells*, which are plain values.

    Raises:
        Conflict: There is none.
    """
    cells = [cell for cell in cells if cell is not None]
    kinds = set(map(type, cells))
    if not kinds:
        return pa.null()
    if len(kinds) > 1:
        return _mixed(kinds, cells)
    kind = kinds.pop()
    if kind is datetime.datetime:
        return _moment(cells)
    if kind is decimal.Decimal:
        return _decimal(cells)
    if kind is list:
        return pa.list_(type_of([item for cell in cells for item in cell]))
    if kind is dict:
        return _struct(cells)
    return _SCALARS[kind]


def _mixed(kinds: set[type], cells: Sequence[Any]) -> pa.DataType:
    if kinds == {int, float}:
        large = next((cell for cell in cells if type(cell) is int and abs(cell) > EXACT), None)
        if large is None:
            return pa.float64()
        raise Conflict(f"the integer {large}", "a float")
    first = type(cells[0])
    other = next(type(cell) for cell in cells if type(cell) is not first)
    raise Conflict(first.__name__, other.__name__)


def _moment(cells: Sequence[datetime.datetime]) -> pa.DataType:
    aware = {cell.tzinfo is not None for cell in cells}
    if len(aware) > 1:
        raise Conflict("a datetime with a time zone", "one without")
    return UTC_MOMENT if aware.pop() else MOMENT


def _decimal(cells: Sequence[decimal.Decimal]) -> pa.DataType:
    whole, scale = zip(*map(digits_of, cells), strict=True)
    return decimal_type(max(whole), max(scale))


def digits_of(value: decimal.Decimal) -> tuple[int, int]:
    """The digits before and behind the point of a finite *value*."""
    _, digits, exponent = value.as_tuple()
    power = int(exponent)
    return max(len(digits) + power, 0), max(-power, 0)


def decimal_type(whole: int, scale: int) -> pa.DataType:
    """The decimal type with so many digits before and behind the point.

    Raises:
        Conflict: Arrow has none so long.
    """
    precision = max(whole + scale, 1)
    if precision > _MOST_DIGITS:
        raise Conflict(f"a decimal with {whole} digits before the point", f"one with {scale} behind it")
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _struct(cells: Sequence[dict[str, Any]]) -> pa.DataType:
    fields: list[pa.Field] = []
    for name in dict.fromkeys(name for cell in cells for name in cell):
        try:
            fields.append(pa.field(name, type_of([cell.get(name) for cell in cells])))
        except Conflict as conflict:
            raise _below(name, conflict) from None
    return pa.struct(fields)


def _below(name: str, conflict: Conflict) -> Conflict:
    return Conflict(conflict.first, conflict.second, (name, *conflict.path))


def unified(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """The type that holds what both hold. Fields of structs stay in the order in which they came.

    Raises:
        Conflict: There is none.
    """
    if first == second or types.is_null(second):
        return first
    if types.is_null(first):
        return second
    if types.is_decimal(first) and types.is_decimal(second):
        whole = max(first.precision - first.scale, second.precision - second.scale)
        return decimal_type(whole, max(first.scale, second.scale))
    if types.is_list(first) and types.is_list(second):
        return pa.list_(unified(first.value_type, second.value_type))
    if types.is_struct(first) and types.is_struct(second):
        return _unified_structs(first, second)
    if {first, second} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise Conflict(str(first), str(second))


def _unified_structs(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    fields = {field.name: field.type for field in first}
    for field in second:
        try:
            fields[field.name] = unified(fields.get(field.name, pa.null()), field.type)
        except Conflict as conflict:
            raise _below(field.name, conflict) from None
    return pa.struct(list(fields.items()))


def family_of(kind: pa.DataType) -> str | None:
    """What a type has in common with others that hold the same values in another way; None where there are none."""
    if types.is_dictionary(kind):
        return family_of(kind.value_type)
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "moment"
    families = {
        "text": (types.is_string, types.is_large_string),
        "binary": (types.is_binary, types.is_large_binary),
        "integer": (types.is_integer,),
        "float": (types.is_floating,),
        "date": (types.is_date,),
        "time": (types.is_time,),
        "duration": (types.is_duration,),
    }
    return next((name for name, tests in families.items() if any(test(kind) for test in tests)), None)


def adapted(table: pa.Table, kind: pa.DataType) -> pa.Table:
    """*table* with columns of the types that the struct *kind* has for them, where these hold the same values."""
    known = {field.name: field.type for field in kind}
    for i, field in enumerate(table.schema):
        wanted = known.get(field.name, field.type)
        if wanted != field.type and family_of(wanted) == family_of(field.type) is not None:
            with suppress(pa.ArrowInvalid):  # a value does not fit: whether there is a wider type is seen later
                table = table.set_column(i, pa.field(field.name, wanted), table.column(i).cast(wanted))
    return table


def rounded(kind: pa.DataType) -> pa.DataType:
    """*kind* with decimals of 38 or 76 digits, so that a longer number seldom needs another type."""
    if types.is_decimal(kind):
        longest = 38 if kind.precision <= 38 else _MOST_DIGITS
        return pa.decimal128(38, kind.scale) if longest == 38 else pa.decimal256(longest, kind.scale)
    if types.is_list(kind):
        return pa.list_(rounded(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, rounded(field.type)) for field in kind])
    return kind


def widened(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """*array* with the type *kind*, which holds its own.

    Raises:
        pyarrow.ArrowInvalid: An integer in it is no float.
    """
    if array.type == kind:
        return array
    if types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if types.is_struct(kind):
        return _widened_struct(array, kind)
    if types.is_list(kind):
        ends = array.offsets
        items = array.values.slice(ends[0].as_py(), ends[-1].as_py() - ends[0].as_py())
        ends = pc.subtract(ends, ends[0])  # a fresh array, which a mask can stand beside
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(ends, widened(items, kind.value_type), type=kind, mask=mask)
    return array.cast(kind)


def widened_table(table: pa.Table, kind: pa.DataType) -> pa.Table:
    """*table*, in one piece, with the fields of the struct *kind*, which holds all its columns.

    Raises:
        Conflict: An integer in it is no float.
    """
    table = table.combine_chunks()
    arrays = []
    for field in kind:
        found = table.column(field.name).chunks if field.name in table.schema.names else []
        try:
            arrays.append(widened(found[0], field.type) if found else pa.nulls(table.num_rows, field.type))
        except pa.ArrowInvalid:
            raise Conflict(f"an integer beyond {EXACT:,}", "a float", (field.name,)) from None
    return pa.Table.from_arrays(arrays, schema=pa.schema(list(kind)))


def _widened_struct(array: pa.Array, kind: pa.DataType) -> pa.Array:
    present = {field.name: part for field, part in zip(array.type, array.flatten(), strict=True)}
    parts = [
        widened(present[field.name], field.type) if field.name in present else pa.nulls(len(array), field.type)
        for field in kind
    ]
    mask = array.is_null() if array.null_count else None
    if not parts:
        return array
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=mask)


def leaves(kind: pa.DataType) -> int:
    """How many columns a file has for *kind*."""
    if types.is_struct(kind):
        return sum(leaves(field.type) for field in kind)
    return leaves(kind.value_type) if types.is_list(kind) else 1
