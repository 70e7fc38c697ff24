"""Events that are tried again: which, how often, and what is known of it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from event_kinds import Work, Works, finished, run, until
from flaky_code import SOON, Flaky

from pipe_core import Event, EventExecutor, EventStatus, OptionsError, Processor, Retry, TaskTimeoutError
from pipe_core.runtime.history import replay
from pipe_core.tasks import Unset


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
        assert reasons[2] == "ConnectionError: no 1"
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
