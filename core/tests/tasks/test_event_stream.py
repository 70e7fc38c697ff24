from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pipe_core import RunCancelledError, RunError
from pipe_core.tasks import Event, EventStatus, Unset


class Count(Event):
    """Streams the numbers below *to*, and then does what *then* says."""

    to: int = 3
    then: Any = None

    async def _invoke(self) -> Any:
        for number in range(self.to):
            await asyncio.sleep(0)
            yield number
        if self.then is not None:
            await self.then()


class ByMethod(Event):
    streaming = True

    async def stream(self) -> AsyncIterator[Any]:
        yield "a"
        yield "b"


class Both(Event):
    async def _invoke(self) -> Any:
        return "whole"

    async def stream(self) -> AsyncIterator[Any]:
        yield "piece"


class OnlyStream(Event):
    async def stream(self) -> AsyncIterator[Any]:
        yield "piece"


class Prepared(Event):
    async def stream(self) -> AsyncIterator[Any]:  # type: ignore[override]  # one to await, which gives one
        await asyncio.sleep(0)
        return chunks()


class Handed(Event):
    async def _invoke(self) -> Any:
        return chunks()


async def chunks() -> AsyncIterator[Any]:
    yield "late"


async def read(event: Event) -> list[Any]:
    return [chunk async for chunk in event.stream_chunks()]


CASES = [
    (Count(), [0, 1, 2]),
    (Count(to=0), []),
    (ByMethod(), ["a", "b"]),
    (Both(streaming=True), ["piece"]),
    (OnlyStream(), ["piece"]),
    (Prepared(), ["late"]),
    (Handed(), ["late"]),
]


@pytest.mark.parametrize(("event", "expected"), CASES)
def test_the_response_is_the_list_of_chunks(event: Event, expected: list[Any]) -> None:
    event = event.as_fresh_event()

    assert asyncio.run(event.invoke()) == expected
    execution = event.execution
    assert (execution.status, execution.response, execution.error) == (EventStatus.COMPLETED, expected, None)
    assert isinstance(execution.duration, float)


@pytest.mark.parametrize(("event", "expected"), CASES)
def test_reading_the_chunks_of_a_pending_event_runs_it(event: Event, expected: list[Any]) -> None:
    event = event.as_fresh_event()

    assert asyncio.run(read(event)) == expected
    assert event.status is EventStatus.COMPLETED
    assert asyncio.run(read(event)) == expected  # once more, from what is there


def test_a_class_with_both_streams_only_when_told() -> None:
    assert asyncio.run(Both().invoke()) == "whole"


def test_an_event_that_does_not_stream_has_no_chunks() -> None:
    class Listing(Event):
        async def _invoke(self) -> Any:
            return [1, 2]

    assert asyncio.run(read(Listing())) == []


def test_streaming_without_a_stream_says_what_to_write() -> None:
    class Silent(Event):
        streaming = True

    event = Silent()
    asyncio.run(event.invoke())
    assert event.status is EventStatus.FAILED
    assert "Silent streams nothing" in str(event.execution.error)


def test_chunks_are_seen_as_they_come_by_every_consumer() -> None:
    gate = asyncio.Event()

    async def main() -> list[list[Any]]:
        event = Count(then=gate.wait)
        first = event.stream_chunks()
        assert [await anext(first) for _ in range(3)] == [0, 1, 2]
        assert event.execution.response is Unset
        assert event.status is EventStatus.PROCESSING
        second = asyncio.ensure_future(read(event))
        await asyncio.sleep(0.01)
        gate.set()
        return [[chunk async for chunk in first], await second]

    assert asyncio.run(asyncio.wait_for(main(), 10)) == [[], [0, 1, 2]]


def test_consumers_in_other_threads_see_every_chunk_once() -> None:
    event = Count(to=500)
    seen: list[list[Any]] = []
    threads = [threading.Thread(target=lambda: seen.append(asyncio.run(read(event))), daemon=True) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    assert seen == [list(range(500))] * 4
    assert event.status is EventStatus.COMPLETED


async def fail() -> None:
    raise ValueError("broken off")


def test_a_stream_that_fails_keeps_its_chunks_and_tells_its_consumers() -> None:
    event = Count(then=fail)
    seen: list[Any] = []

    async def main() -> None:
        async for chunk in event.stream_chunks():
            seen.append(chunk)  # noqa: PERF401  # what was seen before the error

    with pytest.raises(RunError, match=r"failed after 3 chunks: ValueError: broken off") as info:
        asyncio.run(main())
    assert isinstance(info.value.__cause__, ValueError)
    assert seen == event.execution.response == [0, 1, 2]
    assert event.status is EventStatus.FAILED


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_stream_that_takes_too_long_is_cancelled() -> None:
    event = Count(then=forever, timeout=0.5)
    with pytest.raises(RunCancelledError, match="cancelled after 3 chunks"):
        asyncio.run(read(event))
    assert event.status is EventStatus.CANCELLED
    assert isinstance(event.execution.error, TimeoutError)


def test_who_started_it_and_leaves_early_cancels_it() -> None:
    event = Count(then=forever)

    async def main() -> None:
        consumer = event.stream_chunks()
        assert await anext(consumer) == 0
        await consumer.aclose()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert event.status is EventStatus.CANCELLED


def test_who_only_watches_and_leaves_early_changes_nothing() -> None:
    gate = asyncio.Event()

    async def main() -> Any:
        event = Count(then=gate.wait)
        run = asyncio.ensure_future(event.invoke())
        await asyncio.sleep(0)
        consumer = event.stream_chunks()
        assert await anext(consumer) == 0
        await consumer.aclose()
        gate.set()
        return await run

    assert asyncio.run(asyncio.wait_for(main(), 10)) == [0, 1, 2]


@pytest.mark.parametrize("made", [lambda: 7, lambda: [1, 2]])
def test_a_stream_that_is_none_is_a_failure(made: Callable[[], Any]) -> None:
    class Odd(Event):
        def stream(self) -> Any:
            return made()

    event = Odd()
    asyncio.run(event.invoke())
    assert event.status is EventStatus.FAILED
    assert isinstance(event.execution.error, TypeError)
