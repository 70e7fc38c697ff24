"""Why an attempt failed: for the log, and with a hint where an option of ours was given to the function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from pipe_core.kernel.error_text import error_text
from pipe_core.runtime.task import Task

_HINTS: Final = {
    **{
        name: f"{name}= belongs to submit_with({name}=...)(fn, ...)."
        for name in ("timeout", "deadline", "retries", "breaker", "tags")
    },
    "priority": "A priority is a TaskPriority or a number.",
}
"""Options of calls that `TaskExecutor.submit` gives to the function, for they may be its own."""


def reason_of(error: BaseException) -> str:
    """The class of *error* and what it says, on one line and not long.

    Code of the error's own runs here, so never with a lock; whatever it does, there is a text.
    """
    name = type(error).__name__
    try:
        from pipe_core.looks.wording import one_line  # most executors have nothing to tell

        text = one_line(error_text(error))
    except BaseException:  # also Ctrl-C, which whoever runs calls has noted: an end that is not told is a call lost
        return name
    return name if text in ("", name) else f"{name}: {text}"


def hint_at_options(call: Task, error: BaseException) -> None:
    """Say on *error* where an option of ours belongs that the function of *call* has refused as its argument."""
    if type(error) is not TypeError:
        return
    for name, hint in _HINTS.items():
        if name in call.kwargs and _is_refused(error, call.fn, name):
            error.add_note(hint)


def _is_refused(error: TypeError, fn: Callable[..., Any], name: str) -> bool:
    try:
        text = str(error)
        return (f"'{name}'" in text or "no keyword arguments" in text) and not has_parameter(fn, name)
    except BaseException:  # somebody else's code, of an argument of the error or of the function
        return False


def has_parameter(fn: Callable[..., Any], name: str) -> bool:
    """Whether *fn* has a parameter that takes the keyword *name*; ``**kwargs`` does not count as one."""
    try:
        found = inspect.signature(fn).parameters.get(name)
    except (TypeError, ValueError):  # a function in C without a signature
        return False
    return found is not None and found.kind not in (
        inspect.Parameter.VAR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.POSITIONAL_ONLY,
    )
