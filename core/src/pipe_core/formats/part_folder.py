"""A folder of part files: made hidden beside its target, which it becomes, or to which its files are moved."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from pipe_core.formats.compression import SUFFIXES, compression_of
from pipe_core.formats.exchange import exchange
from pipe_core.formats.hidden_folder import HiddenFolder, hidden_folder, is_own, move, take_over, tidy
from pipe_core.formats.input_file import reading_errors
from pipe_core.formats.staging import gone
from pipe_core.kernel.errors import SinkError, SourceError
from pipe_core.runtime.durable import sync_folder

_NUMBERED: Final = re.compile(r"part-(\d+)\..+")
_DIGITS: Final = 5


class StagedFolder:
    """A hidden folder beside *target*, with a name that nobody can guess. What killed runs left there is removed.

    Part files are written into its folder `arrivals`. Those that count are put in order at the end; the others go with
    the folder. Who writes one later finds no folder. `publish` and `add` do all or, where they raise, nothing.

    Args:
        target: The folder that it becomes.
        suffix: Of the part files, with the dot.
        endings: What the part files end in that it may replace.
    """

    def __init__(
        self, target: str, suffix: str, endings: Sequence[str] = (), hidden: HiddenFolder | None = None
    ) -> None:
        self._target = os.path.realpath(target)
        self._suffix = suffix
        self._parent = os.path.dirname(self._target)
        tidy(self._target)
        self._hidden = hidden or hidden_folder(self._target, tuple(endings))
        self.arrivals = self._hidden.arrivals
        try:
            os.makedirs(self.arrivals, exist_ok=hidden is not None)
        except BaseException:
            self.discard()
            raise

    # --- states ---

    @property
    def name(self) -> str:
        """The name of the hidden folder."""
        return os.path.basename(self._hidden.path)

    def keep_arrivals(self, names: Sequence[str]) -> list[list[Any]]:
        """Let the arrivals *names* stay where the process is killed. What tells each of them from other files."""
        sync_folder(self.arrivals)
        self._hidden.keep()
        return [[name, *_facts(os.path.join(self.arrivals, name))] for name in names]

    def keep_whole(self, names: Sequence[str]) -> list[list[Any]]:
        """As `keep_arrivals`, but they are put in order for `publish_whole` and `add_whole`."""
        whole = self._ordered(names)
        self._hidden.keep()
        return [[name, *_facts(os.path.join(whole, name))] for name in sorted(os.listdir(whole))]

    def has_whole(self, parts: Sequence[Sequence[Any]]) -> bool:
        """Whether the files *parts* are in order still, or, of those that go to a folder, in that one already."""
        self._hidden.put_back()
        found = {(ino, size) for _, ino, size in self._files(self._target, self._hidden.whole)}
        return all((ino, size) in found for _, ino, size in parts)

    def hold(self, parts: Sequence[Sequence[Any]]) -> bool:
        """Let exactly the files *parts*, as `keep_arrivals` told of them, be the arrivals. False where one is gone.

        They may have been put in order meanwhile, or even published.
        """
        self._hidden.put_back()
        found = {(ino, size): path for path, ino, size in self._files(self._target, self._hidden.whole, self.arrivals)}
        for name, ino, size in parts:
            path, place = found.get((ino, size)), os.path.join(self.arrivals, name)
            if path is None:
                return False
            if path == place:
                continue
            if os.path.dirname(path) == self._target:
                os.link(path, place)
            else:
                os.rename(path, place)
        names = {part[0] for part in parts}
        for name in os.listdir(self.arrivals):
            if name not in names:
                os.unlink(os.path.join(self.arrivals, name))
        return self._hidden.emptied()

    def forget(self) -> None:
        """Nobody goes on with it any more."""
        self._hidden.forget()

    def release(self) -> None:
        """Let go of it. It stays."""
        self._hidden.release()

    def _files(self, *folders: str) -> Iterator[tuple[str, int, int]]:
        for folder in folders:
            yield from _files_in(folder)

    def publish(self, names: Sequence[str], *, replaces: bool) -> None:
        """Make the arrivals *names*, in this order, the target.

        Args:
            names: Of files in `arrivals`.
            replaces: Whether a folder that is there is replaced. What is no part file in it goes to the new one.

        Raises:
            SinkError: There is something else.
        """
        whole = self._ordered(names)
        old = replaces and os.path.isdir(self._target) and not os.path.islink(self._target)
        if not old and os.path.lexists(self._target):
            raise SinkError(
                f"{self._target!r} came into being while this run was going on, and is not replaced. Does another run "
                f"write to it? Move it away, or name another folder.",
                sink=self._target,
            )
        with self._undoing(whole):
            if old:
                os.chmod(whole, stat.S_IMODE(os.stat(self._target).st_mode))
                exchange(whole, self._target, beside=self._hidden.replaced)
            else:
                os.rename(whole, self._target)
            sync_folder(self._parent)

    def add(self, names: Sequence[str]) -> None:
        """Move the arrivals *names*, in this order, to the target, behind what is there.

        When the process is killed meanwhile, the first of them may be there.
        """
        paths = [*self._waiting(), *(os.path.join(self.arrivals, name) for name in names)]
        if not os.path.isdir(self._target):
            whole = self._ordered(names)
            with self._undoing(whole):
                try:
                    os.rename(whole, self._target)
                except OSError:
                    if not os.path.isdir(self._target):
                        raise
                    paths = [os.path.join(whole, name) for name in sorted(os.listdir(whole))]  # somebody appends too
                else:
                    sync_folder(self._parent)
                    return
        self._move_behind(paths)

    def keep(self, names: Sequence[str]) -> str:
        """Leave a folder with the arrivals *names* as ``<target>.partial``. Its place is returned.

        It takes the place of one that an earlier run left. Where there is something else its name is longer.
        """
        whole, partial = self._ordered(names), f"{self._target}.partial"
        if os.path.isdir(partial) and not os.path.islink(partial) and not others(partial, self._hidden.endings):
            for entry in list(os.scandir(partial)):
                os.unlink(entry.path)
            os.rmdir(partial)
        if os.path.lexists(partial):
            partial = f"{partial}.{secrets.token_hex(6)}"
        os.rename(whole, partial)
        return partial

    def discard(self) -> None:
        """Remove it, with what was replaced."""
        self._hidden.discard()

    def _ordered(self, names: Sequence[str]) -> str:
        whole = self._hidden.whole
        with suppress(FileExistsError):  # of an earlier commit, empty
            os.mkdir(whole)
        os.chmod(whole, self._hidden.mode)
        digits = max(_DIGITS, len(str(len(names) - 1)))
        for number, name in enumerate(names):
            part = os.path.join(whole, f"part-{number:0{digits}d}{self._suffix}")
            os.rename(os.path.join(self.arrivals, name), part)
        sync_folder(whole)
        return whole

    @contextmanager
    def _undoing(self, whole: str) -> Iterator[None]:
        """Whatever raises in it leaves at the target what was there before, if *whole* has come there."""
        new = os.stat(whole)
        try:
            yield
        except BaseException:
            with suppress(OSError):  # the target is missing: it never came there
                if os.path.samestat(os.stat(self._target), new):
                    old = next(filter(os.path.isdir, (self._hidden.replaced, whole)), None)
                    if old is None:
                        os.rename(self._target, whole)
                    else:
                        exchange(old, self._target, beside=whole)
            raise

    def _waiting(self) -> list[str]:
        """What was put in order, and is not at the target yet. A file that is there, too, has been moved nearly."""
        there = {ino for _, ino, _ in _files_in(self._target)}
        waiting: list[str] = []
        for path, ino, _ in sorted(_files_in(self._hidden.whole)):
            if ino in there:
                os.unlink(path)
            else:
                waiting.append(path)
        return waiting

    def _move_behind(self, paths: Sequence[str]) -> None:
        number = 1 + max(map(_number, os.listdir(self._target)), default=-1)
        moved: list[tuple[str, str]] = []
        try:
            for path in paths:
                number = self._moved(path, number)
                moved.append((path, self._place(number)))
                number += 1
            sync_folder(self._target)
        except BaseException:
            for path, place in moved:
                with suppress(OSError):
                    os.rename(place, path)
            raise

    def _moved(self, path: str, number: int) -> int:
        while True:
            try:
                move(path, self._place(number))
                return number
            except FileExistsError:  # somebody else appends too
                number += 1

    def _place(self, number: int) -> str:
        return os.path.join(self._target, f"part-{number:0{_DIGITS}d}{self._suffix}")


def resumed_folder(target: str, suffix: str, endings: Sequence[str], state: Mapping[str, Any]) -> StagedFolder | None:
    """The folder that another process has staged, as it was at *state*; None where that is at the target already.

    Args:
        target: The folder that it becomes.
        suffix: Of the part files, with the dot.
        endings: What the part files end in that it may replace.
        state: Its name as ``folder``, its ``parts``, and whether it is ``final``: whether these are in order.

    Raises:
        SinkError: It is gone, or not as it was, or its process lives.
    """
    place, parts, final = os.path.realpath(target), state["parts"], state["final"]
    hidden = take_over(state["folder"], place, tuple(endings))
    is_done = final and _holds(place, parts)
    if hidden is None:
        tidy(place)
        if is_done:
            return None
        raise gone(target)
    staged = StagedFolder(target, suffix, endings, hidden)
    if is_done:  # what is hidden is what was replaced
        staged.discard()
        return None
    if not (staged.has_whole(parts) if final else staged.hold(parts)):
        staged.release()
        raise gone(target, "some of its part files are missing")
    return staged


def _holds(folder: str, parts: Sequence[Sequence[Any]]) -> bool:
    """Whether the files *parts*, as `StagedFolder.keep_whole` told of them, are in *folder*."""
    found = {(ino, size) for _, ino, size in _files_in(folder)}
    return all((ino, size) in found for _, ino, size in parts)


def _files_in(folder: str) -> Iterator[tuple[str, int, int]]:
    """The paths of the files in *folder*, and what tells each from others. Nothing where there is no folder."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                facts = entry.stat()
                yield entry.path, facts.st_ino, facts.st_size


