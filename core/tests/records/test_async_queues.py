"""An `asyncio.Queue` is a source and a sink, on the loop that awaits the run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipe_core import Pipe


@pytest.mark.parametrize("sentinel", [None, "end"])
def test_a_queue_is_read_up_to_its_sentinel_and_written(sentinel: Any) -> None:
    async def main() -> list[Any]:
        source: asyncio.Queue[Any] = asyncio.Queue()
        sink: asyncio.Queue[Any] = asyncio.Queue(maxsize=2)
        got: list[Any] = []

        async def consume() -> None:
            while len(got) < 5:
                got.append(await sink.get())

        for n in range(5):
            source.put_nowait({"n": n})
        source.put_nowait(sentinel)
        source.put_nowait({"n": "behind the end"})
        given = source if sentinel is None else (source, {"sentinel": sentinel})
        report, _ = await asyncio.gather(Pipe(given, sink).arun(), consume())
        assert report.read == report.valid == 5
        assert source.qsize() == 1
        return got

    assert asyncio.run(main()) == [{"n": n} for n in range(5)]


def test_aborting_takes_nothing_more_out_of_a_queue() -> None:
    async def main() -> int:
        source: asyncio.Queue[Any] = asyncio.Queue()
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()
        source.put_nowait({"n": 1})
        run = asyncio.create_task(Pipe(source, lambda row: loop.call_soon_threadsafe(arrived.set)).arun())
        await asyncio.wait_for(arrived.wait(), 10)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        source.put_nowait({"n": 2})
        await asyncio.sleep(0)
        return source.qsize()

    assert asyncio.run(main()) == 1
