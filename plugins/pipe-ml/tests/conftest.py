"""Models of a few points are fitted quickest by one thread; several wait for each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn, and that with scikit-optimize

    with threadpool_limits(1):
        yield
