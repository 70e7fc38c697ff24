"""Hidden files beside a target, locked as long as their run lives: one that is not locked was left by a killed run.

Their names say of which machine they are, for between machines locks do not hold on every file system. What they end in
says what becomes of one that is left: ``part`` goes with the next run into the target; ``kept`` stays for the run that
has written down how to go on with it, until another one has put a file in the place of the target.
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

from pipe_core.kernel.errors import SinkError
from pipe_core.kernel.machine import machine_names

if sys.platform != "win32":
    import fcntl

_LONGEST: Final = 180
_LEFT: Final = ".part"
_KEPT: Final = ".kept"
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


def keep_file(path: str) -> str:
    """Let a hidden file stay where its run is killed. Its new path. Raises OSError."""
    if sys.platform == "win32" or not path.endswith(_LEFT):  # there no file is moved that is open, and none is removed
        return path
    os.rename(path, kept := f"{path.removesuffix(_LEFT)}{_KEPT}")
    return kept


def take_over(name: str, target: str, access: int, *, shared: bool) -> tuple[str, int] | None:
    """Lock the hidden file *name* beside *target*, which another process left, as `hidden_file` does.

    Args:
        name: Its name, without a folder.
        target: An absolute path without links.
        access: What it is opened for, as `os.open` has it.
        shared: Whether it may be locked by another process: nobody writes into it any more.

    Returns:
        Its path, and a descriptor; None when it is gone.

    Raises:
        SinkError: The process lives, or the name is not that of such a file.
    """
    folder, base = os.path.split(target)
    if not _pattern(base, f"(?:{re.escape(_LEFT)}|{re.escape(_KEPT)})").fullmatch(name):
        raise SinkError(f"{name!r} is no file that a run has staged beside {target!r}.", sink=target)
    path = os.path.join(folder, name)
    try:
        number = os.open(path, access | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    if _locked(path, number) or (shared and os.path.lexists(path)):
        return path, number
    os.close(number)
    if not os.path.lexists(path):  # its run has just put it in its place, or removed it
        return None
    text = f"{target!r} is being written by a run that still goes on: its file {name!r} is locked. Let it end first."
    raise SinkError(text, sink=target)


def remove_left_files(target: str) -> None:
    """Remove what killed runs of this machine have left beside the file *target*."""
    _remove_all(target, _LEFT)


def remove_kept_files(target: str) -> None:
    """Remove what killed runs wanted to go on with: the file *target* is of a later one now."""
    _remove_all(target, _KEPT)


def _remove_all(target: str, ending: str) -> None:
    folder, base = os.path.split(os.path.realpath(target))
    pattern = _pattern(base, re.escape(ending))
    own = _marks()
    try:
        names = os.listdir(folder)
    except OSError:  # the folder is missing, or only to be written into: who writes will say so
        return
    for name in names:
        if (found := pattern.fullmatch(name)) and found[1] and own & set(found[1].split("-")):
            _remove_if_left(os.path.join(folder, name))


def _pattern(base: str, ending: str) -> re.Pattern[str]:
    return re.compile(rf"\.{re.escape(hidden_base(base))}\.[0-9a-f]{{12}}(?:\.([0-9a-f-]+))?{ending}")


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
