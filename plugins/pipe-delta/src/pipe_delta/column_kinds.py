"""The columns of a table: what they are when records have been seen, and whether those of a table hold them."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.types as types
from deltalake import DeltaTable, Schema

from pipe_arrow.column_types import Conflict, rounded
from pipe_core.kernel.errors import SinkError
from pipe_delta.place import reason_of

_MOST_DIGITS = 38


def delta_kind(kind: pa.DataType, path: tuple[str, ...] = ()) -> pa.DataType:
    """The type that a column of Delta gets for values of *kind*. One without any value becomes text.

    Raises:
        Conflict: Delta has none.
    """
    if types.is_null(kind):
        return pa.string()
    if types.is_decimal(kind) and kind.precision > _MOST_DIGITS:
        raise Conflict(f"decimals of {kind.precision} digits", f"Delta, which has {_MOST_DIGITS}", path)
    if types.is_list(kind):
        return pa.list_(delta_kind(kind.value_type, path))
    if types.is_struct(kind):
        if not kind.num_fields:
            raise Conflict("objects without any field", "Delta", path)
        return pa.struct([pa.field(one.name, delta_kind(one.type, (*path, one.name))) for one in kind])
    return kind


def columns_of(kind: pa.DataType, fixed: Mapping[str, pa.DataType]) -> pa.Schema:
    """The columns of a new table for records that are structs of *kind*.

    Args:
        kind: What was found in the records.
        fixed: Types that are known.

    Raises:
        Conflict: Delta has no such type.
    """
    names = [*(field.name for field in kind), *(name for name in fixed if kind.get_field_index(name) < 0)]
    found = {field.name: rounded(field.type) for field in kind}
    return pa.schema([(name, fixed[name] if name in fixed else delta_kind(found[name], (name,))) for name in names])


def check_columns(name: str, columns: pa.Schema, partition_by: tuple[str, ...]) -> Schema:
    """The columns as Delta has them.

    Raises:
        SinkError: Delta does not have such.
    """
    seen: dict[str, str] = {}
    for column in columns.names:
        other = seen.setdefault(column.lower(), column)
        if other != column:
            text = f"{name!r} would have the columns {other!r} and {column!r}, which are one and the same for Delta."
            raise SinkError(f"{text} Rename one.", sink=name)
    missing = [column for column in partition_by if column not in columns.names]
    if missing:
        known = ", ".join(columns.names) or "none"
        text = f"{name!r} is to be partitioned by {missing[0]!r}, and the records have no such field: {known}."
        raise SinkError(text, sink=name)
    if len(partition_by) == len(columns):
        text = f"All columns of {name!r} make partitions, and nothing is left for the files. Take one away."
        raise SinkError(text, sink=name)
    try:
        return Schema.from_arrow(columns)
    except Exception as error:  # deltalake raises plain exceptions here
        text = (
            f"{name!r} cannot be a Delta table: {reason_of(error)}. Give the column another type with the option types."
        )
        raise SinkError(text, sink=name) from error


def check_moments(name: str, table: DeltaTable, columns: pa.Schema) -> None:
    """Refuse moments without a time zone as new columns of a table that has none yet.

    Raises:
        SinkError: There are some.
    """
    if "timestampNtz" in (table.protocol().writer_features or ()):
        return
    for field in columns:
        if types.is_timestamp(field.type) and field.type.tz is None:
            raise SinkError(
                f"{name!r} is of a version of Delta without moments that lack a time zone, as {field.name!r} has them. "
                f"Give them one, in the records or with types={{{field.name!r}: pyarrow.timestamp('us', 'UTC')}}.",
                sink=name,
            )
