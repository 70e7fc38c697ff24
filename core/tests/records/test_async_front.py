"""The asynchronous fronts: `arun`, ``async for``, and `run` beside a running loop. The loop is never blocked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from numbered import Number, numbers
from pydantic import BaseModel

from pipe_core import BaseHook, FlowStatus, HookStore, Pipe, hookimpl
from pipe_core.kernel.errors import HookContractError, RunCancelledError, SourceError
from pipe_core.records.entry import Entry


async def endless() -> AsyncIterator[dict[str, Any]]:
    n = 0
    while True:
        yield {"n": n}
        n += 1
        await asyncio.sleep(0)


async def ticks_during(work: Awaitable[Any]) -> int:
    """How often a ticker on the same loop came to its turn while *work* was done."""
    count = 0

    async def tick() -> None:
        nonlocal count
        while True:
            count += 1
            await asyncio.sleep(0.001)  # the ticker's own pace, no wait for anything

    ticker = asyncio.create_task(tick())
    await work
    ticker.cancel()
    return count


# --- async for --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [None, 1, 7])
def test_async_for_gives_every_valid_entry_in_order(chunk_size: int | None, executor: Any) -> None:
    pipe = Pipe(numbers(500), schema=Number, executor=executor, chunk_size=chunk_size)

    async def main() -> list[int]:
        return [entry["validated_data"]["n"] async for entry in pipe]

    assert asyncio.run(main()) == list(range(500))


def test_async_for_gives_what_passed_while_the_sinks_get_the_rest() -> None:
    good: list[Any] = []
    bad: list[Any] = []
    records = [{"n": i if i % 10 else "x"} for i in range(100)]
    pipe = Pipe(records, good, errors=bad, schema=Number)

    async def main() -> list[int]:
        return [entry.position async for entry in pipe]

    positions = asyncio.run(main())
    assert positions == [i for i in range(100) if i % 10]
    assert [row["n"] for row in good] == positions
    assert [row["position"] for row in bad] == list(range(0, 100, 10))
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.COMPLETED


def test_leaving_async_for_aborts_an_endless_run_and_closes_its_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            async for one in endless():
                yield one
        finally:
            closed.append(True)

    pipe = Pipe(source())

    async def main() -> int:
        stream = aiter(pipe)
        async for entry in stream:
            if entry.raw_data["n"] == 30:
                break
        await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
        return entry.raw_data["n"]  # type: ignore[no-any-return]  # a record may hold anything

    assert asyncio.run(asyncio.wait_for(main(), 10)) == 30
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED
    assert closed == [True]


def test_a_failing_source_is_raised_out_of_async_for_behind_what_it_gave() -> None:
    async def source() -> AsyncIterator[dict[str, Any]]:
        for one in numbers(20):
            yield one
        raise OSError("line is cut")

    seen: list[int] = []

    async def main() -> None:
        async for entry in Pipe(source()):
            seen.append(entry.raw_data["n"])  # noqa: PERF401  # a comprehension would lose what came before the error

    with pytest.raises(SourceError, match="line is cut"):
        asyncio.run(main())
    assert seen == list(range(20))


def test_a_body_that_raises_ends_the_run() -> None:
    pipe = Pipe(numbers(1000), chunk_size=10)

    async def main() -> None:
        async for _ in pipe:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED


# --- the loop stays free ----------------------------------------------------------------------------------------------


class Busy(BaseHook):
    def execute(self, entries: list[Entry], store: HookStore) -> None:
        time.sleep(0.1)  # workload


def busy(entry: Entry, store: HookStore) -> None:
    time.sleep(0.1)  # workload


@pytest.mark.parametrize("hook", [busy, Busy()])
@pytest.mark.parametrize("front", ["arun", "async for"])
def test_sync_hooks_never_block_the_loop(hook: Any, front: str, executor: Any) -> None:
    pipe = Pipe(numbers(3), schema=Number, pre_validation_hooks=[hook], executor=executor, chunk_size=1)

    async def stream() -> None:
        async for _ in pipe:
            pass

    count = asyncio.run(ticks_during(pipe.arun() if front == "arun" else stream()))
    assert pipe.report is not None
    assert pipe.report.valid == 3
    assert count > 20  # of 100 or more; 4 would come to their turn between the calls if each blocked the loop


def test_sync_validators_sources_and_sinks_never_block_the_loop() -> None:
    class Slow(BaseModel):
        n: int

        def model_post_init(self, context: Any) -> None:
            time.sleep(0.05)  # workload

    def slow_source() -> Any:
        for one in numbers(3):
            time.sleep(0.05)  # workload
            yield one

    def slow_sink(row: Any) -> None:
        time.sleep(0.05)  # workload
        out.append(row)

    out: list[Any] = []
    count = asyncio.run(ticks_during(Pipe(slow_source(), slow_sink, schema=Slow).arun()))
    assert out == numbers(3)
    assert count > 25


def test_async_hooks_sources_and_sinks_run_on_the_loop_that_awaits() -> None:
    loops: list[Any] = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        for one in numbers(5):
            loops.append(asyncio.get_running_loop())
            yield one

    async def hook(entry: Entry, store: HookStore) -> None:
        loops.append(asyncio.get_running_loop())

    async def sink(row: Any) -> None:
        loops.append(asyncio.get_running_loop())

    async def main() -> Any:
        await Pipe(source(), sink, pre_validation_hooks=[hook]).arun()
        return asyncio.get_running_loop()

    mine = asyncio.run(main())
    assert all(loop is mine for loop in loops)
    assert len(loops) == 15


# --- run() ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync hook", "async hook", "async source", "async sink"])
def test_run_works_inside_a_running_loop(kind: str, executor: Any) -> None:
    out: list[int] = []
    threads: set[int] = set()

    def look(entry: Entry, store: HookStore) -> None:
        threads.add(threading.get_ident())

    async def await_nothing(entry: Entry, store: HookStore) -> None:
        await asyncio.sleep(0)
        threads.add(threading.get_ident())

    async def source() -> AsyncIterator[dict[str, Any]]:
        for one in numbers(20):
            await asyncio.sleep(0)
            yield one

    async def sink(row: Any) -> None:
        await asyncio.sleep(0)
        out.append(row["n"])

    async def main() -> Any:
        return Pipe(
            source() if kind == "async source" else numbers(20),
            sink if kind == "async sink" else lambda row: out.append(row["n"]),
            pre_validation_hooks=[await_nothing if kind == "async hook" else look],
            executor=executor,
        ).run()

    report = asyncio.run(main())
    assert out == list(range(20))
    assert report.valid == 20
    assert threads


def test_run_gives_back_the_loop_that_it_made() -> None:
    before = threading.active_count()

    async def hook(entry: Entry, store: HookStore) -> None:
        await asyncio.sleep(0)

    for _ in range(3):
        Pipe(numbers(3), pre_validation_hooks=[hook]).run()
    assert threading.active_count() == before


# --- arun() -----------------------------------------------------------------------------------------------------------


class Listener:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    @hookimpl
    def pipe_run_started(self, run: Any) -> None:
        self.heard.append("started")

    @hookimpl
    def pipe_entry_failed(self, run: Any, failure: Any) -> None:
        self.heard.append(failure.position)

    @hookimpl
    def pipe_run_finished(self, run: Any, report: Any) -> None:
        self.heard.append((report.status, report.valid))


def test_observers_hear_of_a_run_that_is_awaited() -> None:
    listener = Listener()
    records = [{"n": 1}, {"n": "x"}, {"n": 3}, {"n": "y"}]
    report = asyncio.run(Pipe(records, schema=Number, errors=[], observers=[listener]).arun())
    assert listener.heard == ["started", 1, 3, (FlowStatus.COMPLETED, 2)]
    assert report.failed == 2


def test_what_is_wrong_with_a_pipe_is_raised_by_arun() -> None:
    async def odd(entry: Entry, store: HookStore) -> Any:
        return 5

    with pytest.raises(HookContractError):
        asyncio.run(Pipe(numbers(1), pre_validation_hooks=[odd]).arun())
    with pytest.raises(SourceError):
        asyncio.run(Pipe("there-is-no.csv").arun())


def test_runs_share_a_loop() -> None:
    """Two runs wait for each other's hooks: neither could end alone."""

    async def main() -> list[Any]:
        here, there = asyncio.Event(), asyncio.Event()

        def meet(mine: asyncio.Event, other: asyncio.Event) -> Any:
            async def hook(entry: Entry, store: HookStore) -> None:
                mine.set()
                await other.wait()

            return hook

        pipes = [
            Pipe(numbers(3), pre_validation_hooks=[meet(here, there)]),
            Pipe(numbers(3), pre_validation_hooks=[meet(there, here)]),
        ]
        return await asyncio.wait_for(asyncio.gather(*(pipe.arun() for pipe in pipes)), 10)

    assert [report.valid for report in asyncio.run(main())] == [3, 3]


