"""What a piece of code must give back: threads, child processes and open files."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_DESCRIPTORS: Final = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True)
class Resources:
    """What this process holds now. Open files are only known on Linux."""

    threads: frozenset[str]
    children: frozenset[str]
    files: frozenset[str]

    @classmethod
    def now(cls) -> Resources:
        """Look."""
        threads = {f"thread {one.name} ({one.ident})" for one in threading.enumerate()}
        children = {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}
        return cls(frozenset(threads), frozenset(children), frozenset(_open_files()))

    def since(self, before: Resources) -> list[str]:
        """What is there now and was not *before*."""
        return sorted((self.threads - before.threads) | (self.children - before.children) | (self.files - before.files))


@contextmanager
def no_leaks(patience: float = 5.0) -> Iterator[None]:
    """Make sure that the block gives back what it took.

    Args:
        patience: Seconds to wait for what ends by itself, such as a thread that was told to.

    Raises:
        AssertionError: Something is left; says what.
    """
    before = Resources.now()
    yield
    deadline = time.monotonic() + patience
    while left := _left(before):
        assert time.monotonic() < deadline, f"left behind: {', '.join(left)}"
        time.sleep(0.01)


def _left(before: Resources) -> list[str]:
    left = Resources.now().since(before)
    if left:
        gc.collect()  # what nobody holds any more is closed by the collector
        left = Resources.now().since(before)
    return left


def _open_files() -> Iterator[str]:
    if not _DESCRIPTORS.is_dir():
        return
    for name in os.listdir(_DESCRIPTORS):
        try:
            yield f"file {name} ({os.readlink(_DESCRIPTORS / name)})"
        except OSError:  # the one that listed the folder is closed by now
            continue
