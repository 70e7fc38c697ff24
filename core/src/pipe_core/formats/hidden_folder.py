"""Hidden folders beside a target, locked as long as their run lives: one that is not locked was left by a killed run.

In such a folder are `arrivals`, where part files are written; `whole`, where they are put in order; and `replaced`,
what was at the target. When a run is killed these say how far it came:

* `whole` and `replaced`: the target was taken away and nothing put in its place yet. It is put back.
* one of them: the target is the old folder or the new one, and what is here is the other one. It is removed.

One with a file `kept` stays for the run that has written down how to go on with it, until another run has put a folder
in the place of the target.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from pipe_core.formats.hidden_file import hidden_base, hidden_name
from pipe_core.kernel.errors import SinkError
from pipe_core.kernel.machine import machine_names
from pipe_core.runtime.durable import sync_folder

if sys.platform != "win32":
    import fcntl

logger: Final = logging.getLogger("pipe_core")

_OWN: Final = re.compile(r"part-\d{5,}(\..+)")
_OWNER: Final = "owner"
_KEPT: Final = "kept"
_MODE: Final = 0o755
"""The permissions of a folder where nobody has written them down."""
_GONE: Final = ".gone"


class HiddenFolder:
    """A hidden folder that this object has locked.

    Attributes:
        path: Where it is.
        target: What it is beside.
        endings: What part files end in that its run may replace.
        machine: Names of the machine that its run is on.
        mode: The permissions that a folder has by default there.
    """

    def __init__(
        self, path: str, target: str, lock: int | None, endings: tuple[str, ...], machine: frozenset[str], mode: int
    ) -> None:
        self.path = path
        self.target = target
        self.endings = endings
        self.machine = machine
        self.mode = mode
        self._lock = lock

    @property
    def arrivals(self) -> str:
        """Where part files are written."""
        return os.path.join(self.path, "arrivals")

    @property
    def whole(self) -> str:
        """Where they are put in order."""
        return os.path.join(self.path, "whole")

    @property
    def replaced(self) -> str:
        """Where that goes which is replaced."""
        return os.path.join(self.path, "replaced")

    @property
    def is_kept(self) -> bool:
        """Whether its run is to be gone on with."""
        return not self.path.endswith(_GONE) and os.path.exists(os.path.join(self.path, _KEPT))

    def keep(self) -> None:
        """Let it stay where its run is killed."""
        open(os.path.join(self.path, _KEPT), "wb").close()
        sync_folder(self.path)
        sync_folder(os.path.dirname(self.path))

    def forget(self) -> None:
        """Let it go where its run is killed. What was done is done, also where this does not succeed."""
        with suppress(OSError):
            os.unlink(os.path.join(self.path, _KEPT))

    def put_back(self) -> bool:
        """Whether the target had been taken away, and was put back."""
        if os.path.lexists(self.target) or not (os.path.isdir(self.whole) and os.path.isdir(self.replaced)):
            return False
        os.rename(self.replaced, self.target)
        sync_folder(os.path.dirname(self.target))
        return True

    def emptied(self) -> bool:
        """Empty `whole` and `replaced`, as `discard` does. False where something stays that nobody knows."""
        return all([self._emptied(self.whole), self._emptied(self.replaced)])

    def discard(self) -> None:
        """Remove it, and with it what was replaced. What is no part file goes back to the target, or stays here."""
        try:
            self._hide()
            self.put_back()
            if os.path.isdir(self.whole) and os.path.isdir(self.replaced):
                logger.warning("Another folder came into the place of %r, which is now %r", self.target, self.replaced)
                return
            if not self.emptied():
                logger.warning("%r was replaced. What was put into it meanwhile is in %r", self.target, self.path)
                return
            self._removed()
        except OSError as error:  # what is at the target is as it should be all the same
            if os.path.lexists(self.path):
                logger.warning("The hidden folder %r could not be removed: %s", self.path, error)
        finally:
            self.release()

    def release(self) -> None:
        """Unlock it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _hide(self) -> None:
        """Give it a name that nobody knows who still writes into it."""
        if self.path.endswith(_GONE):
            return
        try:
            os.rename(self.path, gone := f"{self.path}{_GONE}")
        except FileNotFoundError:
            raise
        except OSError:  # it may be written to until it is empty
            return
        self.path = gone

    def _emptied(self, folder: str) -> bool:
        """Remove a folder of part files. False where there is something else in it that cannot be put back."""
        if not os.path.isdir(folder):
            return True
        for entry in list(os.scandir(folder)):
            if is_own(entry, self.endings):
                os.unlink(entry.path)
            elif os.path.isdir(self.target):
                with suppress(FileExistsError):
                    move(entry.path, os.path.join(self.target, entry.name))
        if os.listdir(folder):
            return False
        os.rmdir(folder)
        return True

    def _removed(self) -> None:
        """Remove what is left, and at last what says whose it is: a later run goes on where this one is killed."""
        for name in set(os.listdir(self.path)) - {_OWNER}:
            path = os.path.join(self.path, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        with suppress(FileNotFoundError):  # a system without locks
            os.unlink(os.path.join(self.path, _OWNER))
        os.rmdir(self.path)


def hidden_folder(target: str, endings: tuple[str, ...]) -> HiddenFolder:
    """Make one beside *target*, with a name that nobody can guess. Raises OSError.

    Args:
        target: An absolute path without links.
        endings: What part files end in that may be replaced.
    """
    parent, base = os.path.split(target)
    while True:
        path = os.path.join(parent, hidden_name(base, "parts"))
        os.mkdir(path)
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)  # what the umask leaves
            os.chmod(path, 0o700 | mode & stat.S_ISGID)
            return HiddenFolder(path, target, _owned(path, endings, mode), endings, machine_names(), mode)
        except (FileNotFoundError, BlockingIOError):  # somebody took it for one that is left
            continue
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise


