"""What is installed: the executors that faults are tried on."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from pipe_core import Executor, get_executor

INSTALLED = frozenset(entry_points(group="pipe_core.executors").names)
PROCESSES = [name for name in ("loky", "dask", "ray") if name in INSTALLED]
"""Where workers are processes, which may die."""
ALL = [name for name in ("sync", "threads", "asyncio") if name in INSTALLED] + PROCESSES
NEEDS_LOKY = pytest.mark.skipif("loky" not in INSTALLED, reason="loky is not installed")
NEEDS_THREADS = pytest.mark.skipif("threads" not in INSTALLED, reason="threads is not installed")


class Started:
    """Executors by name, each started when a test wants it first, with two workers."""

    def __init__(self) -> None:
        self._executors: dict[str, Executor] = {}

    def __getitem__(self, name: str) -> Executor:
        if name not in self._executors:
            self._executors[name] = get_executor(name) if name == "sync" else get_executor(name, max_workers=2)
        return self._executors[name]

    def shutdown(self) -> None:
        for executor in self._executors.values():
            executor.terminate()  # whatever a test left running there
