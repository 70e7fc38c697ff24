"""What the log of a table says of a file: how many records it has, and between which values they are.

Readers leave out files by this, and some take what is said of a part of the columns for all there is. So it is said of
every column with a simple type, or, where one has what cannot be said for certain, of none.
"""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as types

_MOST_COLUMNS: Final = 200
_LONGEST: Final = 64
_LAST: Final = 0x10FFFF


class _NotCertain(ValueError):
    """Nothing can be said of a column that holds for all of its values."""


def statistics(path: str) -> str:
    """Those of the Parquet file *path*, as JSON."""
    with pq.ParquetFile(path) as file:
        count = f'"numRecords": {file.metadata.num_rows}'
        try:
            return f"{{{count}, {_columns(file)}}}"
        except (ValueError, OverflowError):  # also of a moment that Python does not have
            return f"{{{count}}}"


def _columns(file: pq.ParquetFile) -> str:
    schema = file.schema_arrow
    names = [field.name for field in schema if _is_simple(field.type)]
    if len(names) > _MOST_COLUMNS:
        raise _NotCertain
    least: dict[str, str] = {}
    most: dict[str, str] = {}
    nulls: dict[str, str] = {}
    for name in names:
        if types.is_floating(schema.field(name).type) and _has_nan(file, name):
            raise _NotCertain
        found = _found(file, schema, name)
        nulls[name] = str(sum(one.null_count for one in found))
        if present := [one for one in found if one.has_min_max]:
            least[name] = _said(min(one.min for one in present))
            most[name] = _said(max(one.max for one in present), is_most=True)
    return ", ".join(
        f"{_json(key)}: {{{', '.join(f'{_json(name)}: {text}' for name, text in of.items())}}}"
        for key, of in (("minValues", least), ("maxValues", most), ("nullCount", nulls))
    )


def _is_simple(kind: pa.DataType) -> bool:
    return not (types.is_nested(kind) or types.is_binary(kind))


def _found(file: pq.ParquetFile, schema: pa.Schema, name: str) -> list[Any]:
    """What the file says of a column, by row groups."""
    (number,) = [i for i in range(file.metadata.num_columns) if file.schema.column(i).path == name]
    found = []
    for group in range(file.metadata.num_row_groups):
        one = file.metadata.row_group(group).column(number).statistics
        rows = file.metadata.row_group(group).num_rows
        if one is None or not one.has_null_count or (not one.has_min_max and one.null_count < rows):
            raise _NotCertain
        found.append(one)
    return found


def _has_nan(file: pq.ParquetFile, name: str) -> bool:
    return any(pc.any(pc.is_nan(data.column(0))).as_py() for data in file.iter_batches(columns=[name]))


def _said(value: Any, *, is_most: bool = False) -> str:
    """A value as JSON. Of a moment the milliseconds: readers know that they are cut off."""
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat("T" if value.tzinfo else " ", "milliseconds")
        return _json(f"{text}Z" if value.tzinfo else text)
    if isinstance(value, datetime.date):
        return _json(value.isoformat())
    if isinstance(value, str) and len(value) > _LONGEST:
        value = _behind(value[:_LONGEST]) if is_most else value[:_LONGEST]
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _behind(text: str) -> str:
    """Text that comes behind all that begins with *text*."""
    for i in range(len(text) - 1, -1, -1):
        number = ord(text[i]) + 1
        if 0xD800 <= number <= 0xDFFF:  # halves of characters
            number = 0xE000
        if number <= _LAST:
            return text[:i] + chr(number)
    raise _NotCertain
