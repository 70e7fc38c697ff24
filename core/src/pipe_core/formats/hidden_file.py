"""Hidden files beside a target, locked as long as their run lives: one that is not locked was left by a killed run.

Their names say of which machine they are, for between machines locks do not hold on every file system.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import sys
from contextlib import suppress
from typing import Final

from pipe_core.kernel.machine import machine_names

if sys.platform != "win32":
    import fcntl

_LONGEST: Final = 180
_FLAGS: Final = os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def hidden_file(target: str, access: int) -> tuple[str, int]:
    """Make one beside *target*. Its path, and a descriptor: until all of that are closed it is locked. Raises OSError.

    Args:
        target: An absolute path without links.
        access: What it is opened for, as `os.open` has it.
    """
    folder, base = os.path.split(target)
    ending = ".".join([*filter(None, ["-".join(sorted(_marks()))]), "part"])
    while True:
        path = os.path.join(folder, hidden_name(base, ending))
        number = os.open(path, access | _FLAGS, 0o666)
        if _locked(path, number):
            return path, number
        os.close(number)


def remove_left_files(target: str) -> None:
    """Remove what killed runs of this machine have left beside the file *target*."""
    folder, base = os.path.split(os.path.realpath(target))
    pattern = re.compile(rf"\.{re.escape(hidden_base(base))}\.[0-9a-f]{{12}}\.([0-9a-f-]+)\.part")
    own = _marks()
    try:
        names = os.listdir(folder)
    except OSError:  # the folder is missing, or only to be written into: who writes will say so
        return
    for name in names:
        if (found := pattern.fullmatch(name)) and own & set(found[1].split("-")):
            _remove_if_left(os.path.join(folder, name))


def hidden_name(base: str, ending: str) -> str:
    """A hidden name that begins as *base* does, and that nobody can guess."""
    return f".{hidden_base(base)}.{secrets.token_hex(6)}.{ending}"


def hidden_base(base: str) -> str:
    """A name with room for what is put around it: most file systems have names of at most 255 bytes."""
    data = os.fsencode(base)
    if len(data) <= _LONGEST:
        return base
    return f"{data[:_LONGEST].decode(errors='ignore')}-{hashlib.blake2b(data, digest_size=4).hexdigest()}"


def _marks() -> set[str]:
    return {hashlib.blake2b(name.encode(), digest_size=4).hexdigest() for name in machine_names()}


def _locked(path: str, number: int) -> bool:
    """Lock a new file. False when somebody took it for one that is left, and has removed it or is about to."""
    if sys.platform == "win32":  # no file can be moved there that is open
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody else can lock it either
        return True
    return os.path.lexists(path)


def _remove_if_left(path: str) -> None:
    if sys.platform == "win32":
        return
    try:
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():  # a trap, where everybody may write
            return
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with suppress(OSError):  # its run lives, or has ended in this moment
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.lstat(path)):
                os.unlink(path)
    finally:
        os.close(lock)
