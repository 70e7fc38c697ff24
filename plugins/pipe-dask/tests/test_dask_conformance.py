"""The kit, on a cluster of our own and on one that somebody else started."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from pipe_core import Executor, get_executor
from pipe_core.testing import ExecutorConformance


class TestDask(ExecutorConformance):
    executor = "dask"
    patience = 20.0
    start_seconds = 30.0


@pytest.fixture(scope="class")
def others(request: pytest.FixtureRequest, start_cluster: Any, tmp_path_factory: Any) -> Iterator[None]:
    made = start_cluster(tmp_path_factory.mktemp("cluster"), 2, failures=0)
    try:
        request.cls.cluster = made
        yield
    finally:
        made.end()


@pytest.mark.usefixtures("others")
class TestSomebodyElsesCluster(ExecutorConformance):
    """One that blames a call at its first death. Dask's own setting is to try it on three more workers.

    These may then die with the results of others, whose calls run twice, and the kit wants each to run once.
    """

    executor = "dask"
    patience = 50.0
    start_seconds = 50.0
    cluster: ClassVar[Any] = None

    def make_executor(self, prefetch: int = 0) -> Executor:
        """When both workers are there: one may just have died in another test."""
        cluster = type(self).cluster
        cluster.wait_for(2)
        return get_executor("dask", address=cluster.address, prefetch=prefetch)
