"""A folder of part files: written hidden beside its target, which it becomes, or to which its files are moved."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import suppress
from typing import Final

from pipe_arrow.staging import sync_folder

_PART: Final = re.compile(r"part-(\d+)\.")


class StagedFolder:
    """A hidden folder beside *target*.

    Args:
        target: The folder that it becomes.
        suffix: Of its files, with the dot.
    """

    def __init__(self, target: str, suffix: str) -> None:
        self._target = os.path.realpath(target)
        self._suffix = suffix
        parent, base = os.path.split(self._target)
        self._path = os.path.join(parent, f".{base[:200]}.{secrets.token_hex(6)}.parts")
        os.mkdir(self._path)
        self._count = 0

    def next(self) -> str:
        """The path of the next part file."""
        self._count += 1
        return os.path.join(self._path, f"part-{self._count - 1:05d}{self._suffix}")

    def publish(self) -> None:
        """Put it in the place of the target."""
        sync_folder(self._path)
        old = f"{self._path}.old"
        with suppress(FileNotFoundError):
            os.rename(self._target, old)
        try:
            os.rename(self._path, self._target)
        except OSError:
            with suppress(FileNotFoundError):
                os.rename(old, self._target)
            raise
        sync_folder(os.path.dirname(self._target))
        shutil.rmtree(old, ignore_errors=True)

    def add(self, part: str) -> None:
        """Move a part file of it to the target, behind those that are there."""
        number = 1 + max(
            (int(found[1]) for name in os.listdir(self._target) if (found := _PART.match(name))), default=-1
        )
        while True:
            place = os.path.join(self._target, f"part-{number:05d}{self._suffix}")
            try:
                _move(part, place)
                break
            except FileExistsError:  # somebody else appends too
                number += 1
        sync_folder(self._target)

    def discard(self) -> None:
        """Remove it."""
        shutil.rmtree(self._path, ignore_errors=True)

    def keep(self) -> str:
        """Leave it as ``<target>.partial``."""
        partial = f"{self._target}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        os.rename(self._path, partial)
        return partial


def _move(path: str, place: str) -> None:
    """Rename without replacing. Raises FileExistsError."""
    try:
        os.link(path, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(place):
            raise FileExistsError(place) from None
        os.rename(path, place)
        return
    os.unlink(path)


def part_files(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files in *folder* with one of the *suffixes*, in the order of their names, hidden ones aside."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(suffixes))
    return [os.path.join(folder, name) for name in names if name[0] not in "._"]
