"""Avro: writing one file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.types as types
from fastavro.write import Writer

from pipe_arrow.file_checksum import EMPTY, KEY, patch
from pipe_arrow.options import AvroOptions
from pipe_arrow.python_values import values

_PRIMITIVES = {
    pa.bool_(): "boolean",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.large_string(): "string",
    pa.binary(): "bytes",
    pa.large_binary(): "bytes",
    pa.date32(): {"type": "int", "logicalType": "date"},
    pa.time64("us"): {"type": "long", "logicalType": "time-micros"},
    pa.timestamp("us"): {"type": "long", "logicalType": "local-timestamp-micros"},
    pa.timestamp("ms"): {"type": "long", "logicalType": "local-timestamp-millis"},
}


class AvroWriter:
    """An Avro file that is written. Every field may be null.

    Args:
        raw: Where its bytes go.
        schema: The names and types of its columns.
        options: Compression.
    """

    def __init__(self, raw: Any, schema: pa.Schema, options: AvroOptions) -> None:
        self._raw = raw
        names = (f"record_{i}" for i in itertools.count())
        codec = "null" if options.compression == "none" else options.compression
        self._writer = Writer(
            raw,
            fastavro.parse_schema(_type(pa.struct(list(schema)), names)),
            codec=codec,
            metadata={KEY: EMPTY},
            sync_marker=hashlib.blake2b(str(schema).encode(), digest_size=16).digest(),  # not random: same bytes
        )

    def write(self, table: pa.Table) -> None:
        """Write some records."""
        for data in table.to_batches():
            columns = [values(column) for column in data.columns]
            for row in zip(*columns, strict=True):
                self._writer.write(dict(zip(data.schema.names, row, strict=True)))

    def close(self) -> None:
        """Write the last block, and the checksum."""
        self._writer.flush()
        self._raw.flush()
        patch(self._raw, 0, self._raw.tell())


def _type(kind: pa.DataType, names: Iterator[str]) -> Any:
    if types.is_null(kind):
        return "null"
    if types.is_struct(kind):
        fields = [{"name": field.name, "type": _nullable(field.type, names)} for field in kind]
        return {"type": "record", "name": next(names), "fields": fields}
    if types.is_map(kind) and types.is_string(kind.key_type):
        return {"type": "map", "values": _nullable(kind.item_type, names)}
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return {"type": "array", "items": _nullable(kind.value_type, names)}
    if types.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if types.is_timestamp(kind) and kind.tz is not None and kind.unit in ("us", "ms"):
        unit = "micros" if kind.unit == "us" else "millis"
        return {"type": "long", "logicalType": f"timestamp-{unit}"}
    if kind not in _PRIMITIVES:
        raise TypeError(f"Avro has no type for {kind}")
    return _PRIMITIVES[kind]


def _nullable(kind: pa.DataType, names: Iterator[str]) -> Any:
    return "null" if types.is_null(kind) else ["null", _type(kind, names)]
