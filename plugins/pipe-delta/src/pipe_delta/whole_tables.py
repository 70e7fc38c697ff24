"""Tables of Arrow that are written as they are: their types become those that Delta has."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.types as types

from pipe_arrow.column_types import Conflict

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
}
_DIGITS = 38


def as_delta_has_it(table: pa.Table, fixed: Mapping[str, pa.DataType]) -> pa.Table:
    """*table* with columns of types that Delta has.

    Args:
        table: Any table.
        fixed: Types that are known.

    Raises:
        Conflict: Delta has no such type.
        pyarrow.ArrowInvalid: A value would be lost.
    """
    names = table.schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it would have the column {twice!r} twice")
    fields = [
        pa.field(field.name, fixed[field.name] if field.name in fixed else plain_kind(field.type, (field.name,)))
        for field in table.schema
    ]
    return table.replace_schema_metadata(None).cast(pa.schema(fields))


def plain_kind(kind: pa.DataType, path: tuple[str, ...] = ()) -> pa.DataType:
    """The type of Delta that holds all values of *kind*. Raises `Conflict` where there is none."""
    if types.is_dictionary(kind):
        return plain_kind(kind.value_type, path)
    if types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if types.is_decimal(kind) and kind.precision <= _DIGITS:
        return pa.decimal128(kind.precision, kind.scale)
    if types.is_map(kind):
        return pa.map_(plain_kind(kind.key_type, path), plain_kind(kind.item_type, path))
    if types.is_struct(kind):
        return pa.struct([pa.field(one.name, plain_kind(one.type, (*path, one.name))) for one in kind])
    if hasattr(kind, "value_type"):
        return pa.list_(plain_kind(kind.value_type, path))
    text = str(kind)
    if text in ("large_string", "string_view"):
        return pa.string()
    if "binary" in text:
        return pa.binary()
    if types.is_time(kind) or types.is_duration(kind) or types.is_decimal(kind):
        raise Conflict(text, "Delta, which has no such type", path)
    return _WIDER.get(kind, kind)
