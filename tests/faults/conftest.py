"""The executors that faults are tried on, each started once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

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


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    executors = Started()
    yield executors
    executors.shutdown()


@pytest.fixture
def loky(started: Started) -> Executor:
    return started["loky"]


@pytest.fixture(params=PROCESSES)
def processes(request: pytest.FixtureRequest, started: Started) -> Executor:
    """Each executor whose workers are processes."""
    return started[request.param]


@pytest.fixture(params=ALL)
def executor(request: pytest.FixtureRequest, started: Started) -> Executor:
    """Each executor that is installed."""
    return started[request.param]
