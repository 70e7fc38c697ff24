from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pipe_core import Executor, get_executor


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two processes for all tests: whatever a test does, the pool must stay usable."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def processes(pool: ProcessPoolExecutor) -> Iterator[Executor]:
    """An executor over the processes, which must still work when the test is over."""
    with get_executor(pool) as executor:
        yield executor
    assert pool.submit(abs, -1).result() == 1


@pytest.fixture
def threads() -> Iterator[Executor]:
    """An executor over two threads."""
    with ThreadPoolExecutor(2) as pool, get_executor(pool) as executor:
        yield executor


@pytest.fixture(params=["sync", "threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Each of the executors that core alone can make."""
    if request.param == "sync":
        with get_executor("sync") as executor:
            yield executor
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture(params=["threads", "processes"])
def background(request: pytest.FixtureRequest) -> Executor:
    """Each of them that runs calls while the caller goes on."""
    executor: Executor = request.getfixturevalue(request.param)
    return executor
