"""Folders that pages and pictures are written to: one that is missing is told in words."""

from __future__ import annotations

from pathlib import Path

from pipe_core.kernel.errors import PipeError


class NoFolderError(PipeError, FileNotFoundError):
    """The folder of a file that should be written does not exist. `folder` is its path."""

    def __init__(self, message: str, *, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


def check_folder(path: Path) -> None:
    """Make sure that a file can be written to *path*, as far as its folder is concerned.

    Raises:
        NoFolderError: There is no such folder.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise NoFolderError(f"The folder of '{path}' does not exist: make '{path.parent}' first.", folder=folder)
