"""Executors to try tasks on, made once a session: workers of processes and clusters take long to come up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pipe_core import Executor, TaskExecutor, get_executor

INSTALLED = sorted(
    entry_points(group="pipe_core.executors").names & {"asyncio", "dask", "loky", "ray", "sync", "threads"}
)


@pytest.fixture(scope="session", params=INSTALLED)
def started(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Every installed executor, with two workers where it has any."""
    name = request.param
    with get_executor(name) if name == "sync" else get_executor(name, max_workers=2) as executor:
        yield executor


@pytest.fixture
def one() -> Iterator[TaskExecutor]:
    """One worker."""
    with TaskExecutor(max_workers=1) as executor:
        yield executor
