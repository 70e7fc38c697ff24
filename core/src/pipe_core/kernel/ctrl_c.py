"""The user's Ctrl-C, told apart from a `KeyboardInterrupt` that user code raises by itself.

Signal handlers of ours note here that they were called. For code that has no run at hand to ask.
"""

from __future__ import annotations

from typing import Final

_noted: Final[set[int]] = set()


def note(handler: object) -> None:
    """*handler* was called: a `KeyboardInterrupt` may be the user's from now on."""
    _noted.add(id(handler))


def forget(handler: object) -> None:
    """What *handler* noted is over."""
    _noted.discard(id(handler))


def is_ctrl_c(error: BaseException) -> bool:
    """Whether *error* is the user's Ctrl-C. Whatever else user code raises, `SystemExit` included, is its own."""
    return isinstance(error, KeyboardInterrupt) and bool(_noted)
