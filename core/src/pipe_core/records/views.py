"""Views: the mapping over a validated value that hooks read and write.

What is written to a field is written to the value, which the sink serialises as its schema says. Keys that a hook adds
are found by `added_keys` and written after the schema's fields.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from pydantic import BaseModel, RootModel


def view_of(value: Any) -> Any:
    """The view of *value*.

    For an instance of a model or dataclass it is the instance's own dictionary, so nothing is copied. A dictionary,
    and a value that has no fields, is its own view.
    """
    if isinstance(value, BaseModel):
        if isinstance(value, RootModel):
            return view_of(value.root)
        return value.__dict__ if value.__pydantic_extra__ is None else OpenView(value)
    if hasattr(type(value), "__dataclass_fields__"):
        return value.__dict__ if hasattr(value, "__dict__") else SlotView(value)
    return value


def is_view_of(value: Any, view: Any) -> bool:
    """Whether what is written to *view* is written to *value*."""
    if isinstance(view, OpenView | SlotView):
        return view.instance is value
    return view is view_of(value)


def added_keys(value: Any, view: Any, fields: Sequence[str] | None) -> dict[str, Any]:
    """What hooks added to the *view* of *value* and the serializer of *value* would not write.

    *fields* are the names of a schema that has them without a class for its values: a `TypedDict`.
    """
    if isinstance(view, SlotView):
        return view.added
    while isinstance(value, RootModel):
        value = value.root  # the view is that of what is inside
    kind = type(value)
    if isinstance(value, dict):
        known: Any = view if fields is None else fields
    else:
        known = getattr(kind, "__pydantic_fields__", getattr(kind, "__dataclass_fields__", view))
    if known is view or isinstance(view, OpenView) or not isinstance(view, dict):
        return {}
    return {key: item for key, item in view.items() if key not in known and not _is_cached(kind, key)}


def _is_cached(kind: type, name: str) -> bool:
    """Whether *name* is an attribute that the class computes and keeps in the instance's dictionary."""
    return isinstance(inspect.getattr_static(kind, name, None), functools.cached_property)


class OpenView(MutableMapping[str, Any]):
    """The fields and the extra fields of a model with ``extra="allow"`` as one mapping."""

    __slots__ = ("_extra", "_fields", "instance")

    def __init__(self, instance: Any) -> None:
        self.instance = instance
        self._fields: dict[str, Any] = instance.__dict__
        self._extra: dict[str, Any] = instance.__pydantic_extra__

    def __getitem__(self, key: str) -> Any:
        return self._fields[key] if key in self._fields else self._extra[key]

    def __setitem__(self, key: str, value: Any) -> None:
        (self._fields if key in self._fields else self._extra)[key] = value

    def __delitem__(self, key: str) -> None:
        del (self._fields if key in self._fields else self._extra)[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._fields
        yield from self._extra

    def __len__(self) -> int:
        return len(self._fields) + len(self._extra)

    def __repr__(self) -> str:
        return f"{dict(self)!r}"


class SlotView(MutableMapping[str, Any]):
    """The fields of a dataclass with slots, and the keys that hooks added, as one mapping."""

    __slots__ = ("_names", "added", "instance")

    def __init__(self, instance: Any) -> None:
        self.instance = instance
        self.added: dict[str, Any] = {}
        self._names = tuple(type(instance).__dataclass_fields__)

    def __getitem__(self, key: str) -> Any:
        return getattr(self.instance, key) if key in self._names else self.added[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self._names:
            setattr(self.instance, key, value)
        else:
            self.added[key] = value

    def __delitem__(self, key: str) -> None:
        del self.added[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._names
        yield from self.added

    def __len__(self) -> int:
        return len(self._names) + len(self.added)

    def __repr__(self) -> str:
        return f"{dict(self)!r}"