def _facts(path: str) -> tuple[int, int]:
    facts = os.stat(path)
    return facts.st_ino, facts.st_size


def check_folder(folder: str) -> None:
    """Refuse what is there and is no folder.

    Raises:
        SinkError: It is such a thing.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        text = f"{folder!r} is a file, and part files need a folder. Remove it first, or name it without a '/' behind."
        raise SinkError(text, sink=folder)


def check_replaceable(folder: str, endings: Sequence[str]) -> None:
    """Refuse to replace a folder that holds anything but part files.

    Args:
        folder: The folder; it may be missing.
        endings: What the part files end in that may be replaced.

    Raises:
        SinkError: It does, or it is no folder.
    """
    check_folder(folder)
    if found := others(folder, endings) if os.path.isdir(folder) else []:
        names = ", ".join(map(repr, found[:3])) + (", ..." if len(found) > 3 else "")
        raise SinkError(
            f"{folder!r} is not replaced: it holds what is no part file: {names}. Part files that a run may replace "
            f"here are called part-00000{endings[0]} and so on. Move the rest away, or name another folder.",
            sink=folder,
        )


def others(folder: str, endings: Sequence[str]) -> list[str]:
    """The names in *folder* of what is no part file that a run wrote."""
    with os.scandir(folder) as found:
        return sorted(one.name for one in found if not is_own(one, tuple(endings)))


def with_compressions(suffixes: Sequence[str]) -> tuple[str, ...]:
    """The *suffixes*, and each with every compression behind it."""
    return tuple(suffix + packed for suffix in suffixes for packed in ("", *SUFFIXES))


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
        files = found_parts(folder, with_compressions(suffixes))
    if not files:
        text = f"{folder!r} is a folder without any file that ends in {' or '.join(suffixes)}."
        raise SourceError(text, source=folder, position=0)
    return files


def found_parts(folder: str, endings: Sequence[str]) -> dict[str, int]:
    """The files in *folder* that end in one of *endings*, as `part_files`, but there may be none. Raises OSError."""
    with os.scandir(folder) as found:
        files = {one.name: one.stat().st_size for one in found if one.name[0] not in "._" and one.is_file()}
    names = sorted((name for name in files if name.lower().endswith(tuple(endings))), key=_order)
    return {os.path.join(folder, name): files[name] for name in names}


def _order(name: str) -> tuple[int, str]:
    return _number(name), name


def _number(name: str) -> int:
    found = _NUMBERED.fullmatch(name)
    return int(found[1]) if found else -1
