from __future__ import annotations

from pipe_core.testing import ExecutorConformance


class TestThreads(ExecutorConformance):
    executor = "threads"