def test_cancelling_the_awaiting_task_aborts_the_run_and_is_raised_again() -> None:
    arrived = threading.Event()
    pipe = Pipe(endless(), lambda row: arrived.set())

    async def main() -> None:
        task = asyncio.create_task(pipe.arun())
        await asyncio.to_thread(arrived.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        assert pipe.report is not None
        assert pipe.report.is_finished

    asyncio.run(main())
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED
    with pytest.raises(RunCancelledError):
        pipe.report.wait(0)


# --- concurrency ------------------------------------------------------------------------------------------------------


class Crowd:
    """Lets everybody in, and everybody out only when so many are there or nobody else can come."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0
        self.highest = 0
        self.full: asyncio.Event | None = None

    async def __call__(self, entry: Entry, store: HookStore) -> None:
        self.full = self.full or asyncio.Event()
        self.inside += 1
        self.highest = max(self.highest, self.inside)
        if self.highest == self.most:
            self.full.set()
        await asyncio.wait_for(self.full.wait(), 10)
        for _ in range(entry.raw_data["n"] % 5):  # they leave in another order than they came
            await asyncio.sleep(0)
        self.inside -= 1


@pytest.mark.parametrize("concurrency", [1, 4, 10])
@pytest.mark.parametrize("front", [lambda pipe: pipe.run(), lambda pipe: asyncio.run(pipe.arun())])
def test_concurrency_is_reached_and_never_exceeded_and_the_order_is_kept(
    concurrency: int, front: Callable[[Pipe], Any]
) -> None:
    crowd = Crowd(concurrency)
    out: list[Any] = []
    front(Pipe(numbers(60), out, pre_validation_hooks=[crowd], concurrency=concurrency))
    assert crowd.highest == concurrency
    assert out == numbers(60)


@pytest.mark.parametrize(("given", "most"), [(None, 10), (3, 3)])
def test_ten_calls_of_an_async_hook_are_in_flight_unless_told_otherwise(given: int | None, most: int) -> None:
    crowd = Crowd(most)
    Pipe(numbers(40), pre_validation_hooks=[crowd], concurrency=given).run()
    assert crowd.highest == most
