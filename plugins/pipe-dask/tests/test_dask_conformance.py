"""The kit, on a cluster of our own and on one that somebody else started."""

from pipe_core.testing import ExecutorConformance


class TestDask(ExecutorConformance):
    executor = "dask"
    patience = 20.0
    start_seconds = 30.0
