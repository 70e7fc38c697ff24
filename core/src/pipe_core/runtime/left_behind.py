"""Folders that a killed driver has left behind: whose a folder is, and whether they live.

A lock says so, no process id: the system lets go of it with its process, in whatever way that ends, while ids are given
again to others and mean nothing in another container.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipe_core.kernel.machine import machine_names

if sys.platform != "win32":
    import fcntl

_OWNER: Final = ".owner"
"""A file in the folder, which its owner holds locked. It comes locked: who finds it unlocked finds a dead owner."""
_PRIVATE: Final = 0o700


def own(folder: Path) -> int | None:
    """Say that *folder* is in use. It is so until the descriptor that this returns is closed.

    None where there are no such locks: then nobody else removes the folder either.
    """
    if sys.platform == "win32":
        return None
    staged = folder / f"{_OWNER}.part"
    lock = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, "\n".join(machine_names()).encode())
        os.replace(staged, folder / _OWNER)
    except OSError:
        os.close(lock)
        with suppress(OSError):
            staged.unlink()
        return None
    return lock


def remove_left_behind(place: Path, prefix: str) -> None:
    """Remove the folders in *place* that begin with *prefix*, were said to be in use, and whose owners are dead."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # it may be a folder to write into only
        for name in os.listdir(place):
            if name.startswith(prefix):
                _remove_if_left(place / name)


def _remove_if_left(folder: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) != _PRIVATE:
            return  # where everybody may write, it may be a trap
        lock = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return  # nobody knows whose it is, or it is going in this moment
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(lock), os.stat(folder / _OWNER))
        if is_there and machine_names() & set(os.pread(lock, 1 << 16, 0).decode().split("\n")):
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, ValueError):
        pass  # its owner lives, or somebody else is removing it
    finally:
        os.close(lock)
