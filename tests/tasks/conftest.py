"""Executors to try tasks on, made once a session: workers of processes and clusters take long to come up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "executors"))
sys.path.insert(0, str(Path(__file__).parent))

from starting import Started

from pipe_core import Executor, TaskExecutor

INSTALLED = sorted(
    entry_points(group="pipe_core.executors").names & {"asyncio", "dask", "loky", "ray", "sync", "threads"}
)


@pytest.fixture(scope="session")
def executors() -> Iterator[Started]:
    """Executors by name."""
    started = Started()
    yield started
    started.shutdown()


@pytest.fixture(scope="session", params=INSTALLED)
def started(request: pytest.FixtureRequest, executors: Started) -> Executor:
    """Every installed executor, with two workers where it has any."""
    return executors[request.param]


@pytest.fixture
def one() -> Iterator[TaskExecutor]:
    """One worker."""
    with TaskExecutor(max_workers=1) as executor:
        yield executor
