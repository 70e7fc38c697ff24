"""``loky`` keeps what every executor promises."""

from pipe_core.testing import ExecutorConformance


class TestLoky(ExecutorConformance):
    executor = ("loky", {"max_workers": 2})
    heavy = ("loky", "multiprocessing")
