"""The fields of an entry's record, on either side of validation, with errors that say what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from itertools import islice
from typing import Any, Final

from pipe_core.hooks.options import Target
from pipe_core.records.entry import Entry, EntryStatus

_SHOWN: Final = 8
"""How many names of fields a message lists. A record may have thousands."""


class FieldError(ValueError):
    """A record does not have what a hook needs of it. The message names fields and types, never values."""


def record_of(entry: Entry) -> MutableMapping[str, Any]:
    """The fields to read and write: raw before validation, validated behind it.

    Raises:
        FieldError: The record has no fields.
    """
    record = entry.raw_data if entry.status is EntryStatus.PENDING else entry.validated_data
    if type(record) is dict:
        return record
    if isinstance(record, MutableMapping):
        return record
    raise FieldError(f"the record is of type {type(record).__name__}, which has no fields")


def place_of(entry: Entry, target: Target) -> MutableMapping[str, Any]:
    """Where a hook writes for `entry`."""
    return entry.metadata if target == "metadata" else record_of(entry)


def read(record: Mapping[str, Any], field: str) -> Any:
    """The value of *field*.

    Raises:
        FieldError: There is none.
    """
    try:
        return record[field]
    except KeyError:
        raise missing(record, field) from None


def missing(record: Mapping[str, Any], field: str) -> FieldError:
    """The error for a record without *field*."""
    names = _listed(record) or "none at all"
    return FieldError(f"the record has no field '{field}'; its fields: {names}")


def _listed(names: Iterable[object]) -> str:
    shown = [f"{name!s:.40}" for name in islice(names, _SHOWN + 1)]
    return ", ".join(shown if len(shown) <= _SHOWN else [*shown[:_SHOWN], "…"])


def schema_fields(entry: Entry) -> frozenset[str]:
    """The fields of a validated entry that its schema has, and that a record must therefore keep."""
    kind = type(entry._value)
    return frozenset(getattr(kind, "__pydantic_fields__", getattr(kind, "__dataclass_fields__", ())))
