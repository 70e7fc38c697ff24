"""A backend that runs nothing until a test tells it to."""

from __future__ import annotations

from typing import Any


class Recording:
    """A backend that runs nothing until it is told, and tells what it was told."""

    slots = 1

    def __init__(self) -> None:
        self.stops: list[bool] = []

    def start(self, slots: int, take: Any, done: Any) -> None:
        self.take, self.done = take, done

    def wake(self) -> None:
        """Wait until told."""

    def run(self) -> None:
        call = self.take(0)
        if call is not None:
            self.done(call, call.run())

    def stop(self, kill: bool = False) -> None:
        self.stops.append(kill)

    def kill(self, slot: int) -> None: ...

    def put(self, digest: str, data: bytes) -> Any: ...
