"""Legible forms of values that no serializer takes: for error rows, which must be written whatever is in them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_jsonable_python

from pipe_core.kernel.ctrl_c import is_ctrl_c

_DEEPEST: Final = 50
_LARGEST: Final = 2**4096
"""Python refuses to write much larger integers in decimal."""


def legible(value: Any, depth: int = 0) -> Any:
    """*value* as data that JSON knows, with escapes for what is not UTF-8 and words for what has no form.

    What is nested more than 50 deep, or in itself, ends in ``"…"``. Never fails.
    """
    if depth > _DEEPEST:
        return "…"
    try:
        return _legible(value, depth)
    except BaseException as error:  # of a class that has no JSON form, or whose own code raises
        if is_ctrl_c(error):
            raise
        return _text(value)


NOTHING_SHOWN: Final = "…"
"""In the place of what is not shown."""


def names_only(value: Any) -> Any:
    """The legible field names of *value*, each with ``"…"``, or that alone where it has none. Never fails."""
    try:
        return {_text(key): NOTHING_SHOWN for key in value} if isinstance(value, Mapping) else NOTHING_SHOWN
    except BaseException as error:  # a class of mappings may have code of its own
        if is_ctrl_c(error):
            raise
        return NOTHING_SHOWN


def _legible(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {_text(key): legible(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [legible(item, depth + 1) for item in value]
    if type(value) is int:
        return value if abs(value) < _LARGEST else f"<an integer of {value.bit_length()} bits>"
    if isinstance(value, str | bytes | bytearray):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    plain = to_jsonable_python(value, inf_nan_mode="strings")
    return _text(plain) if isinstance(plain, str) else plain


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        text = value if type(value) is str else str(value)
    except BaseException as error:  # user code: its __str__ may raise
        if is_ctrl_c(error):
            raise
        text = f"<{type(value).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
