"""Engines that need no plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pipe_core import Engine

_POOLED = {
    "in line": (False, False),
    "nodes in a pool": (True, False),
    "items in a pool": (False, True),
    "both in a pool": (True, True),
}


@pytest.fixture(params=_POOLED)
def anywhere(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine that runs in the calling thread, or in a pool of the standard library that it was given."""
    nodes, items = _POOLED[request.param]
    with ThreadPoolExecutor(2) as pool, Engine(pool if nodes else "sync", pool if items else "sync") as engine:
        yield engine
