"""What is given as a path, as text."""

from __future__ import annotations

import os
from typing import Any

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.urls import local_path


def path_of(target: Any) -> str:
    """The path or URL that *target* is; the path of a URL with ``file://``. Raises `OptionsError` for what is none."""
    try:
        path = os.fsdecode(target)
    except TypeError:
        kind = type(target).__name__
        raise OptionsError(f"A file format takes a path, not {kind}.", problems={"target": f"is {kind}"}) from None
    if "\0" in path:
        raise OptionsError("A path cannot hold NUL.", problems={"target": "has a NUL character"})
    return local_path(path)
