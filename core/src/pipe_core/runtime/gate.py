"""A gate that a signal handler may open."""

from __future__ import annotations

import _thread
import contextlib


class Gate:
    """Like `threading.Event`, without `clear`, and safe in signal handlers.

    An event has a lock that is not reentrant: a handler that sets the event which the interrupted thread was just
    looking at waits for itself. This is one lock that is taken until the gate opens.
    """

    __slots__ = ("_lock", "_open")

    def __init__(self) -> None:
        self._open = False
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def __bool__(self) -> bool:
        """Whether it is open."""
        return self._open

    def open(self) -> None:
        """Let everybody through, now and later."""
        self._open = True
        self._release()

    def wait(self, seconds: float | None = None) -> bool:
        """Return when it is open, or after so many *seconds*: whether it is open."""
        if self._open:
            return True
        if self._lock.acquire(timeout=-1 if seconds is None else max(0.0, seconds)):
            self._release()  # for the next one who waits
        return self._open

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError):  # somebody else was faster
            self._lock.release()
