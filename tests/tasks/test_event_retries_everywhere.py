"""Events that are tried again, over every installed executor: as many attempts, and nothing run beside itself."""

# ruff: noqa: ASYNC240  # files by which processes tell what they do

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from event_runs import PLENTY, joined, run
from held_calls import LIMIT, note

from pipe_core import CircuitBreaker, Event, EventExecutor, EventStatus, Executor, Processor, Retry
from pipe_core.kernel.errors import TaskTimeoutError

pytestmark = pytest.mark.timeout(150)


class Flaky(Event):
    """Fails, or hangs, for the first few times, as a file of its own remembers."""

    path: str
    failures: int = 0
    hangs: bool = False

    async def _invoke(self) -> Any:
        note(self.path, "x")
        runs = len(Path(self.path).read_text().split())
        if runs <= self.failures:
            if self.hangs:
                await asyncio.sleep(LIMIT)
            raise ConnectionError(runs)
        return runs


class Flakies(Processor):
    event_type = Flaky


class FlakyExecutor(EventExecutor):
    processor_type = Flakies


@pytest.mark.parametrize("starts", [False, True])
def test_as_many_attempts_as_it_takes(started: Executor, tmp_path: Path, starts: bool) -> None:
    async def main() -> None:
        executor = FlakyExecutor(PLENTY, executor=started)
        breaker = CircuitBreaker("service", failures=1_000)
        events = [Flaky(path=str(tmp_path / str(n)), failures=n % 5) for n in range(25)]
        if starts:
            await executor.start()
        for event in events:
            await executor.append(event, retries=Retry(3, delay=0.005), breaker=breaker)
        if starts:
            await joined(executor)
        else:
            await executor.forward()
        for n, event in enumerate(events):
            runs = min(n % 5 + 1, 4)
            assert len(Path(event.path).read_text().split()) == event.execution.attempt == runs
            assert event.status is (EventStatus.COMPLETED if n % 5 < 4 else EventStatus.FAILED)
        assert [event.execution.error.args for event in executor.dead_letters] == [(4,)] * 5  # type: ignore[union-attr]  # all failed
        again = [await executor.requeue(event) for event in executor.dead_letters]
        await executor.forward()
        assert [event.execution.response for event in again] == [5] * 5
        await executor.shutdown()

    run(main)


def test_one_that_hangs_is_tried_again(started: Executor, tmp_path: Path) -> None:
    async def main() -> None:
        executor = FlakyExecutor(PLENTY, executor=started)
        once = Flaky(path=str(tmp_path / "once"), failures=1, hangs=True, timeout=2.0)
        ever = Flaky(path=str(tmp_path / "ever"), failures=9, hangs=True, timeout=0.2)
        for event in (once, ever):
            await executor.append(event, retries=Retry(1, delay=0.005))
        await executor.forward()
        assert (once.execution.response, once.execution.attempt) == (2, 2)
        assert (ever.status, ever.execution.attempt) == (EventStatus.CANCELLED, 2)
        assert isinstance(ever.execution.error, TaskTimeoutError)
        await executor.shutdown()

    run(main)
