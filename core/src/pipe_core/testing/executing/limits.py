"""Limits: a test that hangs ends, and says where it stands."""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def within(seconds: float, fn: Callable[[], T]) -> T:
    """What ``fn()`` gives, called on a thread of its own.

    Args:
        seconds: How long it may take.
        fn: What to call.

    Raises:
        AssertionError: It takes longer; tells where it stands.
    """
    return together(seconds, [fn])[0]


def together(seconds: float, fns: Sequence[Callable[[], T]]) -> list[T]:
    """What each of *fns* gives, called at the same time, each on a thread of its own.

    Raises:
        AssertionError: One takes longer than *seconds*; tells where it stands.
    """
    threads = [_Attempt(fn) for fn in fns]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for thread in threads:
        if thread.is_alive():
            raise AssertionError(f"nothing came within {seconds:g} s. It stands here:\n{_stack(thread)}")
    return [thread.given() for thread in threads]


class _Attempt(threading.Thread, Generic[T]):
    """A call that is over some time, or is not."""

    def __init__(self, fn: Callable[[], T]) -> None:
        super().__init__(name="kit", daemon=True)
        self._fn = fn
        self._context = contextvars.copy_context()
        self._values: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._values.append(self._context.run(self._fn))
        except BaseException as error:  # raised again by the one who waits, skips of pytest among them
            self._error = error

    def given(self) -> T:
        if self._error is not None:
            raise self._error
        return self._values[0]


def _stack(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)[-6:]) if frame is not None else "nowhere: it has just ended"


def limited(tests: type[T]) -> type[T]:
    """Give every test of a class the limit that its property ``limit`` says."""
    for name, test in list(vars(tests).items()):
        if name.startswith("test") and isinstance(test, FunctionType):
            setattr(tests, name, _limited(test))
    return tests


def _limited(test: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        within(self.limit, functools.partial(test, self, *args, **kwargs))

    return run
