"""A processor without an event executor, and the example of the seed."""

from __future__ import annotations

import asyncio

import pytest
from event_kinds import Work, Worker, run

from pipe_core import EventExecutor, EventStatus, OptionsError, Processor, QueueFullError

# --- a processor of its own ---


def test_a_processor_alone() -> None:
    async def main() -> None:
        processor = await Worker.create(queue_capacity=5, capacity_refresh_time=0.01)
        events = [Work(label=n) for n in range(20)]
        for event in events:
            await processor.enqueue(event)
        await processor.start()
        await processor.join()
        assert [event.execution.response for event in events] == list(range(20))
        assert len(processor.book.events) == 0, "nobody could ask for them"
        last = Work(label="last")
        await processor.stop()
        await processor.enqueue(last, 1.0)
        await processor.process()
        assert last.status is EventStatus.COMPLETED

    run(main)


def test_what_a_processor_alone_refuses() -> None:
    async def main() -> None:
        processor = Worker(max_queue_size=1)
        await processor.enqueue(Work())
        with pytest.raises(QueueFullError):
            await processor.enqueue(Work(), on_full="raise")
        with pytest.raises(OptionsError, match="on_full"):
            await processor.enqueue(Work(), on_full="block")  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(TypeError):
            await processor.enqueue(None)  # type: ignore[arg-type]  # wrong on purpose

    run(main)


def test_the_example_of_the_seed() -> None:
    class Basic(Processor):
        event_type = Work

    class Example(EventExecutor):
        processor_type = Basic

    async def main() -> None:
        executor = Example(
            processor_config={"queue_capacity": 50, "capacity_refresh_time": 0.5, "concurrency_limit": 20}
        )
        await executor.start()
        for n in range(100):
            await executor.append(Work(label=n, code=lambda: asyncio.sleep(0.01)), priority=1.0 if n < 10 else 100.0)
        while True:
            counts = executor.status_counts()
            if counts["pending"] == 0 and counts["processing"] == 0:
                break
            await asyncio.sleep(0.01)
        assert len(executor.completed_events) == 100
        assert await executor.cleanup_events() == 100
        await executor.stop()

    run(main)
