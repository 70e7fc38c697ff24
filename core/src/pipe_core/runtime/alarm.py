"""An alarm clock: calls a function when the earliest of the times has come that it was set to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from time import monotonic


class Alarm:
    """One thread, which lives from the first time that is set until `close`.

    Args:
        ring: What to call, in that thread, whenever a time has come. It says itself what comes next, by `set`.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._at = math.inf
        self._thread: threading.Thread | None = None
        self._closed = False

    def set(self, at: float) -> None:
        """Ring at *at*, by the monotonic clock, unless it rings earlier anyway."""
        if at >= self._at:
            return
        with self._changed:
            if at >= self._at or self._closed:
                return
            self._at = at
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="pipe-alarm", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def close(self) -> None:
        """Ring no more."""
        with self._changed:
            self._closed, self._at = True, math.inf
            self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (left := self._at - monotonic()) > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                if self._closed:
                    return
                self._at = math.inf
            self._ring()
