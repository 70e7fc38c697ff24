"""Copies that share nothing that can be changed."""

from __future__ import annotations

import copy
import datetime
import decimal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipe_core.kernel.contracts import Rejection
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.error_text import error_text

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


def fresh(values: Sequence[Any]) -> tuple[list[Any], dict[int, Rejection]]:
    """*values* with mappings as dicts that may be changed, and those that are rejected, which are None there.

    What is in a mapping and cannot be copied is shared. A value whose own code raises what is no `Exception` then, or
    that cannot even be made a dict, is rejected.
    """
    try:
        return [_fresh(value) if isinstance(value, Mapping) else value for value in values], {}
    except BaseException as error:  # user code: once more, one by one
        if is_ctrl_c(error):
            raise
    made: list[Any] = []
    rejected: dict[int, Rejection] = {}
    for i, value in enumerate(values):
        try:
            made.append(_fresh(value) if isinstance(value, Mapping) else value)
        except BaseException as error:  # SystemExit included
            if is_ctrl_c(error):
                raise
            made.append(None)
            rejected[i] = Rejection(type(error).__name__, f"The record cannot be copied: {error_text(error)}", value)
    return made, rejected


def _fresh(record: Mapping[Any, Any]) -> Any:
    plain = dict(record)
    try:
        return detached(plain)
    except Exception:  # something in it cannot be copied, and is shared
        return plain
