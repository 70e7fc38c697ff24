"""A checksum of the names, types and values of Arrow data, whatever its buffers look like."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types


def checksum(data: pa.RecordBatch, number: int) -> bytes:
    """The checksum of *data*, which is the record batch *number* of its file."""
    digest = hashlib.blake2b(f"{number} {data.num_rows}".encode(), digest_size=16)
    for name, array in zip(data.schema.names, data.columns, strict=True):
        digest.update(f"{name!r}: {array.type}".encode())
        _add(digest, array)
    return digest.hexdigest().encode()


def _add(digest: Any, array: pa.Array) -> None:
    """Adds which values are null, and the values, without what lies behind nulls or outside of a slice."""
    kind = array.type
    if types.is_null(kind):
        return
    digest.update(_bytes(array.is_valid().cast(pa.uint8()), 1))
    if types.is_struct(kind):
        for part in array.flatten():
            _add(digest, part)
    elif types.is_map(kind):
        _add(digest, array.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))))
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        _add_lengths(digest, pc.list_value_length(array))
        _add(digest, array.flatten())
    elif types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        present = array.drop_null()
        _add_lengths(digest, pc.binary_length(present))
        _add_text(digest, present)
    elif types.is_boolean(kind):
        digest.update(_bytes(array.drop_null().cast(pa.uint8()), 1))
    elif types.is_primitive(kind) or types.is_decimal(kind):
        digest.update(_bytes(array.drop_null(), kind.bit_width // 8))
    else:  # types that somebody asked for by name
        digest.update(repr(array.drop_null().to_pylist()).encode("utf-8", "surrogatepass"))


def _add_lengths(digest: Any, lengths: pa.Array) -> None:
    digest.update(_bytes(lengths.drop_null().cast(pa.int64()), 8))


def _add_text(digest: Any, array: pa.Array) -> None:
    if not len(array):
        return
    wide = array.cast(pa.large_binary())
    ends, data = memoryview(wide.buffers()[1]).cast("q"), wide.buffers()[2]
    if data is not None:
        digest.update(memoryview(data)[ends[wide.offset] : ends[wide.offset + len(wide)]])


def _bytes(array: pa.Array, width: int) -> memoryview:
    """The values of an array without nulls, of so many bytes each."""
    if not len(array):
        return memoryview(b"")
    return memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]
