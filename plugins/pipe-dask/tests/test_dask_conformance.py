"""The kit, on a cluster of our own and on one that somebody else started."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from pipe_core import Executor
from pipe_core.runtime.select import choose_executor
from pipe_core.testing import ExecutorConformance


class TestDask(ExecutorConformance):
    executor = "dask"
    patience = 20.0
    start_seconds = 30.0


class TestSomebodyElsesCluster(ExecutorConformance):
    """Dask tries a call on a second worker here before it blames it."""

    executor = "dask"
    patience = 50.0
    start_seconds = 30.0
    address: ClassVar[str] = ""

    @pytest.fixture(scope="class", autouse=True)
    def _cluster(self, make_cluster_for_class: Any) -> Iterator[None]:
        made = make_cluster_for_class(2, failures=1)
        made.wait_for(2)
        type(self).address = made.address
        yield
        made.end()

    def make_executor(self, prefetch: int = 0) -> Executor:
        made = choose_executor(("dask", {"address": type(self).address}), default=None, prefetch=prefetch)
        return made[0]
