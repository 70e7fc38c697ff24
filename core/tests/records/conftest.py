from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


@pytest.fixture
def two_threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(params=["sync", "two threads"])
def executor(request: pytest.FixtureRequest) -> Any:
    return "sync" if request.param == "sync" else request.getfixturevalue("two_threads")
