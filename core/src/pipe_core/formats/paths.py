"""What is given as a path: as text, or as the file of a store where it is a URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.urls import local_path, scheme_of

if TYPE_CHECKING:
    from pipe_core.formats.remote_file import RemoteFile


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


def remote_file(target: str, options: Mapping[str, Any] | None = None) -> RemoteFile | None:
    """The file of a store that the URL *target* names; None for a path.

    Args:
        target: A path or URL.
        options: What the URL's file system is told, such as credentials.

    Raises:
        OptionsError: There are options for a path.
    """
    if scheme_of(target) is not None:
        from pipe_core.formats.remote_file import RemoteFile  # a run without URLs does without it

        return RemoteFile(target, dict(options or {}))
    if options:
        problem = f"storage_options are for URLs, and {target!r} is a path"
        raise OptionsError(f"{problem}. Leave them out.", problems={"storage_options": problem})
    return None
