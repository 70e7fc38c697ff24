"""Describes the built-in hooks. Imports none of them."""

from __future__ import annotations

from typing import Any

from pipe_core.hooks.options import (
    DeduplicateOptions,
    FieldMapperOptions,
    FilterOptions,
    TimestampOptions,
)
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import HookSpec


def _timestamp(options: TimestampOptions) -> Any:
    from pipe_core.hooks.timestamp import TimestampHook

    return TimestampHook(**options.given())


def _field_mapper(options: FieldMapperOptions) -> Any:
    from pipe_core.hooks.field_mapper import FieldMapperHook

    return FieldMapperHook(**options.given())


def _filter(options: FilterOptions) -> Any:
    from pipe_core.hooks.filter import FilterHook

    return FilterHook(**options.given())


def _deduplicate(options: DeduplicateOptions) -> Any:
    from pipe_core.hooks.deduplicate import DeduplicateHook

    return DeduplicateHook(**options.given())


_SPECS = {
    "timestamp": HookSpec(_timestamp, TimestampOptions, "Notes when a record was processed", when="post"),
    "field_mapper": HookSpec(_field_mapper, FieldMapperOptions, "Renames and computes fields", when="pre"),
    "filter": HookSpec(_filter, FilterOptions, "Keeps the records for which a condition holds", when="post"),
    "deduplicate": HookSpec(_deduplicate, DeduplicateOptions, "Keeps the first record of each key", when="post"),
}


@hookimpl
def pipe_hook(name: str) -> HookSpec | None:
    """The spec of `timestamp`, `field_mapper`, `filter` or `deduplicate`."""
    return _SPECS.get(name)
