"""What an error of user code says, whatever its own code does."""

from __future__ import annotations

from pipe_core.kernel.ctrl_c import is_ctrl_c


def error_text(error: BaseException) -> str:
    """What *error* says, or its class where it says nothing."""
    try:
        return str(error) or type(error).__name__
    except BaseException as problem:  # user code: its __str__ may raise too
        if is_ctrl_c(problem):
            raise
        return type(error).__name__
