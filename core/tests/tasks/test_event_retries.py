"""Events that are tried again: which, when, how often, and what is known of it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from event_kinds import HOUR, Work, Worker, Works, agree, asking, finished, labels, run, until

from pipe_core import Event, EventExecutor, EventStatus, OptionsError, Processor, Retry, TaskTimeoutError
from pipe_core.runtime.history import replay
from pipe_core.tasks import Unset

SOON = Retry(3, delay=0.001)
LATER = Retry(1, delay=0.2, jitter=0.0)


class Flaky:
    """Fails so many times, and answers then."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.left, self.error, self.runs = failures, error, 0

    def __call__(self) -> str:
        self.runs += 1
        if self.runs <= self.left:
            raise self.error or ConnectionError(f"no {self.runs}")
        return f"after {self.runs}"


def moves(executor: EventExecutor, event: Event) -> list[tuple[str, int]]:
    return [(move.to.value, move.attempt) for move in executor.history(event)]


# --- attempts ---


def test_an_event_that_fails_is_tried_again_and_all_of_it_is_known() -> None:
    async def main() -> None:
        executor, code = Works(), Flaky(2)
        event = Work(code=code)
        await executor.append(event, retries=SOON)
        await finished(executor)
        assert code.runs == 3
        assert executor.completed_events == [event]
        assert (event.execution.response, event.execution.error) == ("after 3", None)
        assert event.execution.attempt == 3
        assert moves(executor, event) == [
            ("pending", 1),
            ("processing", 1),
            ("failed", 1),
            ("pending", 2),
            ("processing", 2),
            ("failed", 2),
            ("pending", 3),
            ("processing", 3),
            ("completed", 3),
        ]
        reasons = [move.reason for move in executor.history(event)]
        assert reasons[2] == "ConnectionError('no 1')"
        assert reasons[3].startswith("again after 0.00")
        ledger, tracked = replay(executor.history())
        assert ledger.count(EventStatus.COMPLETED) == 1
        assert tracked[event.id].attempt == 3

    run(main)


@pytest.mark.parametrize("retries", [0, 1, 2, Retry(2, delay=0.0)])
def test_it_fails_for_good_behind_the_last_attempt(retries: Any) -> None:
    count = retries if isinstance(retries, int) else retries.retries

    async def main() -> None:
        executor, code = Works(), Flaky(99)
        event = Work(code=code)
        await executor.append(event, retries=retries)
        await finished(executor)
        assert code.runs == event.execution.attempt == count + 1
        assert executor.failed_events == [event]
        assert str(event.execution.error) == f"no {count + 1}"
        assert event.execution.retryable is True

    run(main)


@pytest.mark.parametrize(
    ("on", "error", "runs"),
    [
        (None, ValueError(), 2),
        (None, SystemExit(), 1),
        (None, NotImplementedError(), 2),
        (KeyError, ValueError(), 1),
        ((KeyError, ValueError), ValueError(), 2),
        (lambda error: "no" not in str(error), ValueError("yes"), 2),
        (lambda error: "no" not in str(error), ValueError("no"), 1),
        (BaseException, SystemExit(), 2),
    ],
)
def test_what_is_tried_again(on: Any, error: BaseException, runs: int) -> None:
    async def main() -> None:
        executor, code = Works(), Flaky(1, error)
        await executor.append(Work(code=code), retries=Retry(1, delay=0.0, on=on))
        await finished(executor)
        assert code.runs == runs

    run(main)


@pytest.mark.parametrize("kind", [KeyError, SystemExit, asyncio.CancelledError])
def test_a_predicate_that_raises_says_no_and_hides_no_error(kind: type[BaseException]) -> None:
    def broken(error: BaseException) -> bool:
        raise kind

    async def main() -> None:
        executor, code = Works(), Flaky(9)
        bad, good = Work(code=code), Work(label="good")
        await executor.append(bad, retries=Retry(on=broken))
        await executor.append(good)
        await finished(executor)
        assert code.runs == 1
        assert executor.completed_events == [good]
        error = bad.execution.error
        assert isinstance(error, ConnectionError)
        assert kind.__name__ in error.__notes__[0]

    run(main)


def test_an_error_without_a_text_is_tried_again() -> None:
    class Wordless(Exception):
        def __repr__(self) -> str:
            raise SystemExit

    async def main() -> None:
        executor, code = Works(), Flaky(1, Wordless())
        event = Work(code=code)
        await executor.append(event, retries=SOON)
        await finished(executor)
        assert event.status is EventStatus.COMPLETED
        assert executor.history(event)[2].reason == "Wordless"

    run(main)


