"""What the places that a file names may reach: data in the file's own folder, and stores elsewhere by their URLs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LOCAL: Final = frozenset({"file", "local", "asynclocal", "dir"})
"""Schemes that mean a file of this machine. Such a file has a path, which can be looked at."""
LAYERED: Final = frozenset(
    {"blockcache", "cached", "data", "filecache", "git", "jar", "libarchive", "reference", "simplecache", "tar", "zip"}
)
"""Schemes of fsspec that lead on to another place."""


def beyond(text: str, folder: Path) -> str | None:
    """Why a file in *folder* may not name the path or URL *text*; None where it may."""
    if not text or "\0" in text:
        return f"{text!r:.60} is no path. Quote it if it is one."
    if text.startswith("~") or os.path.isabs(text) or "://" not in text:
        return outside(text, folder)
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower().partition("+")[0]
    if scheme in LOCAL:
        return f"a file is named by its path, without {scheme}://."
    if scheme in LAYERED or "::" in text:
        return f"'{scheme}://' leads on to another place, which cannot be looked at. Name that place itself."
    if scheme == "sqlite":
        return _database(rest, folder)
    if rest.startswith("/"):  # no host: it is on this machine
        return outside(rest.partition("?")[0][1:], folder)
    return None


def outside(path: str, folder: Path) -> str | None:
    """Why a file in *folder* may not name *path*; None where it may."""
    real = os.path.realpath(os.path.join(folder, os.path.expanduser(path)))
    if Path(real).is_relative_to(os.path.realpath(folder)):
        return None
    return (
        f"'{path}' is outside {folder}, the folder of the file. Where you trust the file, "
        f"allow it with --allow-outside."
    )


def _database(rest: str, folder: Path) -> str | None:
    path = rest.removeprefix("/").partition("?")[0]
    if not rest.startswith("/") or not path or path.startswith((":", "file:")):
        return "a SQLite database is named by its path: sqlite:///orders.db?table=orders."
    return outside(path, folder)