def restore(target: str) -> None:
    """Put the folder back that a killed run took away from *target*. Raises OSError."""
    target = os.path.realpath(target)
    if os.path.lexists(target):
        return
    for hidden in _abandoned(target):
        if hidden.put_back():
            logger.warning("A run was killed while it replaced %r: what was there is back", target)
            return


def take_over(name: str, target: str, endings: tuple[str, ...]) -> HiddenFolder | None:
    """Lock the hidden folder *name* beside *target*, which another process left. None when it is gone.

    Args:
        name: Its name, without a folder.
        target: An absolute path without links.
        endings: What part files end in that may be replaced.

    Raises:
        SinkError: The process lives, or the name is not that of such a folder.
    """
    parent, base = os.path.split(target)
    if not _pattern(base).fullmatch(name):
        raise SinkError(f"{name!r} is no folder that a run has staged beside {target!r}.", sink=target)
    path = os.path.join(parent, name)
    if sys.platform == "win32":  # there nobody can know whether its run lives
        return HiddenFolder(path, target, None, endings, machine_names(), _MODE) if os.path.isdir(path) else None
    found = _taken_over(path, target)
    if found is None and os.path.isdir(path):
        text = f"{target!r} is being written by a run that still goes on: its folder {name!r} is locked. Let it end."
        raise SinkError(text, sink=target)
    return found


def tidy(target: str) -> None:
    """Remove what killed runs of this machine have left beside *target*, an absolute path without links.

    Between machines locks do not hold on every file system, so what another machine left stays. What somebody wants to
    go on with stays, too.
    """
    for hidden in _abandoned(target):
        if hidden.machine & machine_names() and not hidden.is_kept:
            hidden.discard()


def supersede(target: str) -> None:
    """Remove what killed runs wanted to go on with: the folder *target*, a path as above, is of a later one now."""
    for hidden in _abandoned(target):
        if hidden.machine & machine_names() and hidden.is_kept:
            hidden.discard()


def _pattern(base: str) -> re.Pattern[str]:
    return re.compile(rf"\.{re.escape(hidden_base(base))}\.[0-9a-f]{{12}}\.parts({re.escape(_GONE)})?")


def is_own(entry: os.DirEntry[str], endings: tuple[str, ...]) -> bool:
    """Whether it is a part file that a run wrote: ``part-``, five digits or more, and one of the *endings*."""
    found = _OWN.fullmatch(entry.name)
    return found is not None and found[1] in endings and entry.is_file(follow_symlinks=False)


def move(path: str, place: str) -> None:
    """Rename without replacing. Raises FileExistsError."""
    if os.path.isfile(path) and not os.path.islink(path):
        try:
            os.link(path, place)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            pass
        else:
            _unlink_first(path, or_else=place)
            return
    if os.path.lexists(place):
        raise FileExistsError(place)
    os.rename(path, place)


def _unlink_first(path: str, *, or_else: str) -> None:
    """Remove one of two names of a file; where that fails, the other one."""
    try:
        os.unlink(path)
    except OSError:
        os.unlink(or_else)
        raise


def _abandoned(target: str) -> Iterator[HiddenFolder]:
    """Those beside *target* that nobody has locked, each locked until the next one is asked for."""
    parent, base = os.path.split(target)
    pattern = _pattern(base)
    try:
        names = os.listdir(parent)
    except OSError:  # the folder is missing, or only to be written into: who writes will say so
        return
    for name in filter(pattern.fullmatch, names):
        hidden = _taken_over(os.path.join(parent, name), target)
        if hidden is not None:
            try:
                yield hidden
            finally:
                hidden.release()


def _taken_over(path: str, target: str) -> HiddenFolder | None:
    """The hidden folder, locked; None where its run lives, where nobody can know that, or where it is not ours."""
    if sys.platform == "win32":
        return None
    try:
        facts = os.lstat(path)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():  # a trap, where everybody may write
            return None
        lock = os.open(os.path.join(path, _OWNER), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        with suppress(OSError):
            os.rmdir(path)  # if it is empty: its run was killed when it began
        return None
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(os.path.join(path, _OWNER))):
            owner = json.loads(os.pread(lock, 1 << 16, 0))
            endings, machine, mode = tuple(owner["endings"]), frozenset(owner["machine"]), owner.get("mode", _MODE)
            return HiddenFolder(path, target, lock, endings, machine, mode)
    except ValueError:  # its run was killed, or the machine lost its power, before that was written
        with suppress(OSError):
            os.unlink(os.path.join(path, _OWNER))
            os.rmdir(path)
    except OSError:  # its run lives, or has ended in this moment
        pass
    os.close(lock)
    return None


def _owned(path: str, endings: tuple[str, ...], mode: int) -> int | None:
    """Lock a new folder, and write down whose it is. Raises BlockingIOError when somebody else was faster."""
    if sys.platform == "win32":  # nothing can be moved there that holds an open file
        return None
    place = os.path.join(path, _OWNER)
    lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks: nobody else can lock it either
            pass
        os.write(lock, json.dumps({"machine": sorted(machine_names()), "endings": endings, "mode": mode}).encode())
        os.fsync(lock)
        os.stat(place)
    except BaseException:
        os.close(lock)
        raise
    return lock
