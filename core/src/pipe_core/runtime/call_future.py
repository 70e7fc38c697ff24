"""The future of a call: one of the standard library, with a lock that costs less."""

from __future__ import annotations

from _thread import RLock
from concurrent.futures import Future
from threading import Condition
from typing import Any, Final


class _Lock(RLock):  # type: ignore[misc]  # final in its stub, not in CPython
    """Stands for a `Condition`, which is made only when somebody waits.

    Nearly every future has ended before anybody asks, and most of its time goes into a Condition's Python code.
    """

    _condition: Condition | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """As `Condition.wait`."""
        if self._condition is None:
            self._condition = Condition(self)
        return self._condition.wait(timeout)

    def notify_all(self) -> None:
        """As `Condition.notify_all`."""
        if self._condition is not None:
            self._condition.notify_all()


class _CallFuture(Future[Any]):
    _state = "PENDING"
    _result = None
    _exception = None

    def __init__(self) -> None:
        self._condition = _Lock()  # type: ignore[assignment]  # all of a Condition that futures use
        self._waiters: list[Any] = []
        self._done_callbacks: list[Any] = []


_SAME: Final = {*vars(_CallFuture()), "_state", "_result", "_exception"} == {*vars(Future())}
CallFuture: Final[type[Future[Any]]] = _CallFuture if _SAME else Future
"""Where the standard library's futures are made in another way than this one, it is theirs."""
