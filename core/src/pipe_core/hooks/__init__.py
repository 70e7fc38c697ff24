"""The record hooks that come with core: `timestamp`, `field_mapper`, `filter` and `deduplicate`.

Each is a class that can be made directly or by its name: ``FilterHook(field="age", op="ge", value=18)`` and
``("filter", {"field": "age", "op": "ge", "value": 18})`` are the same. All of them run before or after validation, and
a record that one of them cannot work on fails alone, with a clear reason. Names are handed out lazily, so that
importing the light module `plugin` imports no more than the options.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipe_core.hooks.deduplicate import DeduplicateHook as DeduplicateHook
    from pipe_core.hooks.field_mapper import FieldMapperHook as FieldMapperHook
    from pipe_core.hooks.filter import FilterHook as FilterHook
    from pipe_core.hooks.timestamp import TimestampHook as TimestampHook

_HOMES = {
    "DeduplicateHook": "deduplicate",
    "FieldMapperHook": "field_mapper",
    "FilterHook": "filter",
    "TimestampHook": "timestamp",
}

__all__ = ["DeduplicateHook", "FieldMapperHook", "FilterHook", "TimestampHook"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
