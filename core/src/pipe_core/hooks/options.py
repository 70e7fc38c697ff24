"""Options of the built-in hooks, as a file or a call by name gives them.

A function is given as itself, or in a file as text: ``"package.module:function"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ImportString

Target: TypeAlias = Literal["record", "metadata"]
"""Where a hook writes: into the record (raw before validation, validated behind it) or into the entry's metadata."""

Missing: TypeAlias = Literal["fail", "ignore"]
"""What becomes of a record that lacks a field that is to be renamed."""

Operator: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "matches", "exists"]
OnDuplicate: TypeAlias = Literal["drop", "fail"]

_Function: TypeAlias = ImportString[Callable[..., Any]]


class HookOptions(BaseModel):
    """What every built-in hook can be told.

    Attributes:
        priority: When it runs among the hooks of its side: lower first. See `HookPriority`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: int = 50

    def given(self) -> dict[str, Any]:
        """The options that were said, as keyword arguments."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class TimestampOptions(HookOptions):
    """Options of `timestamp`; see `TimestampHook`."""

    field_name: str = "processed_at"
    timezone: str = "UTC"
    target: Target = "record"
    as_text: bool = False


class FieldMapperOptions(HookOptions):
    """Options of `field_mapper`; see `FieldMapperHook`."""

    mapping: dict[str, str] = Field(default_factory=dict)
    compute: dict[str, _Function] = Field(default_factory=dict)
    target: Target = "record"
    missing: Missing = "fail"


class FilterOptions(HookOptions):
    """Options of `filter`; see `FilterHook`."""

    condition: _Function | None = None
    field: str | None = None
    op: Operator = "eq"
    value: Any = None


class DeduplicateOptions(HookOptions):
    """Options of `deduplicate`; see `DeduplicateHook`."""

    keys: str | tuple[str, ...] | None = None
    on_duplicate: OnDuplicate = "drop"
