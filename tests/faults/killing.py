"""Hooks that end or block the process they run in. They travel by value to any worker."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from pipe_core import BaseHook, Entry, HookStore

KILLERS = ("SIGKILL", "SIGSEGV", "SIGABRT", "exit 0", "exit 1", "exit 137")


def die(how: str) -> None:
    """End this process at once.

    A signal goes to this thread, as that of a real fault does. One for the process may be another thread's to take, and
    until that one gets its turn this thread goes on to the next records.
    """
    import os
    import signal

    if how.startswith("exit"):
        os._exit(int(how.split()[1]))
    signal.raise_signal(signal.Signals[how])


def killer(culprits: Collection[int], how: str = "SIGKILL", *, post: bool = False) -> Any:
    """A hook that dies of some numbers."""
    wanted = frozenset(culprits)

    def kill(entry: Entry, store: HookStore) -> None:
        if (entry.validated_data if post else entry.raw_data)["n"] in wanted:
            die(how)

    return kill


def async_killer(culprits: Collection[int]) -> Any:
    wanted = frozenset(culprits)

    async def kill(entry: Entry, store: HookStore) -> None:
        import asyncio

        await asyncio.sleep(0)
        if entry.raw_data["n"] in wanted:
            die("SIGKILL")

    return kill


def chunk_killer(culprits: Collection[int], **attributes: Any) -> Any:
    """A hook for many entries that dies of some numbers."""
    wanted = frozenset(culprits)

    class Kill(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> None:
            if any(entry.raw_data["n"] in wanted for entry in entries):
                die("SIGKILL")

    for name, value in attributes.items():
        setattr(Kill, name, value)
    return Kill()


def once_killer(culprits: Collection[int], folder: Path) -> Any:
    """A hook that dies of some numbers, but only the first time that each is seen."""
    wanted, path = frozenset(culprits), str(folder)

    def kill_once(entry: Entry, store: HookStore) -> None:
        import os

        number = entry.raw_data["n"]
        if number in wanted:
            try:
                os.close(os.open(f"{path}/died-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            die("SIGKILL")

    return kill_once


def noting(folder: Path) -> Any:
    """A hook that writes down each process that it is set up in, and each that it is torn down in."""
    path = str(folder / "workers")
    Path(path).touch()

    class Note(BaseHook):
        def setup(self, store: HookStore) -> None:
            self._note("setup")

        def teardown(self, store: HookStore) -> None:
            self._note("teardown")

        def _note(self, what: str) -> None:
            import os
            import threading

            file = os.open(path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, f"{what} {os.getpid()} {threading.get_ident()}\n".encode())
            finally:
                os.close(file)

    return Note()


def noted(folder: Path) -> list[list[str]]:
    """What `noting` wrote: what, process, thread."""
    return [line.split() for line in (folder / "workers").read_text("utf-8").splitlines()]


# --- hooks that hang ---


def _sleep() -> None:
    import time

    time.sleep(600)


def _spin() -> None:
    while True:
        pass


def _match() -> None:
    import re

    re.match(r"(a+)+$", "a" * 60 + "b")  # backtracks for years, and never lets another thread run


HANGS: dict[str, Callable[[], None]] = {"sleep": _sleep, "busy loop": _spin, "regular expression": _match}


def hanging(culprits: Collection[int], how: str) -> Any:
    wanted, hang = frozenset(culprits), HANGS[how]

    def hangs(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] in wanted:
            hang()

    return hangs


def async_hanging(culprits: Collection[int], how: str) -> Any:
    wanted, hang = frozenset(culprits), HANGS[how]

    async def hangs(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] in wanted:
            hang()

    return hangs


def chunk_hanging(culprits: Collection[int], how: str) -> Any:
    wanted, hang = frozenset(culprits), HANGS[how]

    class Hangs(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> None:
            if any(entry.raw_data["n"] in wanted for entry in entries):
                hang()

    return Hangs()
