"""The table of types: enums, pydantic models, dataclasses and NamedTuples travel by their class's place in it.

A frame never names a class, so decoding never imports one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import Enum, Flag
from functools import partial
from typing import Final

from pydantic import BaseModel

from pipe_core.codecs import members, objects, tags
from pipe_core.codecs.reader import Read
from pipe_core.codecs.writer import Write, WriteMany
from pipe_core.kernel.errors import CodecError

_HEAP_TYPE: Final = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``: the class was made by a class statement; built-in types that hold content were not."""


def can_travel(kind: type) -> bool:
    """Whether instances of the class *kind* can travel when it is in the table of types.

    Enums can, and pydantic models, dataclasses and NamedTuples that do not also extend a built-in type such as dict.
    """
    if issubclass(kind, Enum):
        return True
    if objects.is_named_tuple(kind):
        return kind.__dictoffset__ == 0
    is_record = issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)
    return is_record and all(base.__flags__ & _HEAP_TYPE for base in kind.__mro__[:-1])


def writers(types: Sequence[type]) -> tuple[dict[type, Write], dict[type, WriteMany]]:
    """How one instance, and how a list of instances, of each class in the table is written.

    Raises:
        CodecError: Objects of a class cannot travel.
    """
    single: dict[type, Write] = {}
    many: dict[type, WriteMany] = {}
    for i, kind in enumerate(types):
        if not can_travel(kind):
            raise CodecError(
                f"{kind.__module__}.{kind.__qualname__} cannot be in the table of types: it is no enum, pydantic "
                "model, dataclass or NamedTuple, or it extends a built-in type whose content would be lost."
            )
        if issubclass(kind, Flag):
            single[kind] = partial(members.write_flag, i)
        elif issubclass(kind, Enum):
            single[kind] = partial(members.write_member, i)
            many[kind] = partial(members.write_members, i)
        else:
            shape = objects.shape_of(kind)
            single[kind] = partial(objects.write_object, i, shape)
            many[kind] = partial(objects.write_objects, i, shape)
    return single, many


def readers(types: Sequence[type]) -> tuple[dict[int, Read], dict[int, Read]]:
    """How what `writers` made is read: scalars first, containers second."""
    shapes = {i: objects.shape_of(kind) for i, kind in enumerate(types) if not issubclass(kind, Enum)}
    enums = {i: kind for i, kind in enumerate(types) if issubclass(kind, Enum)}
    scalars: dict[int, Read] = {
        tags.MEMBER: partial(members.read_member, enums),
        tags.FLAG: partial(members.read_flag, enums),
    }
    containers: dict[int, Read] = {
        tags.MEMBERS: partial(members.read_members, enums),
        tags.OBJECT: partial(objects.read_object, shapes),
        tags.OBJECTS: partial(objects.read_objects, shapes),
    }
    return scalars, containers
