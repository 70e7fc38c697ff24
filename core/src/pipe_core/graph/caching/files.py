"""The files of a cache on disk: each is written whole or not at all, and never changed."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterable
from time import time
from typing import Final

_FORGOTTEN_SECONDS: Final = 3600.0
"""A file that no entry has, and that is older, was left behind by a process that was killed."""
_FOLDERS: Final = 256


class CacheFiles:
    """The files below *path*, by name."""

    def __init__(self, path: str) -> None:
        self._path = path

    def prepare(self) -> None:
        """Make the folder."""
        os.makedirs(os.path.join(self._path, "entries"), exist_ok=True)
        note = os.path.join(self._path, ".gitignore")
        if not os.path.exists(note):
            with open(note, "w", encoding="utf-8") as file:
                file.write("*\n")

    def write(self, data: bytes) -> str:
        """Write a new file. Gives its name, which no other one has."""
        name = secrets.token_hex(20)
        path = self._at(name)
        temporary = f"{path}.part"
        try:
            file = open(temporary, "xb")  # noqa: SIM115  # closed below
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = open(temporary, "xb")  # noqa: SIM115  # closed below
        try:
            with file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return name

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: It is gone.
        """
        with open(self._at(name), "rb") as file:
            return file.read()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, if they are there."""
        for name in names:
            try:
                os.unlink(self._at(name))
            except FileNotFoundError:
                continue
            except PermissionError:  # on Windows while somebody reads it; it is found again by `left`
                continue

    def left(self, everywhere: bool) -> list[str]:
        """Files that may have been left behind: in one folder of many, or everywhere."""
        numbers = range(_FOLDERS) if everywhere else [random.randrange(_FOLDERS)]
        found = []
        before = time() - _FORGOTTEN_SECONDS
        for number in numbers:
            try:
                with os.scandir(os.path.join(self._path, "entries", f"{number:02x}")) as files:
                    found += [one.name for one in files if one.stat().st_mtime < before]
            except FileNotFoundError:
                continue
        return found

    def _at(self, name: str) -> str:
        # Only the last part: a name in an index that somebody has changed must not lead elsewhere.
        return os.path.join(self._path, "entries", name[:2], os.path.basename(name))
