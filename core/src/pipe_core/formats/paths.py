"""What is given as a path, as text."""

from __future__ import annotations

import os
from typing import Any

from pipe_core.kernel.errors import OptionsError


def path_of(target: Any) -> str:
    """The path that *target* is. Raises `OptionsError` for what is none."""
    try:
        path = os.fsdecode(target)
    except TypeError:
        kind = type(target).__name__
        raise OptionsError(f"A file format takes a path, not {kind}.", problems={"target": f"is {kind}"}) from None
    if "\0" in path:
        raise OptionsError("A path cannot hold NUL.", problems={"target": "has a NUL character"})
    return path
