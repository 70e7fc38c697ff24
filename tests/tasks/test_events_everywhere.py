"""`EventExecutor` over every installed executor: the same statuses, the same numbers."""

# ruff: noqa: ASYNC110, ASYNC240, ASYNC251  # events that block, and files by which processes tell what they do

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from event_runs import PLENTY, joined, run
from held_calls import LIMIT, note

from pipe_core import Event, EventExecutor, EventStatus, Executor, Processor, TaskPriority, WorkerKilled
from pipe_core.kernel.errors import TaskTimeoutError

pytestmark = pytest.mark.timeout(150)


class Work(Event):
    """Does one of a few things."""

    does: str = "square"
    number: int = 0
    path: str = ""

    async def _invoke(self) -> Any:
        if self.does == "square":
            return self.number**2
        if self.does == "fail":
            raise LookupError("why", self.number)
        if self.does == "exit":
            raise SystemExit(3)
        if self.does == "die":
            os._exit(3)
        if self.does == "hang":
            await asyncio.sleep(LIMIT)
        if self.does == "block":
            time.sleep(0.5)
        if self.does in ("note", "gate"):
            note(self.path, str(self.number))
        while self.does == "gate" and not os.path.exists(f"{self.path}.open"):
            await asyncio.sleep(0.005)
        return self.does


class Works(Processor):
    event_type = Work


class WorkExecutor(EventExecutor):
    processor_type = Works


def test_results_errors_and_statuses(started: Executor) -> None:
    async def main() -> None:
        executor = WorkExecutor(PLENTY, executor=started)
        await executor.start()
        events = [Work(number=n) for n in range(100)]
        wrong, ends = Work(does="fail", number=5), Work(does="exit")
        for event in [*events, wrong, ends]:
            await executor.append(event)
        await joined(executor)
        assert [event.execution.response for event in events] == [n**2 for n in range(100)]
        error = wrong.execution.error
        assert isinstance(error, LookupError)
        assert error.args == ("why", 5)
        assert isinstance(ends.execution.error, SystemExit)
        counts = executor.status_counts()
        assert (counts["completed"], counts["failed"], len(executor)) == (100, 2, 102)
        assert [move.to.value for move in executor.history(wrong)] == ["pending", "processing", "failed"]
        assert all(event.execution.duration >= 0 for event in events)
        await executor.shutdown()
        assert started.submit(pow, 2, 3).result(LIMIT) == 8, "it was given, and stays open"

    run(main)


def test_a_timeout_cancels_its_event(started: Executor) -> None:
    async def main() -> None:
        executor = WorkExecutor(executor=started)
        late, good = Work(does="hang", timeout=0.05), Work(number=3)
        await executor.append(late)
        await executor.append(good)
        await executor.forward()
        assert late.status is EventStatus.CANCELLED
        assert isinstance(late.execution.error, TaskTimeoutError)
        assert late.execution.retryable is True
        assert good.execution.response == 9
        await executor.shutdown()

    run(main)


def test_events_that_block_run_beside_each_other(started: Executor) -> None:
    if started.slots < 2 or started.capabilities.native_async:
        pytest.skip("what blocks there blocks its one loop")

    async def main() -> None:
        executor = WorkExecutor(executor=started)
        for _ in range(4):
            await executor.append(Work(does="block"))
        await executor.start()
        ticks = 0
        while not executor.processor or executor.status_counts()["completed"] < 4:
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 10, "the loop goes on meanwhile"
        moves = [
            (move.at, 1 if move.to is EventStatus.PROCESSING else -1) for move in executor.history() if move.before
        ]
        at_once = most = 0
        for _, change in sorted(moves):
            at_once += change
            most = max(most, at_once)
        assert most == 2
        await executor.shutdown()

    run(main)


def test_the_urgent_one_goes_next(started: Executor, tmp_path: Path) -> None:
    if started.name == "sync":
        pytest.skip("an event has ended when it is started")

    async def main() -> None:
        path = str(tmp_path / "order")
        executor = WorkExecutor(PLENTY | {"concurrency_limit": 1}, executor=started)
        await executor.start()
        await executor.append(Work(does="gate", number=-1, path=path))
        while not os.path.exists(path):
            await asyncio.sleep(0.005)
        for n in range(5):
            await executor.append(Work(does="note", number=n, path=path))
        await executor.append(Work(does="note", number=99, path=path), TaskPriority.URGENT)
        Path(f"{path}.open").touch()
        await joined(executor)
        assert Path(path).read_text().split() == ["-1", "99", "0", "1", "2", "3", "4"]
        await executor.shutdown()

    run(main)


def test_a_dead_worker_takes_one_event(started: Executor) -> None:
    if not started.capabilities.survives_worker_death:
        pytest.skip("its workers are threads of this process")

    async def main() -> None:
        executor = WorkExecutor(PLENTY, executor=started)
        await executor.start()
        dies, good = Work(does="die"), [Work(number=n) for n in range(20)]
        for event in [*good[:10], dies, *good[10:]]:
            await executor.append(event)
        await joined(executor)
        assert [event.execution.response for event in good] == [n**2 for n in range(20)]
        assert dies.status is EventStatus.FAILED
        assert isinstance(dies.execution.error, WorkerKilled)
        again = dies.as_fresh_event()
        again.does = "square"
        await executor.append(again)
        await joined(executor)
        assert again.execution.response == 0
        await executor.shutdown()

    run(main)


def test_stop_and_restart(started: Executor) -> None:
    async def main() -> None:
        executor = WorkExecutor(PLENTY, executor=started)
        for n in range(30):
            await executor.append(Work(number=n))
        await executor.start()
        await executor.stop()
        assert executor.processor is not None
        await executor.processor.settle()
        assert executor.status_counts()["completed"] + executor.status_counts()["pending"] == 30
        await executor.start()
        await joined(executor)
        assert sorted(event.execution.response for event in executor.completed_events) == [n**2 for n in range(30)]
        await executor.shutdown()

    run(main)


@pytest.mark.parametrize("name", ["threads", "loky"])
def test_one_that_is_made_by_its_name_is_shut_down(name: str) -> None:
    pytest.importorskip(f"pipe_{name}")

    async def main() -> None:
        executor = WorkExecutor(executor=(name, {"max_workers": 1}))
        for n in range(3):
            await executor.append(Work(number=n))
        await executor.forward()
        assert [event.execution.response for event in executor.completed_events] == [0, 1, 4]
        elsewhere = executor._elsewhere
        assert elsewhere is not None
        await executor.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            elsewhere._executor.submit(abs, -1)

    run(main)
