"""Limits: a test that hangs ends, and says where it stands."""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
import traceback
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")


def within(seconds: float, fn: Callable[[], T]) -> T:
    """What ``fn()`` gives, called on a thread of its own.

    Args:
        seconds: How long it may take.
        fn: What to call.

    Raises:
        AssertionError: It takes longer; tells where it stands.
    """
    ended: list[T] = []
    errors: list[BaseException] = []

    context = contextvars.copy_context()

    def run() -> None:
        try:
            ended.append(context.run(fn))
        except BaseException as error:  # raised again below, skips of pytest among them
            errors.append(error)

    thread = threading.Thread(target=run, name="kit", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise AssertionError(f"nothing came within {seconds:g} s. It stands here:\n{_stack(thread)}")
    if errors:
        raise errors[0]
    return ended[0]


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
