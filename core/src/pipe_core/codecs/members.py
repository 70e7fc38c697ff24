"""Members of enums: the class by its place in the table, the member by its name.

A member's name and not its place, because members are moved around more often than they are renamed, and a frame
may be read by a later version of the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, Flag
from typing import Any, TypeAlias

from msgpack import ExtType

from pipe_core.codecs import tags
from pipe_core.codecs.reader import Reader
from pipe_core.codecs.writer import Writer
from pipe_core.kernel.errors import CodecError

Enums: TypeAlias = Mapping[int, type[Enum]]


def write_member(i: int, writer: Writer, value: Enum) -> ExtType:
    """The extension of one member."""
    return ExtType(tags.MEMBER, writer.pack([i, value._name_]))


def read_member(enums: Enums, reader: Reader, data: bytes) -> Enum:
    """The member that `write_member` wrote."""
    i, name = reader.items(data)
    return _member(_enum(enums, i), name)


def write_flag(i: int, writer: Writer, value: Flag) -> ExtType:
    """By value, because a combination of flags has no name of its own."""
    return ExtType(tags.FLAG, writer.pack([i, int(value._value_)]))


def read_flag(enums: Enums, reader: Reader, data: bytes) -> Enum:
    """The flags that `write_flag` wrote."""
    i, bits = reader.items(data)
    return _enum(enums, i)(bits)


def write_members(i: int, writer: Writer, values: list[Enum]) -> ExtType:
    """Each name that occurs once, then which of them stands where."""
    names = [value._name_ for value in values]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return ExtType(tags.MEMBERS, writer.pack([i, len(places), *places, *[places[name] for name in names]]))


def read_members(enums: Enums, reader: Reader, data: bytes) -> list[Enum]:
    """The members that `write_members` wrote."""
    i, count, *items = reader.items(data)
    kind = _enum(enums, i)
    found = [_member(kind, name) for name in items[:count]]
    places = items[count:]
    if min(places) < 0:
        raise CodecError("The frame is malformed: an enum member has a negative place.")
    return [found[place] for place in places]


def _enum(enums: Enums, i: Any) -> type[Enum]:
    kind = enums.get(i)
    if kind is None:
        raise CodecError(f"The frame needs an enum at place {i} of the table of types, and there is none. {HINT}")
    return kind


def _member(kind: type[Enum], name: Any) -> Enum:
    member = kind.__members__.get(name)
    if member is None:
        raise CodecError(f"The frame holds the member {name!r}, which {kind.__qualname__} does not have. {HINT}")
    return member


HINT = "Decode with the same table of types that encoded it: codec.with_types(types)."
