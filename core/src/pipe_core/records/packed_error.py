"""Errors that end a run, as text and numbers: what pipe raises on purpose comes back as its own class."""

from __future__ import annotations

import traceback
from typing import Any, Final

from pipe_core.kernel import errors
from pipe_core.kernel.errors import PipeError
from pipe_core.runtime.wire import open_error, pack_error

_PLAIN: Final = (str, int, float, bool, type(None))


def plain_error(error: BaseException) -> list[Any]:
    """*error* as plain data."""
    name = _known_name(error)
    if name is None:
        return [None, pack_error(error).hex()]
    attributes = {key: value for key, value in vars(error).items() if type(value) in _PLAIN}
    return [name, str(error), attributes, "".join(traceback.format_exception(error))]


def _known_name(error: BaseException) -> str | None:
    """The nearest of pipe's own classes that *error* belongs to; None where there is none."""
    for kind in type(error).__mro__:
        if kind is not PipeError and vars(errors).get(kind.__name__) is kind and issubclass(kind, PipeError):
            return kind.__name__
    return None


def error_of(plain: Any) -> BaseException:
    """The error that `plain_error` took apart."""
    name, *parts = plain
    if name is None:
        return open_error(bytes.fromhex(*parts))
    message, attributes, text = parts
    kind = vars(errors)[name]
    error: PipeError = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(attributes)
    error.add_note(f"Traceback of the worker:\n{text}")
    return error
