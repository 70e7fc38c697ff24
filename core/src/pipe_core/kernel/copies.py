"""Copies that share nothing that can be changed."""

from __future__ import annotations

import copy
import datetime
import decimal
import uuid
from typing import Any, Final

_UNCHANGEABLE: Final = frozenset(
    {
        str,
        int,
        float,
        bool,
        bytes,
        type(None),
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        uuid.UUID,
    }
)


def detached(value: Any) -> Any:
    """A deep copy of *value*; a flat dictionary, the ordinary record, is copied quickly.

    Raises:
        Exception: Something in it cannot be copied; whatever its own copying raises.
    """
    if type(value) is dict and _UNCHANGEABLE.issuperset(map(type, value.values())):
        return dict(value)
    return copy.deepcopy(value)
