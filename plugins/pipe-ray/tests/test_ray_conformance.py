"""``ray`` keeps what every executor promises."""

from pipe_core.testing import ExecutorConformance


class TestRay(ExecutorConformance):
    executor = ("ray", {"max_workers": 2})
    start_seconds = 60.0
