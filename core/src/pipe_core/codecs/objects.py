"""Pydantic models, dataclasses and NamedTuples: the class by its place in the table, then the attributes.

Making one again runs no validation and no ``__init__``: what was encoded had passed both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from msgpack import ExtType
from pydantic import BaseModel

from pipe_core.codecs import tags
from pipe_core.codecs.containers import write_dict, write_list
from pipe_core.codecs.members import HINT
from pipe_core.codecs.reader import Reader
from pipe_core.codecs.writer import Writer
from pipe_core.kernel.errors import CodecError

State: TypeAlias = dict[str, Any]
"""The attributes of an object, in their order."""
Rest: TypeAlias = "list[Any] | None"
"""What an object has besides attributes; mostly nothing."""


class Shape(Protocol):
    """How objects of one class are taken apart and made again."""

    kind: type

    def take(self, value: Any) -> tuple[State, Rest]:
        """The parts of *value*."""

    def make(self, state: State, rest: Rest) -> Any:
        """An object of these parts."""


Shapes: TypeAlias = Mapping[int, Shape]


class ModelShape:
    """Pydantic models: the fields, and, where they are not what one expects, fields set, extras and privates."""

    def __init__(self, kind: type[BaseModel]) -> None:
        self.kind: type = kind
        self._fields = kind.model_fields.keys()

    def take(self, value: BaseModel) -> tuple[State, Rest]:
        """The attributes of *value*, and what else it has."""
        state = vars(value)
        if not state.keys() <= self._fields:  # a cached property: computed, not content
            state = {name: part for name, part in state.items() if name in self._fields}
        fields_set = value.__pydantic_fields_set__
        extra, private = value.__pydantic_extra__, value.__pydantic_private__
        if extra is None and private is None and fields_set == state.keys():
            return state, None
        return state, [sorted(fields_set), extra, private]

    def make(self, state: State, rest: Rest) -> Any:
        """An object of these parts."""
        if not state.keys() <= self._fields:
            raise CodecError(f"The frame holds fields that {self.kind.__qualname__} does not have. {HINT}")
        fields_set, extra, private = rest or (state, None, None)
        value: Any = object.__new__(self.kind)
        object.__setattr__(value, "__dict__", state)
        object.__setattr__(value, "__pydantic_fields_set__", set(fields_set))
        object.__setattr__(value, "__pydantic_extra__", extra)
        object.__setattr__(value, "__pydantic_private__", private)
        return value


class DataclassShape:
    """Dataclasses: what is in ``__dict__`` and in slots, without cached properties."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._slots = frozenset(_slots(kind))
        self._cached = frozenset(
            name for base in kind.__mro__ for name, part in vars(base).items() if isinstance(part, cached_property)
        )

    def take(self, value: Any) -> tuple[State, Rest]:
        """The attributes of *value*, and what else it has."""
        state = dict(getattr(value, "__dict__", ()))
        for name in self._cached & state.keys():
            del state[name]
        state.update((name, getattr(value, name)) for name in sorted(self._slots) if hasattr(value, name))
        return state, None

    def make(self, state: State, rest: Rest) -> Any:
        """An object of these parts."""
        value: Any = object.__new__(self.kind)
        for name in self._slots & state.keys():
            object.__setattr__(value, name, state.pop(name))
        if state:
            vars(value).update(state)
        return value


class NamedTupleShape:
    """NamedTuples: their fields."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self._fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]  # `is_named_tuple` looked

    def take(self, value: Any) -> tuple[State, Rest]:
        """The attributes of *value*, and what else it has."""
        return dict(zip(self._fields, value, strict=True)), None

    def make(self, state: State, rest: Rest) -> Any:
        """An object of these parts."""
        if tuple(state) != self._fields:
            raise CodecError(f"The frame holds other fields than {self.kind.__qualname__} has. {HINT}")
        return tuple.__new__(self.kind, state.values())


def shape_of(kind: type) -> Shape:
    """How objects of the class *kind* are taken apart and made again."""
    if issubclass(kind, BaseModel):
        return ModelShape(kind)
    if dataclasses.is_dataclass(kind):
        return DataclassShape(kind)
    return NamedTupleShape(kind)


def is_named_tuple(kind: type) -> bool:
    """Whether *kind* was made by `typing.NamedTuple` or `collections.namedtuple`, or extends such a class."""
    return issubclass(kind, tuple) and isinstance(getattr(kind, "_fields", None), tuple)


def write_object(i: int, shape: Shape, writer: Writer, value: Any) -> ExtType:
    """The extension of one object."""
    writer.enter()
    state, rest = shape.take(value)
    cells = [i, write_dict(writer, state), None if rest is None else write_list(writer, rest)]
    writer.leave()
    return ExtType(tags.OBJECT, writer.pack(cells))


def read_object(shapes: Shapes, reader: Reader, data: bytes) -> Any:
    """The object that `write_object` wrote."""
    i, state, rest = reader.items(data)
    return _make(_shape(shapes, i), state, rest)


def write_objects(i: int, shape: Shape, writer: Writer, values: list[Any]) -> ExtType:
    """The attributes as a list of dicts, which becomes columns."""
    parts = [shape.take(value) for value in values]
    states = write_list(writer, [state for state, _ in parts])
    rests = [rest for _, rest in parts]
    return ExtType(tags.OBJECTS, writer.pack([i, states, write_list(writer, rests) if any(rests) else None]))


def read_objects(shapes: Shapes, reader: Reader, data: bytes) -> list[Any]:
    """The objects that `write_objects` wrote."""
    i, states, rests = reader.items(data)
    shape = _shape(shapes, i)
    if rests is None:
        return [_make(shape, state, None) for state in states]
    return [_make(shape, state, rest) for state, rest in zip(states, rests, strict=True)]


def _make(shape: Shape, state: Any, rest: Any) -> Any:
    if type(state) is not dict or not set(map(type, state)) <= {str} or type(rest) not in (list, type(None)):
        raise CodecError("The frame is malformed: an object has no attributes.")
    return shape.make(state, rest)


def _shape(shapes: Shapes, i: Any) -> Shape:
    shape = shapes.get(i)
    if shape is None:
        raise CodecError(f"The frame needs a class at place {i} of the table of types, and there is none. {HINT}")
    return shape


def _slots(kind: type) -> Iterator[str]:
    """The names of all slots of a class, as `getattr` wants them."""
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                is_private = name.startswith("__") and not name.endswith("__")
                yield f"_{base.__name__.lstrip('_')}{name}" if is_private else name
