"""Items that come one after the other, and pipelines that are run from coroutines."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipe_core import Engine, MapResult, Pipeline, RunCancelledError, node
from pipe_core.graph.errors import ItemsFailedError
from pipe_core.graph.result import FailedRow
from pipe_core.graph.scope import CancelToken


@node
def double(value: int) -> int:
    return 2 * value


@node
async def halved(double: int) -> float:
    await asyncio.sleep(0)
    return double / 2


@pytest.fixture(params=["in line", "threads"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "in line":
        yield Engine()
        return
    with ThreadPoolExecutor(2) as pool, Engine(pool, pool) as engine:
        yield engine


def test_a_source_without_an_end_is_read_as_it_is_needed(engine: Engine) -> None:
    read: list[int] = []

    def endless() -> Iterator[int]:
        for value in itertools.count():
            read.append(value)
            yield value

    rows = Pipeline([double]).imap({"value": endless()}, "value", window=8, engine=engine)
    assert [next(rows) for _ in range(100)] == [{"double": 2 * value} for value in range(100)]
    rows.close()
    assert len(read) <= 100 + 3 * 8


def test_what_is_ready_first_comes_first_where_order_does_not_matter(engine: Engine) -> None:
    rows = Pipeline([double]).imap({"value": range(50)}, "value", ordered=False, engine=engine)
    assert sorted(row["double"] for row in rows) == [2 * value for value in range(50)]


def test_a_source_that_breaks_ends_the_run(engine: Engine) -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Pipeline([double]).imap({"value": breaking()}, "value", engine=engine))


def test_the_loop_of_the_caller_goes_on_and_runs_coroutine_nodes(engine: Engine) -> None:
    threads: set[int] = set()

    @node
    async def where(value: int) -> int:
        threads.add(threading.get_ident())
        await asyncio.sleep(0.05)
        return value

    async def main() -> int:
        ticks = 0

        async def ticker() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(ticker())
        assert await Pipeline([where]).arun({"value": 1}, engine=engine) == {"where": 1}
        result = await Pipeline([where, double]).amap({"value": range(4)}, "value", engine=engine)
        assert result["double"] == [0, 2, 4, 6]
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 10
    assert threads == {threading.get_ident()}


def test_rows_stream_to_a_coroutine(engine: Engine) -> None:
    async def main() -> list[float]:
        rows = Pipeline([double, halved]).astream({"value": range(100)}, "value", engine=engine)
        return [row["halved"] async for row in rows]

    assert asyncio.run(main()) == list(range(100))


def test_whoever_leaves_a_stream_ends_it(engine: Engine) -> None:
    read: list[int] = []

    def endless() -> Iterator[int]:
        for value in itertools.count():
            read.append(value)
            yield value

    async def main() -> None:
        rows = Pipeline([double, halved]).astream({"value": endless()}, "value", engine=engine)
        async for row in rows:
            if row["double"] == 20:
                break
        await rows.aclose()  # type: ignore[attr-defined]  # a generator has it
        before = len(read)
        await asyncio.sleep(0.1)
        assert len(read) == before, "nothing is read behind the end"

    asyncio.run(asyncio.wait_for(main(), 20))


def test_cancelling_the_awaiting_task_cancels_the_run(engine: Engine) -> None:
    ran: list[int] = []
    began = asyncio.Event()

    @node
    async def waits(value: int) -> int:
        ran.append(value)
        began.set()
        await asyncio.sleep(30)
        return value

    async def main() -> None:
        task = asyncio.create_task(Pipeline([waits]).amap({"value": range(10)}, "value", engine=engine))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(main(), 20))
    assert len(ran) < 10


def test_a_token_cancels_from_any_thread(engine: Engine) -> None:
    token = CancelToken()

    @node
    def stops(value: int) -> int:
        if value == 3:
            token.cancel()
        return value

    with pytest.raises(RunCancelledError):
        Pipeline([stops, double]).map({"value": range(1_000)}, "value", engine=engine, token=token)
    with pytest.raises(RunCancelledError):
        Pipeline([double]).run({"value": 1}, engine=engine, token=token)


def test_rows_of_items_that_fail_say_so(engine: Engine) -> None:
    @node
    def inverse(value: int) -> float:
        return 1 / value

    rows = Pipeline([inverse]).imap({"value": [1, 0, 2]}, "value", engine=engine, on_error="continue")
    first, failed, last = rows
    assert (first, last) == ({"inverse": 1.0}, {"inverse": 0.5})
    assert failed == {"inverse": None}
    assert isinstance(failed, FailedRow)
    assert (failed.failure.index, type(failed.failure.error)) == (1, ZeroDivisionError)
    with pytest.raises(ItemsFailedError, match="1 of 3 items have failed"):
        list(Pipeline([inverse]).imap({"value": [1, 0, 2]}, "value", engine=engine, on_error="collect"))


def test_a_stream_that_has_ended_leaves_the_token_of_its_caller_alone(engine: Engine) -> None:
    token = CancelToken()

    async def main() -> None:
        for _ in range(2):
            rows = Pipeline([double]).astream({"value": range(5)}, "value", engine=engine, token=token)
            assert len([row async for row in rows]) == 5
            assert await Pipeline([double]).arun({"value": 1}, engine=engine, token=token) == {"double": 2}

    asyncio.run(main())
    assert not token.is_cancelled


def test_what_has_failed_is_tried_again_long_behind_the_end_of_its_loop(engine: Engine) -> None:
    tries: list[int] = []

    @node
    async def flaky(value: int) -> int:
        tries.append(value)
        if len(tries) == 1:
            raise ConnectionError(value)
        return value

    async def main() -> MapResult:
        return await Pipeline([flaky]).amap({"value": [7]}, "value", engine=engine, on_error="continue")

    result = asyncio.run(main())
    assert [failure.index for failure in result.failed] == [0]
    assert result.retry_failed() == [{"flaky": 7}]
