"""What people give to a hook: words and functions checked when it is made, functions named when they fail."""

from __future__ import annotations

import inspect
from typing import Any, get_args

from pipe_core.hooks.fields import FieldError
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.records.entry import Entry
from pipe_core.records.store import HookStore


def check_word(word: str, known: Any, what: str) -> None:
    """Make sure that *word* is one of the words of the `Literal` type *known*.

    Raises:
        OptionsError: It is not. *what* says what it is for.
    """
    words = get_args(known)
    if word not in words:
        raise OptionsError(
            f"{what} cannot be {word!r}.{suggestion(str(word), words)} Choose one of: {', '.join(words)}."
        )


def check_function(function: Any, what: str) -> None:
    """Make sure that *function* can be called for an entry without being awaited.

    Raises:
        OptionsError: It cannot. *what* says what it is for.
    """
    if callable(function) and not inspect.iscoroutinefunction(function):
        return
    kind = "a coroutine function" if callable(function) else f"of type {type(function).__name__}"
    raise OptionsError(
        f"{what} is {kind}. Give a plain function(entry, store); what has to be awaited is a hook of its own: "
        f"async def hook(entry, store)."
    )


def call(function: Any, entry: Entry, store: HookStore, what: str) -> Any:
    """``function(entry, store)``.

    Raises:
        FieldError: It raised; the message says *what* failed, and how.
    """
    try:
        return function(entry, store)
    except Exception as error:
        raise FieldError(f"{what} failed: {type(error).__name__}: {error}") from error
