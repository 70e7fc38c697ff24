"""Validation and encoding in a C loop that is restarted behind each bad value.

``models.extend(map(validate, it))`` runs without a line of Python for each record, keeps what was done when one
fails, and leaves *it* behind the culprit. Every validator runs once for each record, and signals come through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from pipe_core.kernel.ctrl_c import is_ctrl_c


def apply(
    function: Callable[[Any], Any], values: Sequence[Any], interrupted: Callable[[], bool]
) -> tuple[list[Any], list[tuple[int, BaseException]]]:
    """``function(value)`` for each of *values*.

    Args:
        function: What to do with one value.
        values: What to do it with.
        interrupted: Whether a `KeyboardInterrupt` now would be the user's Ctrl-C. Any other one is a value's own.

    Returns:
        The results of the good values in order, and the indexes of the bad ones with what they raised.
    """
    done: list[Any] = []
    failed: list[tuple[int, BaseException]] = []
    left = iter(values)
    while True:
        try:
            done.extend(map(function, left))
        except KeyboardInterrupt as error:
            if interrupted():
                raise
            failed.append((len(done) + len(failed), error.with_traceback(None)))
        except BaseException as error:  # a validator may raise anything, SystemExit included: its record fails
            # Without its traceback: that holds this frame, which holds the error, and whole batches would wait for
            # the garbage collector.
            failed.append((len(done) + len(failed), error.with_traceback(None)))
        else:
            if len(done) + len(failed) == len(values):
                return done, failed
            # Only StopIteration ends the loop early without a word: the value behind the last good one raised it.
            failed.append((len(done) + len(failed), StopIteration()))


def reasons(error: BaseException) -> list[dict[str, Any]]:
    """Why a value is invalid: ``{"loc", "msg", "type"}`` for each reason. Holds nothing of the input itself."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in found]
    return [{"loc": [], "msg": text(error), "type": type(error).__name__}]


def text(error: BaseException) -> str:
    """What *error* says, or its class where it says nothing."""
    try:
        return str(error) or type(error).__name__
    except BaseException as problem:  # user code: its __str__ may raise too
        if is_ctrl_c(problem):
            raise
        return type(error).__name__
