from __future__ import annotations

from pipe_core.testing import ExecutorConformance


class TestAsyncIO(ExecutorConformance):
    executor = "asyncio"
