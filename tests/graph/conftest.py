"""The executors that are installed, each started once, for engines of all combinations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "executors"))
sys.path.insert(0, str(Path(__file__).parents[2] / "core" / "tests" / "graph"))
sys.path.insert(0, str(Path(__file__).parent))

from starting import Started

from pipe_core import Engine

INSTALLED = entry_points(group="pipe_core.executors").names
LOCAL = [name for name in ("sync", "threads", "asyncio", "loky") if name in INSTALLED]
CLUSTERS = [name for name in ("dask", "ray") if name in INSTALLED]
MIXED = [(name, "sync") for name in CLUSTERS] + [("asyncio", name) for name in CLUSTERS]
MIXED += [("ray", "dask")] * (len(CLUSTERS) == 2)


@pytest.fixture(scope="session")
def executors() -> Iterator[Started]:
    """Executors by name, with two workers."""
    started = Started()
    yield started
    started.shutdown()


@pytest.fixture(params=[(nodes, items) for nodes in LOCAL for items in LOCAL], ids="+".join)
def combined(request: pytest.FixtureRequest, executors: Started) -> Engine:
    """An engine for each combination of executors of this machine: where nodes run, and where items do."""
    return Engine(*(executors[name] for name in request.param))


@pytest.fixture(params=MIXED, ids="+".join)
def clustered(request: pytest.FixtureRequest, executors: Started) -> Engine:
    """An engine with Dask or Ray on a side."""
    return Engine(*(executors[name] for name in request.param))


@pytest.fixture(params=LOCAL)
def alike(request: pytest.FixtureRequest, executors: Started) -> Engine:
    """An engine with the same executor on both sides."""
    return Engine(executors[request.param], executors[request.param])
