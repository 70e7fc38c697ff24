"""Executors that many tests use, each started once."""

from __future__ import annotations

from typing import ClassVar

from pipe_core import Executor, get_executor


class Started:
    """Executors by name, each started when somebody wants it first, with two workers.

    All folders of tests use the same ones: clusters take seconds to start, and cost something while they wait.

    Args:
        apart: Use others, because the tests do harm to them.
    """

    _common: ClassVar[dict[str, Executor]] = {}

    def __init__(self, *, apart: bool = False) -> None:
        self._executors = {} if apart else self._common

    def __getitem__(self, name: str) -> Executor:
        if name not in self._executors:
            self._executors[name] = get_executor(name) if name == "sync" else get_executor(name, max_workers=2)
        return self._executors[name]

    def shutdown(self) -> None:
        while self._executors:
            self._executors.popitem()[1].shutdown()

    def terminate(self) -> None:
        """End them, and whatever is left running there."""
        while self._executors:
            self._executors.popitem()[1].terminate()
