"""CPython's own tests of executors, run against an executor of ours.

They are not copied: where this Python ships its test package, they are subclassed.
"""

from __future__ import annotations

import importlib
import unittest
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, Final

import pytest

_MODULES: Final = ("", ".util", ".executor", ".test_wait", ".test_as_completed", ".test_shutdown")
"""One module up to Python 3.11, a package of several since."""
_MIXINS: Final = ("ExecutorTest", "WaitTests", "AsCompletedTests", "ExecutorShutdownTest")
LEFT_OUT: Final = {
    "test_max_workers_negative": "wants the words of ThreadPoolExecutor; ours is a ValueError too",
    "test_interpreter_shutdown": "its script imports the class from concurrent.futures",
    "test_submit_after_interpreter_shutdown": "its script imports the class from concurrent.futures",
    "test_hang_gh83386": "its script imports the class from concurrent.futures",
}
"""What cannot be run as it is. `test_standard.py` says the same in words of its own."""


def cpython_tests(executor: type[Executor]) -> dict[str, type[unittest.TestCase]]:
    """A test case for each of CPython's groups of tests, by name. Skips where they are not installed."""
    names = _names()
    if not names:
        pytest.skip("this Python comes without its test package", allow_module_level=True)
    with_executor, base = names["ExecutorMixin"], names["BaseTestCase"]
    left_out: dict[str, Any] = dict.fromkeys(LEFT_OUT)
    return {
        name: type(name, (names[mixin], with_executor, base), {**left_out, "executor_type": executor})
        for mixin in _MIXINS
        for name in [f"Test{executor.__name__}{mixin}"]
    }


def _names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module in _modules():
        found.update(vars(module))
    return found


def _modules() -> Iterator[Any]:
    for name in _MODULES:
        try:
            yield importlib.import_module(f"test.test_concurrent_futures{name}")
        except ImportError:
            continue
