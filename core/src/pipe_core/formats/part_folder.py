"""A folder of part files: made hidden beside its target, which it becomes, or to which its files are moved."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pipe_core.formats.compression import SUFFIXES, compression_of
from pipe_core.formats.exchange import exchange
from pipe_core.formats.input_file import reading_errors
from pipe_core.formats.staging import sync_folder
from pipe_core.kernel.errors import SinkError, SourceError

logger: Final = logging.getLogger("pipe_core")

_PART: Final = re.compile(r"part-(\d+)\..+")
_DIGITS: Final = 5


class StagedFolder:
    """A hidden folder beside *target*, with a name that nobody can guess.

    Part files are written into its folder `arrivals`. Those that count are put in order at the end; the others go with
    the folder. Who writes one later finds no folder.

    Args:
        target: The folder that it becomes.
        suffix: Of the part files, with the dot.
    """

    def __init__(self, target: str, suffix: str) -> None:
        self._target = os.path.realpath(target)
        self._suffix = suffix
        parent, base = os.path.split(self._target)
        self._parent = parent
        self._path = os.path.join(parent, f".{base[:200]}.{secrets.token_hex(6)}.parts")
        os.mkdir(self._path)
        self._mode = stat.S_IMODE(os.stat(self._path).st_mode)  # what the umask leaves
        os.chmod(self._path, 0o700)
        self.arrivals = os.path.join(self._path, "arrivals")
        os.mkdir(self.arrivals)

    def publish(self, names: Sequence[str]) -> None:
        """Put a folder with the arrivals *names*, in this order, in the place of the target."""
        whole = self._ordered(names)
        if os.path.lexists(self._target):
            if os.path.isdir(self._target):
                os.chmod(whole, stat.S_IMODE(os.stat(self._target).st_mode))
            exchange(whole, self._target, beside=os.path.join(self._path, "replaced"))
        else:
            os.rename(whole, self._target)
        sync_folder(self._parent)

    def add(self, names: Sequence[str]) -> None:
        """Move the arrivals *names*, in this order, to the target, behind what is there."""
        if not os.path.isdir(self._target):
            os.mkdir(self._target)
            sync_folder(self._parent)
        number = 1 + max(map(_number, os.listdir(self._target)), default=-1)
        for name in names:
            number = self._moved(os.path.join(self.arrivals, name), number) + 1
        sync_folder(self._target)

    def keep(self, names: Sequence[str]) -> str:
        """Leave a folder with the arrivals *names* as ``<target>.partial``. Its place is returned."""
        whole, partial = self._ordered(names), f"{self._target}.partial"
        if os.path.isdir(partial):
            _clear(partial)  # of an earlier run
        os.rename(whole, partial)
        return partial

    def discard(self) -> None:
        """Remove it, with what was replaced."""
        gone = f"{self._path}.gone"  # nobody who still writes knows this name
        try:
            os.rename(self._path, gone)
        except FileNotFoundError:
            return
        except OSError:  # it may be written to until it is empty
            gone = self._path
        replaced = os.path.join(gone, "replaced")
        if os.path.isdir(replaced) and not _clear(replaced):
            logger.warning("%r was replaced. What was put into it meanwhile is in %r", self._target, replaced)
            shutil.rmtree(os.path.join(gone, "arrivals"), ignore_errors=True)
            return
        shutil.rmtree(gone, ignore_errors=True)
        if os.path.lexists(gone):
            logger.warning("The hidden folder %r could not be removed", gone)

    def _ordered(self, names: Sequence[str]) -> str:
        whole = os.path.join(self._path, "whole")
        os.mkdir(whole)
        os.chmod(whole, self._mode)
        digits = max(_DIGITS, len(str(len(names) - 1)))
        for number, name in enumerate(names):
            part = os.path.join(whole, f"part-{number:0{digits}d}{self._suffix}")
            os.rename(os.path.join(self.arrivals, name), part)
        sync_folder(whole)
        return whole

    def _moved(self, path: str, number: int) -> int:
        while True:
            try:
                _move(path, os.path.join(self._target, f"part-{number:0{_DIGITS}d}{self._suffix}"))
                return number
            except FileExistsError:  # somebody else appends too
                number += 1


def check_replaceable(folder: str) -> None:
    """Refuse to replace a folder that holds anything but part files.

    Raises:
        SinkError: It does.
    """
    others = [] if not os.path.isdir(folder) else [one.name for one in os.scandir(folder) if not _is_part(one)]
    if others:
        names = ", ".join(map(repr, sorted(others)[:3])) + (", ..." if len(others) > 3 else "")
        raise SinkError(
            f"{folder!r} is not replaced: it holds what is no part file: {names}. Move that away, or name another "
            f"folder.",
            sink=folder,
        )


def part_suffix(folder: str, suffixes: Sequence[str]) -> str:
    """What part files in *folder* end in: one of *suffixes*, the first one by default, and that of a compression."""
    name = folder.lower().rstrip("/" + os.sep)
    packed = compression_of(name) or ""
    name = name.removesuffix(packed)
    return next((suffix for suffix in suffixes if name.endswith(suffix)), suffixes[0]) + packed


def part_files(folder: str, suffixes: Sequence[str]) -> dict[str, int]:
    """The files in *folder* that end in one of *suffixes*, or in that and a compression, with their sizes.

    They are in the order of their names, part files in the order of their numbers. Hidden files are left out.

    Raises:
        SourceError: There is none, or *folder* cannot be read.
    """
    with reading_errors(folder):
        files = found_parts(folder, suffixes)
    if not files:
        text = f"{folder!r} is a folder without any file that ends in {' or '.join(suffixes)}."
        raise SourceError(text, source=folder, position=0)
    return files


def found_parts(folder: str, suffixes: Sequence[str]) -> dict[str, int]:
    """As `part_files`, but there may be none. Raises OSError."""
    with os.scandir(folder) as found:
        files = {one.name: one.stat().st_size for one in found if one.name[0] not in "._" and one.is_file()}
    names = sorted((name for name in files if _without_compression(name).endswith(tuple(suffixes))), key=_place)
    return {os.path.join(folder, name): files[name] for name in names}


def _without_compression(name: str) -> str:
    name = name.lower()
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def _place(name: str) -> tuple[int, str]:
    return _number(name), name


def _number(name: str) -> int:
    found = _PART.fullmatch(name)
    return int(found[1]) if found else -1


def _is_part(entry: os.DirEntry[str]) -> bool:
    return _PART.fullmatch(entry.name) is not None and entry.is_file(follow_symlinks=False)


def _clear(folder: str) -> bool:
    """Remove a folder of part files, or what is in its place. False where it held other things, which stay."""
    for entry in os.scandir(folder):
        if _is_part(entry):
            os.unlink(entry.path)
    with suppress(OSError):  # it is not empty
        os.rmdir(folder)
    return not os.path.lexists(folder)


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
