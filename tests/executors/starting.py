"""Executors that many tests use, each started once."""

from __future__ import annotations

from pipe_core import Executor, get_executor


class Started:
    """Executors by name, each started when somebody wants it first, with two workers."""

    def __init__(self) -> None:
        self._executors: dict[str, Executor] = {}

    def __getitem__(self, name: str) -> Executor:
        if name not in self._executors:
            self._executors[name] = get_executor(name) if name == "sync" else get_executor(name, max_workers=2)
        return self._executors[name]

    def shutdown(self) -> None:
        for executor in self._executors.values():
            executor.shutdown()

    def terminate(self) -> None:
        """End them, and whatever is left running there."""
        for executor in self._executors.values():
            executor.terminate()
