"""The table of types: which classes the values of a run may be instances of.

Those that a schema names are found in pydantic's core schema, by a walk whose order depends on nothing else. Driver
and workers walk for themselves and compare the names, because a class that is made at run time, such as ``Box[int]``,
would be another one on a worker if it travelled alone. Those that records hold besides are found in the records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from pipe_core.records.schema import Schema

_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
_CONTAINERS: Final = (list, tuple, set, frozenset)


def types_of(schema: Schema | None) -> tuple[type, ...]:
    """Every class that *schema* names, and those of the members and defaults in it, in the order of the schema."""
    if schema is None:
        return ()
    found: dict[type, None] = {}
    seen: set[int] = set()
    waiting: list[Any] = [schema._adapter.core_schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, type):
            found[part] = None
        elif isinstance(part, Mapping | list | tuple):
            if id(part) not in seen:
                seen.add(id(part))
                waiting += reversed(list(_parts(part)))
        elif type(part) not in _PLAIN:
            found[type(part)] = None  # a member in a Literal, a default
    return tuple(found)


def _parts(part: Any) -> Iterator[Any]:
    if not isinstance(part, Mapping):
        yield from part
        return
    for key, value in part.items():
        if key not in ("metadata", "serialization", "ref", "schema_ref"):
            yield value


def classes_in(value: Any) -> tuple[type, ...]:
    """The classes of all that *value* holds, to its depth, in the order in which they are met."""
    found: dict[type, None] = {}
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if kind in _PLAIN or id(part) in seen:
            continue
        seen.add(id(part))
        if kind not in found and kind not in _CONTAINERS and kind is not dict:
            found[kind] = None
        waiting += _members(part)
    return tuple(found)


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, _CONTAINERS):
        return list(value)
    if isinstance(value, BaseModel):
        return [value.__dict__, value.__pydantic_extra__, value.__pydantic_private__]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return []
