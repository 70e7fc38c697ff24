"""When two values are the same: a digest of what they are, equal on every worker."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping, Set
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from pydantic import AnyUrl

from pipe_core.hooks.fields import FieldError

_ATOMS: Final = frozenset({str, int, float, bool, bytes, type(None)})
"""Types whose `repr` says type and value, and nothing else."""

_TEXTS: Final = (UUID, Decimal, Fraction, complex, timedelta, IPv4Address, IPv6Address, PurePath, AnyUrl)
"""Types whose text says their whole value."""


DIGEST_BYTES: Final = 16


def digest(values: tuple[Any, ...]) -> bytes:
    """16 bytes that are the same for the same values, in every process.

    Values are the same when they have the same type and are written the same: ``1``, ``1.0`` and ``"1"`` are three.
    Two different values have the same digest with a chance of 2^-128 (BLAKE2b, RFC 7693).

    Raises:
        FieldError: A value is of a type that cannot be compared this way.
    """
    plain = values if _ATOMS.issuperset(map(type, values)) else tuple(map(_plain, values))
    return hashlib.blake2b(repr(plain).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _plain(value: Any) -> Any:
    """*value* as nested tuples of atoms, each with its type, so that `repr` tells any two of them apart."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    tag = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, enum.Enum):
        return tag, value.name
    if isinstance(value, date | time):
        return tag, value.isoformat(), getattr(value, "fold", 0)
    if isinstance(value, _TEXTS):
        return tag, str(value)
    return tag, *_members(value)


def _members(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Set):
        return sorted(repr(_plain(item)) for item in value)
    if isinstance(value, Mapping):
        return sorted((repr(_plain(key)), repr(_plain(item))) for key, item in value.items())
    if dataclasses.is_dataclass(value):
        return [(field.name, _plain(getattr(value, field.name))) for field in dataclasses.fields(value)]
    if hasattr(type(value), "model_fields"):
        return _members({**vars(value), **(value.__pydantic_extra__ or {})})
    raise FieldError(
        f"values of type {type(value).__name__} cannot be told apart; choose other keys, or compute one before"
    )