def test_one_that_runs_out_of_its_time_is_tried_again() -> None:
    runs = []

    def code(count: int) -> Any:
        async def work() -> str:
            runs.append(count)
            if runs.count(count) <= count:
                await asyncio.Event().wait()
            return "in time"

        return work

    async def main() -> None:
        executor = Works()
        once, always = Work(code=code(1), timeout=0.01), Work(code=code(9), timeout=0.01)
        for event in (once, always):
            await executor.append(event, retries=Retry(1, delay=0.0))
        await finished(executor)
        assert (once.execution.response, once.execution.attempt) == ("in time", 2)
        assert [to for to, _ in moves(executor, once)][2:4] == ["failed", "pending"]
        assert (always.status, always.execution.attempt) == (EventStatus.CANCELLED, 2)
        assert isinstance(always.execution.error, TaskTimeoutError)
        assert [to for to, _ in moves(executor, always)][-3:] == ["pending", "processing", "cancelled"]

    run(main)


def test_one_that_is_cancelled_is_not_tried_again() -> None:
    async def main() -> None:
        executor = Works()
        event = Work(code=asyncio.Event().wait)
        await executor.append(event, retries=Retry(5, delay=0.0, on=BaseException))
        task = asyncio.create_task(event.invoke())
        await until(lambda: event.status is EventStatus.PROCESSING)
        task.cancel()
        await asyncio.wait([task])
        assert (event.status, event.execution.attempt) == (EventStatus.CANCELLED, 1)

    run(main)


@pytest.mark.parametrize("streams", [False, True])
def test_a_run_leaves_nothing_to_the_next_one(streams: bool) -> None:
    class Thing(Exception):
        pass

    things, runs = [], []

    class Chunky(Event):
        async def _invoke(self) -> Any:
            runs.append(self.execution)
            yield len(runs)
            if len(runs) == 1:
                things.append(weakref.ref(error := Thing()))
                raise error
            yield "end"

    class Plain(Event):
        async def _invoke(self) -> Any:
            runs.append(self.execution)
            if len(runs) == 1:
                things.append(weakref.ref(error := Thing()))
                raise error
            gc.collect()
            return things[0]()

    kind = Chunky if streams else Plain

    async def main() -> None:
        executor = type("Any", (EventExecutor,), {"processor_type": type("P", (Processor,), {"event_type": Event})})()
        event = kind()
        await executor.append(event, retries=SOON)
        await finished(executor)
        assert runs[1].error is runs[1].response is Unset
        assert [one.attempt for one in runs] == [1, 2]
        assert event.execution.response == ([2, "end"] if streams else None)

    run(main)


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


# --- what is said of it ---


def test_the_attempt_travels_with_its_data_and_a_fresh_event_begins_anew() -> None:
    async def main() -> None:
        executor = Works()
        event = Work(label=1, code=Flaky(9))
        await executor.append(event, retries=Retry(1, delay=0.0))
        await executor.forward()
        data = event.to_dict()
        assert data["execution"]["attempt"] == 2
        again = Work.from_dict(data)
        assert (again.status, again.execution.attempt) == (EventStatus.FAILED, 2)
        assert again.execution.error.args == ("no 2",)  # type: ignore[union-attr]  # it failed
        assert event.as_fresh_event().execution.attempt == 1

    run(main)


@pytest.mark.parametrize("options", [{"retries": -1}, {"retries": True}, {"retries": "3"}, {"breaker": "api"}])
def test_wrong_terms_are_refused_and_leave_no_trace(options: dict[str, Any]) -> None:
    async def main() -> None:
        executor = Works()
        event = Work()
        for started in (False, True):
            if started:
                await executor.start()
            with pytest.raises(OptionsError, match=next(iter(options))):
                await executor.append(event, **options)
        assert executor.history() == []
        await executor.append(event)
        await finished(executor)

    run(main)


def test_a_thousand_that_fail_are_all_tried_again() -> None:
    async def main() -> None:
        executor = Works({"queue_capacity": 10_000, "concurrency_limit": 50, "max_queue_size": 1_000})
        for n in range(1_000):
            await executor.append(Work(label=n, code=Flaky(n % 2)), retries=Retry(1, delay=0.01))
        await finished(executor)
        assert len(executor.completed_events) == 1_000

    run(main)
