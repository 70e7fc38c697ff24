"""Lists, tuples, dicts, sets and slices as flat arrays of cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgpack import ExtType

from pipe_core.codecs import tags
from pipe_core.codecs.crowding import is_crowded
from pipe_core.codecs.reader import Read, Reader
from pipe_core.codecs.writer import PLAIN, Refused, Write, Writer, index_step, key_step
from pipe_core.kernel.errors import CodecError

_SHORT_ARRAY: Final = 16
_MIDDLE_ARRAY: Final = 2**16


def write_list(writer: Writer, values: list[Any]) -> ExtType:
    """A list: as it is when its members are plain, in a shorter form when they all have one type, else by cells."""
    writer.enter()
    kinds = set(map(type, values))
    cell = None
    if kinds <= PLAIN:
        cell = ExtType(tags.LIST, writer.pack(values))
    elif len(kinds) == 1 and len(values) > 1:
        (kind,) = kinds
        write_many = writer.many.get(kind)
        cell = write_many(writer, values) if write_many else None
    if cell is None:
        cell = ExtType(tags.LIST, writer.pack(writer.cells(values, index_step)))
    writer.leave()
    return cell


def _read_list(reader: Reader, data: bytes) -> list[Any]:
    return reader.items(data)


def _write_tuple(writer: Writer, values: tuple[Any, ...]) -> ExtType:
    writer.enter()
    cell = ExtType(tags.TUPLE, writer.pack(writer.cells(values, index_step)))
    writer.leave()
    return cell


def _read_tuple(reader: Reader, data: bytes) -> tuple[Any, ...]:
    return tuple(reader.items(data))


def write_dict(writer: Writer, value: dict[Any, Any]) -> ExtType:
    """All keys, then all values."""
    writer.enter()
    keys = list(value)
    cells = [*keys, *value.values()]
    if is_crowded(keys):
        raise Refused("too many keys of the dict have the same hash")
    if not set(map(type, cells)) <= PLAIN:
        values = cells[len(keys) :]
        cells = writer.cells(keys, lambda i: f"<key {repr(keys[i])[:80]}>")
        cells += writer.cells(values, lambda i: key_step(keys[i]))
    cell = ExtType(tags.DICT, writer.pack(cells))
    writer.leave()
    return cell


def _read_dict(reader: Reader, data: bytes) -> dict[Any, Any]:
    items = reader.items(data)
    half = len(items) // 2
    keys = items[:half]
    if is_crowded(keys):
        raise CodecError("The frame holds a dict with too many keys that have the same hash.")
    value = dict(zip(keys, items[half:], strict=True))
    if len(value) != half:
        raise CodecError("The frame is malformed: a dict has the same key twice.")
    return value


def _write_set(writer: Writer, value: set[Any] | frozenset[Any]) -> ExtType:
    """The members in the order of their bytes, so that equal sets give equal bytes."""
    writer.enter()
    if is_crowded(value):
        raise Refused("too many members of the set have the same hash")
    cells = writer.cells(value, lambda i: "<member>")
    members = sorted(map(writer.pack, cells))
    data = b"".join([_array_header(len(members)), *members])
    writer.leave()
    return ExtType(tags.SET if type(value) is set else tags.FROZENSET, data)


def _read_set(reader: Reader, data: bytes) -> set[Any]:
    items = reader.items(data)
    if is_crowded(items):
        raise CodecError("The frame holds a set with too many members that have the same hash.")
    value = set(items)
    if len(value) != len(items):
        raise CodecError("The frame is malformed: a set has the same member twice.")
    return value


def _read_frozenset(reader: Reader, data: bytes) -> frozenset[Any]:
    return frozenset(_read_set(reader, data))


def _write_slice(writer: Writer, value: slice) -> ExtType:
    writer.enter()
    cells = writer.cells((value.start, value.stop, value.step), lambda i: (".start", ".stop", ".step")[i])
    writer.leave()
    return ExtType(tags.SLICE, writer.pack(cells))


def _read_slice(reader: Reader, data: bytes) -> slice:
    start, stop, step = reader.items(data)
    return slice(start, stop, step)


def _array_header(length: int) -> bytes:
    """How msgpack begins an array of *length* items."""
    if length < _SHORT_ARRAY:
        return bytes([0x90 | length])
    if length < _MIDDLE_ARRAY:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")


SINGLE: Final[Mapping[type, Write]] = {
    list: write_list,
    tuple: _write_tuple,
    dict: write_dict,
    set: _write_set,
    frozenset: _write_set,
    slice: _write_slice,
}
READ: Final[Mapping[int, Read]] = {
    tags.LIST: _read_list,
    tags.TUPLE: _read_tuple,
    tags.DICT: _read_dict,
    tags.SET: _read_set,
    tags.FROZENSET: _read_frozenset,
    tags.SLICE: _read_slice,
}
