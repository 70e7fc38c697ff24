"""The small project that `pipe init` makes: it runs with pipe-core alone, and shows what a project's file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from pipe_core.kernel.errors import PipeError

_NAME: Final = "PROJECT_NAME"
_SHARED: Final = {".gitignore": "gitignore.txt", "README.md": "README.md", "data/orders.csv": "orders.csv"}
_PLAIN: Final = {"pipe.yaml": "pipe.yaml", "steps.py": "steps.py.txt", "test_steps.py": "checks.py.txt"}
_DATED: Final = {
    "pipe.yaml": "pipe-dated.yaml",
    "steps.py": "steps-dated.py.txt",
    "test_steps.py": "checks-dated.py.txt",
}


class FolderInUseError(PipeError, FileExistsError):
    """A project was to be made where something is already."""


def write_project(folder: Path, *, with_dates: bool = False) -> list[str]:
    """Make a project in *folder*, which is made if it is missing.

    Args:
        folder: Where.
        with_dates: Whether its pipeline works on a window of dates.

    Returns:
        The names of its files, relative to *folder*.

    Raises:
        FolderInUseError: There is something in it, or it is a file.
        OSError: It cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderInUseError(f"'{folder}' is a file. Name a folder that is empty, or one that does not exist.")
    if folder.is_dir() and any(folder.iterdir()):
        raise FolderInUseError(
            f"The folder '{folder}' is not empty: nothing in it is touched. Name one that is, or that does not exist."
        )
    found = texts(folder.absolute().name or "project", with_dates=with_dates)
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(found)


def texts(name: str, *, with_dates: bool) -> Mapping[str, str]:
    """What the files of the project *name* say, by their names."""
    here = files(__name__)
    own = {**_SHARED, **(_DATED if with_dates else _PLAIN)}
    read = {target: (here / source).read_text(encoding="utf-8") for target, source in own.items()}
    read["pipe.yaml"] = read["pipe.yaml"].replace(_NAME, json.dumps(name))
    read["README.md"] = read["README.md"].replace(_NAME, name)
    return read
