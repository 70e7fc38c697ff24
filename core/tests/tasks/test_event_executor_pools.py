"""Events that run on an executor in place of the loop: threads and processes of the standard library."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from event_kinds import Work, Works, agree, joined, labels, run, until

from pipe_core import Event, EventExecutor, EventStatus, Processor, TaskPriority, get_executor
from pipe_core.kernel.errors import CodecError, TaskTimeoutError

LIMIT = 30.0


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


class Sum(Event):
    """Can be imported by other processes."""

    numbers: tuple[int, ...] = ()
    pause: float = 0.0

    async def _invoke(self) -> Any:
        await asyncio.sleep(self.pause)
        if not self.numbers:
            raise LookupError("no numbers", os.getpid())
        return sum(self.numbers), os.getpid()


class Refused(Exception):
    """With an argument that cannot travel."""


class Odd(Sum):
    async def _invoke(self) -> Any:
        if self.numbers:
            return threading.Lock()
        raise Refused(threading.Lock())


class Chunks(Sum):
    async def stream(self) -> Any:
        for number in self.numbers:
            yield number
        if self.pause:
            raise LookupError("broke off")


class Sums(Processor):
    event_type = Sum


class SumExecutor(EventExecutor):
    processor_type = Sums


def test_what_blocks_runs_beside_others_in_threads() -> None:
    barrier = threading.Barrier(3)
    names = set()

    def block() -> None:
        barrier.wait(LIMIT)
        names.add(threading.current_thread().name)

    async def main() -> None:
        with ThreadPoolExecutor(3) as pool:
            executor = Works(executor=pool)
            await executor.start()
            for _ in range(3):
                await executor.append(Work(code=block))
            await joined(executor)
            assert len(executor.completed_events) == 3
            assert len(names) == 3
            assert threading.current_thread().name not in names
            agree(executor)
            await executor.shutdown()
            assert pool.submit(abs, -1).result() == 1, "the pool is its owner's"

    run(main)


def test_results_errors_timeouts_and_streams_in_threads() -> None:
    def fail() -> None:
        raise SystemExit(3)

    async def main() -> None:
        with ThreadPoolExecutor(2) as pool:
            executor = Works({"queue_capacity": 1_000}, executor=pool)
            events = [Work(label=n) for n in range(200)]
            wrong, late = Work(code=fail), Work(timeout=0.01, code=lambda: asyncio.sleep(LIMIT))
            for event in [*events, wrong, late]:
                await executor.append(event)
            await executor.forward()
            assert [event.execution.response for event in events] == list(range(200))
            assert isinstance(wrong.execution.error, SystemExit)
            assert isinstance(late.execution.error, TaskTimeoutError)
            assert late.status is EventStatus.CANCELLED
            agree(executor)
            await executor.shutdown()

    run(main)


def test_no_more_at_once_than_the_executor_has_places_and_the_urgent_one_next() -> None:
    async def main() -> None:
        gate, order = threading.Event(), []
        with ThreadPoolExecutor(1) as pool:
            executor = Works(executor=pool)
            await executor.start()
            await executor.append(first := Work(code=lambda: gate.wait(LIMIT)))
            await until(lambda: first.status is EventStatus.PROCESSING)
            for n in range(5):
                await executor.append(Work(code=lambda n=n: order.append(n)))
            await executor.append(Work(code=lambda: order.append("urgent")), TaskPriority.URGENT)
            await asyncio.sleep(0.01)
            assert executor.processing_events == [first]
            gate.set()
            await joined(executor)
            assert order == ["urgent", *range(5)]
            await executor.shutdown()

    run(main)


def test_the_loop_goes_on_while_threads_are_blocked() -> None:
    async def main() -> None:
        gate = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            executor = Works(executor=pool)
            await executor.start()
            await executor.append(Work(code=lambda: gate.wait(LIMIT)))
            for _ in range(20):
                await asyncio.sleep(0.001)
            gate.set()  # nobody else could
            await joined(executor)
            await executor.shutdown()

    run(main)


def test_an_executor_that_takes_nothing_aborts_its_events() -> None:
    async def main() -> None:
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        executor = Works(executor=pool)
        await executor.append(event := Work())
        await executor.start()
        await joined(executor)
        assert event.status.final
        assert isinstance(event.execution.error, Exception)
        agree(executor)
        await executor.shutdown()

    run(main)


def test_a_shutdown_is_followed_by_another_start() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            executor = Works(executor=pool)
            for n in range(3):
                await executor.append(Work(label=n))
                await executor.start()
                await joined(executor)
                await executor.shutdown()
            assert labels(executor.completed_events) == [0, 1, 2]

    run(main)


def test_an_executor_that_was_given_stays_open() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as pool, get_executor(pool) as given:
            executor = Works(executor=given)
            await executor.append(Work(label=1))
            await executor.forward()
            await executor.shutdown()
            assert given.submit(abs, -1).result() == 1
            assert labels(executor.completed_events) == [1]

    run(main)


def test_on_the_thread_of_the_caller() -> None:
    async def main() -> None:
        executor = Works(executor="sync")
        for n in range(10):
            await executor.append(Work(label=n))
        await executor.forward()
        assert labels(executor.completed_events) == list(range(10))
        await executor.shutdown()

    run(main)


def test_a_loop_that_ends_before_threads_do_leaves_events_to_them() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        executor = Works(executor=pool)
        event = Work(code=lambda: gate.wait(LIMIT))

        async def begin() -> None:
            await executor.append(event)
            await executor.append(Work(label="waits"), 1e12)
            await executor.start()
            await until(lambda: event.status is EventStatus.PROCESSING)

        run(begin)
        gate.set()
        deadline = time.monotonic() + LIMIT
        while not event.status.final:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert event.execution.response is True
        assert labels(executor.pending_events) == ["waits"]
        agree(executor)


# --- processes ---


def test_copies_run_in_processes_and_what_came_of_them_comes_back(processes: ProcessPoolExecutor) -> None:
    async def main() -> None:
        executor = SumExecutor({"queue_capacity": 1_000}, executor=processes)
        await executor.start()
        events = [Sum(numbers=(n, 1)) for n in range(50)]
        wrong, late = Sum(), Sum(numbers=(1,), pause=LIMIT, timeout=0.01)
        chunks = Chunks(numbers=(1, 2, 3), streaming=True)
        broken = Chunks(numbers=(1, 2), streaming=True, pause=0.1)
        for event in [*events, wrong, late, chunks, broken]:
            await executor.append(event)
        await joined(executor)
        assert [event.execution.response[0] for event in events] == list(range(1, 51))
        assert os.getpid() not in {event.execution.response[1] for event in events}
        assert all(event.execution.duration >= 0 for event in events)
        error = wrong.execution.error
        assert isinstance(error, LookupError)
        assert error.args[0] == "no numbers"
        assert "Traceback of the worker" in error.__notes__[0]
        assert wrong.status is EventStatus.FAILED
        assert isinstance(late.execution.error, TaskTimeoutError)
        assert late.status is EventStatus.CANCELLED
        assert chunks.execution.response == [1, 2, 3]
        assert [chunk async for chunk in chunks.stream_chunks()] == [1, 2, 3]
        assert (broken.status, broken.execution.response) == (EventStatus.FAILED, [1, 2])
        agree(executor)
        await executor.shutdown()

    run(main)


def test_what_cannot_travel_fails_its_event(processes: ProcessPoolExecutor) -> None:
    async def main() -> None:
        executor = SumExecutor(executor=processes)
        response, error, good = Odd(numbers=(1,)), Odd(), Sum(numbers=(1,))
        there = Sum(numbers=(1,), metadata={"lock": threading.Lock()})
        for event in (response, error, there, good):
            await executor.append(event)
        await executor.forward()
        assert isinstance(response.execution.error, CodecError)
        assert "Refused" in str(error.execution.error)
        assert isinstance(there.execution.error, CodecError)
        assert set(executor.failed_events) == {there, response, error}
        assert good.status is EventStatus.COMPLETED
        agree(executor)
        await executor.shutdown()

    run(main)
