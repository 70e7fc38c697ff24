"""What an executor keeps of events that have ended, in bytes as Python allocated them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest
from event_kinds import Work, Works, run

COUNT = 3_000


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture(autouse=True)
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_of_an_ended_event_hardly_more_is_kept_than_itself() -> None:
    async def main() -> None:
        before = allocated()
        alone = [Work() for _ in range(COUNT)]
        for event in alone:
            await event.invoke()
        own = allocated() - before

        executor = Works({"max_queue_size": COUNT}, history=10)
        await executor.append(Work())
        await executor.forward()
        before = allocated()
        for event in [Work() for _ in range(COUNT)]:
            await executor.append(event)
        await executor.forward()
        kept = allocated() - before
        assert executor.status_counts()["completed"] == COUNT + 1
        assert kept / own < 1.11

    run(main)
