"""What is left of a call when it has ended, and whose the keyword ``priority`` is."""

from __future__ import annotations

import functools
import gc
import inspect
import time
import weakref
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import pytest

from pipe_core import TaskExecutor
from pipe_core.tasks.policies import makes_priority

LIMIT = 30.0


@pytest.mark.skipif("threads" not in entry_points(group="pipe_core.executors").names, reason="threads is missing")
def test_an_ended_future_is_gone_with_its_last_reference() -> None:
    with TaskExecutor(max_workers=1) as executor:
        gc.disable()
        try:
            future = executor.submit(int)
            assert future.result(LIMIT) == 0
            seen = weakref.ref(future)
            del future
            deadline = time.monotonic() + LIMIT
            while seen() is not None and time.monotonic() < deadline:
                executor.submit(int).result(LIMIT)  # an idle thread lets go of its last call
            assert seen() is None
        finally:
            gc.enable()


def named(priority: int = 0) -> None: ...
def only(*, priority: int = 0) -> None: ...
def positional(priority: int, /) -> None: ...
def gathered(*priority: int) -> None: ...
def any_keyword(**priority: int) -> None: ...
def local(one: int) -> None:
    priority = one
    del priority


@functools.wraps(named)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


@functools.wraps(only, updated=())
def hidden(**kwargs: Any) -> None: ...


class Callables:
    def __call__(self, priority: int = 0) -> None: ...
    def method(self, priority: int = 0) -> None: ...


FUNCTIONS = (named, only, positional, gathered, any_keyword, local, wrapped, hidden, Callables(), Callables().method)


@pytest.mark.parametrize("fn", [*FUNCTIONS, functools.partial(named, priority=1), lambda one, priority: one])
def test_the_keyword_is_the_functions_where_its_signature_has_it(fn: Callable[..., Any]) -> None:
    parameter = inspect.signature(fn).parameters.get("priority")
    own = parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    assert makes_priority(fn, 1) is not own
