"""Calls that run until a test lets them go, in threads and in processes alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from pathlib import Path


class Held:
    """A call that runs and waits. `release` lets it end."""

    def __init__(self, executor: Executor, place: Path) -> None:
        os.mkfifo(place)
        path = str(place)
        self.future: Future[str] = executor.submit(lambda: Path(path).read_text())
        self._file = place.open("w")  # returns when the call has opened the other end: it runs

    def release(self) -> None:
        """Let the call end."""
        self._file.close()


@contextmanager
def held(executor: Executor, folder: Path, calls: int = 1) -> Iterator[list[Held]]:
    """As many *calls* that run; at the end of the block they are let go."""
    with ExitStack() as stack:
        running = []
        for number in range(calls):
            running.append(Held(executor, folder / f"gate-{number}"))
            stack.callback(running[-1].release)
        yield running
