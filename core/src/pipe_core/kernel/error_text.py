"""What an error or a value of user code says, whatever its own code does."""

from __future__ import annotations

import reprlib
from typing import Final

from pipe_core.kernel.ctrl_c import is_ctrl_c

_REPR: Final = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def error_text(error: BaseException) -> str:
    """What *error* says, or its class where it says nothing."""
    try:
        return str(error) or type(error).__name__
    except BaseException as problem:  # user code: its __str__ may raise too
        if is_ctrl_c(problem):
            raise
        return type(error).__name__


def short_repr(value: object) -> str:
    """The repr of *value*, which may be long and somebody else's code, or its class."""
    try:
        return _REPR.repr(value)
    except BaseException as problem:
        if is_ctrl_c(problem):
            raise
        return f"<a {type(value).__name__}>"
