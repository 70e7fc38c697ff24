"""The executors that faults are tried on, each started once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "executors"))
sys.path.insert(0, str(Path(__file__).parent))

from starting import Started
from tried import ALL, PROCESSES

from pipe_core import Executor


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    executors = Started(apart=True)
    yield executors
    executors.terminate()


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
