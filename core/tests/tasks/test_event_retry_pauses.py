"""Events that are tried again: when, and by whom."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from event_kinds import HOUR, Work, Worker, Works, agree, asking, finished, labels, run, until
from flaky_code import LATER, SOON, Flaky

from pipe_core import Event, EventExecutor, EventStatus, Processor, Retry
from pipe_core.tasks import Unset

# --- pauses ---


def test_there_is_a_pause_that_takes_no_place_and_grows() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        event, other = Work(code=Flaky(2)), Work(label="other")
        await executor.append(event, 1, retries=Retry(2, delay=0.15, jitter=0.0))
        await executor.append(other, 2)
        await executor.start()
        await until(lambda: other.status is EventStatus.COMPLETED)
        assert (event.status, event.execution.attempt) == (EventStatus.PENDING, 2)
        assert executor.processing_events == []
        await finished(executor)
        at = [move.at for move in executor.history(event)]
        assert at[4] - at[2] > 0.1499
        assert at[7] - at[5] > 0.2999

    run(main)


def test_its_priority_stays() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        event, before, behind = Work(code=Flaky(1)), Work(), Work()
        await executor.append(event, 5.0, retries=LATER)
        await executor.start()
        await until(lambda: event.execution.attempt == 2)
        await executor.stop()
        await executor.append(behind, 5.1)
        await executor.append(before, 4.9)
        await asyncio.sleep(0.4)  # its pause, and for so long those go first that have not been asked for yet
        await finished(executor)
        assert executor.completed_events == [before, event, behind]

    run(main)


def test_stop_lets_it_wait_and_start_goes_on() -> None:
    async def main() -> None:
        executor, code = Works(), Flaky(1)
        event = Work(code=code)
        await executor.append(event, retries=LATER)
        await executor.start()
        await until(lambda: event.execution.attempt == 2)
        await executor.stop()
        await asyncio.sleep(0.3)
        assert code.runs == 1
        await finished(executor)
        assert event.execution.response == "after 2"

    run(main)


def test_what_is_cleaned_up_in_its_pause_is_not_tried_again() -> None:
    async def main() -> None:
        executor, code = Works(), Flaky(9)
        event = Work(code=code)
        await executor.append(event, retries=LATER)
        await executor.start()
        await until(lambda: event.execution.attempt == 2)
        assert await executor.cleanup_events(["pending"]) == 1
        assert event.status is EventStatus.CANCELLED
        await asyncio.sleep(0.3)
        await finished(executor)
        assert code.runs == 1
        assert len(executor) == 0

    run(main)


def test_those_that_are_tried_again_take_no_room_of_others() -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 2}, on_full="drop_oldest")
        await executor.start()
        event = Work(code=Flaky(1))
        await executor.append(event, retries=LATER)
        await until(lambda: event.execution.attempt == 2)
        await executor.stop()
        first, second, third = (Work(label=n) for n in range(3))
        for one in (first, second):
            await executor.append(one)
        assert executor.aborted_events == []
        await executor.append(third)
        assert executor.aborted_events == [first], "and the one that is tried again is not dropped"
        await finished(executor)
        assert set(executor.completed_events) == {event, second, third}

    run(main)


# --- who starts it ---


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("later", [False, True])
def test_forward_sees_it_through(started: bool, later: bool) -> None:
    async def main() -> None:
        executor = asking(lambda label: asyncio.sleep(0, True) if later else True)(HOUR | {"concurrency_limit": 2})
        if started:
            await executor.start()
        codes = [Flaky(n % 3) for n in range(9)]

        def work(code: Flaky) -> Any:
            async def run() -> str:
                await asyncio.sleep(0.002)
                assert len(executor.processing_events) <= 2
                return code()

            return run

        for code in codes:
            await executor.append(Work(code=work(code)), retries=Retry(2, delay=0.005))
        await asyncio.gather(executor.forward(), executor.forward())
        assert len(executor.completed_events) == 9
        assert [code.runs for code in codes] == [1, 2, 3] * 3
        await executor.shutdown()
        agree(executor)

    run(main)


@pytest.mark.parametrize("later", [False, True])
def test_forward_does_not_wait_for_what_is_denied_the_next_time(later: bool) -> None:
    answers = []

    def ask(label: Any) -> Any:
        answers.append(len(answers) == 0)
        return asyncio.sleep(0, answers[-1]) if later else answers[-1]

    async def main() -> None:
        executor, code = asking(ask)(), Flaky(1)
        event = Work(code=code)
        await executor.append(event, retries=SOON)
        await executor.forward()
        assert answers == [True, False]
        assert (event.status, event.execution.attempt, code.runs) == (EventStatus.PENDING, 2, 1)

    run(main)


def test_a_forward_that_is_given_up_starts_nothing_again() -> None:
    async def main() -> None:
        executor, code = Works(), Flaky(1)
        event = Work(code=code)
        await executor.append(event, retries=LATER)
        forward = asyncio.create_task(executor.forward())
        await until(lambda: event.execution.attempt == 2)
        forward.cancel()
        await asyncio.wait([forward])
        await asyncio.sleep(0.3)
        assert code.runs == 1
        await executor.forward()
        assert event.execution.response == "after 2"
        agree(executor)

    run(main)


def test_permission_is_asked_for_each_attempt() -> None:
    asked = []

    async def ask(label: Any) -> Any:
        asked.append(label)
        return len(asked) != 2 or 0.001

    async def main() -> None:
        executor = asking(ask)()
        event = Work(label="a", code=Flaky(2))
        await executor.append(event, retries=SOON)
        await finished(executor)
        assert event.execution.attempt == 3
        assert len(asked) == 4

    run(main)


def test_invoke_returns_what_came_of_the_last_attempt() -> None:
    async def main() -> None:
        executor, code = Works({"concurrency_limit": 1}), Flaky(2)
        event = Work(code=code)
        await executor.append(event, retries=SOON)
        assert await asyncio.gather(event.invoke(), event.invoke()) == ["after 3"] * 2
        assert code.runs == event.execution.attempt == 3

        await executor.start()
        event = Work(code=Flaky(2))
        await executor.append(event, retries=SOON)
        await until(lambda: event.status is not EventStatus.PENDING or event.execution.attempt > 1)
        assert await event.invoke() == "after 3"
        await finished(executor)

    run(main)


def test_invoke_does_not_wait_for_an_attempt_that_never_comes() -> None:
    async def main() -> None:
        executor = Works()
        event = Work(code=Flaky(2))
        await executor.append(event, retries=Retry(2, delay=600.0, max_delay=600.0))
        invoke = asyncio.create_task(event.invoke())
        await until(lambda: event.execution.attempt == 2)
        await executor.cleanup_events(["pending"])
        assert await invoke is Unset
        assert event.status is EventStatus.CANCELLED

    run(main)


def test_events_may_wait_for_each_other_with_one_place() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        inner = Work(code=Flaky(2))
        outer = Work(code=inner.invoke)
        await executor.append(outer, 1, retries=SOON)
        await executor.append(inner, 2, retries=SOON)
        await finished(executor)
        assert outer.execution.response == inner.execution.response == "after 3"

    run(main)


def test_chunks_come_anew_and_who_follows_is_told() -> None:
    gate = asyncio.Event()

    class Stream(Event):
        async def _invoke(self) -> Any:
            for n in range(3):
                yield n
                if n == self.execution.attempt:
                    await gate.wait()
                    raise ConnectionError

    async def main() -> None:
        executor = type("Any", (EventExecutor,), {"processor_type": type("P", (Processor,), {"event_type": Event})})()
        event = Stream()
        await executor.append(event, retries=SOON)
        await executor.start()
        seen = []

        async def follow() -> None:
            async for chunk in event.stream_chunks():
                seen.append(chunk)
                if len(seen) == 2:
                    gate.set()

        with pytest.raises(RuntimeError, match="tried again after 2 chunks"):
            await follow()
        assert [chunk async for chunk in event.stream_chunks()] == [0, 1, 2]
        await finished(executor)
        assert event.execution.attempt == 3

    run(main)


@pytest.mark.parametrize("slots", [1, 3])
def test_in_threads_too(slots: int) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(slots) as pool:
            executor = Works(executor=pool)
            codes = [Flaky(n % 3) for n in range(6)]
            for code in codes:
                await executor.append(Work(code=code), retries=SOON)
            await finished(executor)
        assert sorted(labels(executor.completed_events), key=str) == [None] * 6
        assert [code.runs for code in codes] == [1, 2, 3] * 2

    run(main)


def test_a_pause_takes_no_thread() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            executor = Works(executor=pool)
            event, other = Work(code=Flaky(1)), Work()
            await executor.append(event, 1, retries=Retry(1, delay=600.0, max_delay=600.0))
            await executor.append(other, 2)
            await executor.start()
            await until(lambda: other.status is EventStatus.COMPLETED)
            assert event.execution.attempt == 2
            await executor.shutdown()

    run(main)


def test_a_processor_alone_tries_again() -> None:
    async def main() -> None:
        processor, code = await Worker.create(), Flaky(1)
        event = Work(code=code)
        await processor.enqueue(event, retries=SOON)
        await processor.process()
        assert (event.execution.response, event.execution.attempt) == ("after 2", 2)

    run(main)
