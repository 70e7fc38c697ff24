"""Validation and encoding in a C loop that is restarted behind each bad value.

``models.extend(map(validate, it))`` runs without a line of Python for each record, keeps what was done when one
fails, and leaves *it* behind the culprit. Every validator runs once for each record, and signals come through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from pipe_core.kernel.error_text import error_text

_WITHOUT_INPUT: Final = {
    "import_error": "Invalid python path",
    "union_tag_invalid": (
        "Input tag found using {discriminator} does not match any of the expected tags: {expected_tags}"
    ),
    "zoneinfo_str": "invalid timezone",
}
"""What is said in the place of those messages of pydantic's that hold the input, with what is in their context."""

Failed = list[tuple[int, BaseException]]
"""The indexes of bad values, in order, with what they raised."""


def apply(
    function: Callable[[Any], Any], values: Sequence[Any], interrupted: Callable[[], bool]
) -> tuple[list[Any], Failed]:
    """``function(value)`` for each of *values*.

    Args:
        function: What to do with one value.
        values: What to do it with.
        interrupted: Whether a `KeyboardInterrupt` now would be the user's Ctrl-C. Any other one is a value's own.

    Returns:
        The results of the good values in order, and the bad ones.
    """
    done: list[Any] = []
    failed: Failed = []
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


def without(values: Sequence[Any], failed: Failed) -> list[Any]:
    """Those of *values* that did not fail."""
    bad = {k for k, _ in failed}
    return [value for k, value in enumerate(values) if k not in bad]


def reasons(error: BaseException) -> list[dict[str, Any]]:
    """Why a value is invalid: ``{"loc", "msg", "type"}`` for each reason. Holds nothing of the input itself."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in found]
        if not _WITHOUT_INPUT.keys().isdisjoint(one["type"] for one in told):
            for one, whole in zip(told, error.errors(include_url=False, include_input=False), strict=True):
                if one["type"] in _WITHOUT_INPUT:  # a validator may use the name, and give no context
                    one["msg"] = _WITHOUT_INPUT[one["type"]].format_map(defaultdict(str, whole.get("ctx", ())))
        return told
    return [{"loc": [], "msg": error_text(error), "type": type(error).__name__}]


def plain_reasons(error: BaseException) -> list[dict[str, Any]]:
    """Why a value cannot be written down or travel."""
    return [{"type": type(error).__name__, "message": error_text(error)}]
