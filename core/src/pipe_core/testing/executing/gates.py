"""Gates: calls that run until a test lets them go, and notes that they leave, by files that every worker sees.

What runs in a worker is a nested function that imports what it needs: it travels by value to any process.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipe_core.runtime.executor import Executor


class Gate:
    """A gate that calls wait at until it is opened.

    Args:
        folder: Where its files go; every worker must see it.
        seconds: How long anything waits.
    """

    _numbers = itertools.count()

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder / f"gate-{next(self._numbers)}"
        self._folder.mkdir()
        self._seconds = seconds

    def holder(self, number: int) -> Callable[[], int]:
        """A function that says that it runs, and gives *number* when the gate is open."""
        here, gate, seconds = str(self._folder / f"here-{number}"), str(self._folder / "open"), 3 * self._seconds

        def hold() -> int:
            import time
            from pathlib import Path

            Path(here).touch()
            deadline = time.monotonic() + seconds
            while not Path(gate).exists():
                if time.monotonic() > deadline:
                    raise TimeoutError("nobody opened the gate")
                time.sleep(0.002)
            return number

        return hold

    def async_holder(self, number: int) -> Callable[[], Any]:
        """The same as a coroutine function."""
        here, gate, seconds = str(self._folder / f"here-{number}"), str(self._folder / "open"), 3 * self._seconds

        async def hold() -> int:
            import asyncio
            import os
            import time

            os.close(os.open(here, os.O_CREAT))
            deadline = time.monotonic() + seconds
            while not os.access(gate, os.F_OK):
                if time.monotonic() > deadline:
                    raise TimeoutError("nobody opened the gate")
                await asyncio.sleep(0.002)
            return number

        return hold

    def held(self) -> int:
        """How many calls have come to it."""
        return len(list(self._folder.glob("here-*")))

    def wait_for(self, calls: int) -> None:
        """Return when *calls* have come."""
        wait_until(lambda: self.held() >= calls, self._seconds, lambda: f"{self.held()} of {calls} calls run at once")

    def open(self) -> None:
        """Let all of them go."""
        (self._folder / "open").touch()


@contextmanager
def busy(executor: Executor, folder: Path, seconds: float, calls: int | None = None) -> Iterator[list[Future[int]]]:
    """*calls* that run, as many as there are slots unless it is said; at the end of the block they are let go."""
    gate, wanted = Gate(folder, seconds), executor.slots if calls is None else calls
    try:
        futures = [executor.submit(gate.holder(number)) for number in range(wanted)]
        gate.wait_for(wanted)
        yield futures
    finally:
        gate.open()


def wait_until(holds: Callable[[], object], seconds: float, otherwise: Callable[[], str]) -> None:
    """Return as soon as ``holds()``.

    Raises:
        AssertionError: It does not within *seconds*; says what is *otherwise*.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise()}, after {seconds:g} s"
        time.sleep(0.002)


class Notes:
    """What calls have noted, in the order in which they did, whatever process they ran in."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notes"
        self._path.touch()

    def writer(self) -> Callable[[str], None]:
        """A function that notes a text without line ends. Travels."""
        path = str(self._path)

        def note(text: str) -> None:
            import os

            file = os.open(path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, f"{text}\n".encode())  # one write: lines of several processes do not mix
            finally:
                os.close(file)

        return note

    def read(self) -> list[str]:
        """All of them."""
        return self._path.read_text("utf-8").splitlines()

    def count(self) -> Counter[str]:
        """How often each was noted."""
        return Counter(self.read())


def alive(pid: int) -> bool:
    """Whether a process of this machine runs, as opposed to has ended and not been asked how."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
