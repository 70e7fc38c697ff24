"""Gates: a hook or a sink comes to a named point and stops there, in whatever process, until a test lets it go."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipe_core.records.entry import Entry
from pipe_core.records.store import HookStore


class Gate:
    """A named point. It travels, and a gate of the same name and folder in another process is the same one.

    Args:
        folder: Where its files go; every process that comes to it must see the folder.
        name: Its name.
        seconds: How long anybody waits.
    """

    def __init__(self, folder: str | Path, name: str, *, seconds: float = 30.0) -> None:
        self._here = str(Path(folder).absolute() / f"{name}.here")
        self._open = str(Path(folder).absolute() / f"{name}.open")
        self._seconds = seconds

    def hook(self, when: Callable[[Entry], bool] = lambda entry: True) -> Callable[[Entry, HookStore], None]:
        """A hook that stops at the entries of which *when* says so. Default: at each.

        A sink that stops is a `FlakySink` whose faults have ``instead=gate.pass_through``.
        """

        def stop(entry: Entry, store: HookStore) -> None:
            if when(entry):
                self.pass_through()

        return stop

    def pass_through(self) -> None:
        """Say that somebody is here, and wait until it is open.

        Raises:
            TimeoutError: Nobody opens it.
        """
        Path(self._here).touch()
        self._wait(self._open, "nobody opened the gate")

    def wait_until_reached(self) -> None:
        """Wait until somebody stands at it.

        Raises:
            TimeoutError: Nobody comes.
        """
        self._wait(self._here, "nobody came to the gate")

    @property
    def reached(self) -> bool:
        """Whether somebody has come to it."""
        return Path(self._here).exists()

    def open(self) -> None:
        """Let all pass, from now on."""
        Path(self._open).touch()

    def _wait(self, path: str, otherwise: str) -> None:
        deadline = time.monotonic() + self._seconds
        while not Path(path).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise} '{Path(path).stem}' within {self._seconds:g} s")
            time.sleep(0.002)
