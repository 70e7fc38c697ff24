"""Events that use something which fails: a breaker keeps them back."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest
from event_kinds import Work, Works, asking, finished, run, until

from pipe_core import CircuitBreaker, CircuitOpenError, Event, EventStatus, Rejection, Retry

LONG = 60.0


def fail() -> None:
    raise ConnectionError


def state(breaker: CircuitBreaker) -> str:
    return breaker.state(monotonic())


async def opened(breaker: CircuitBreaker) -> None:
    """Let as many events fail as it takes."""
    executor = Works()
    while state(breaker) == "closed":
        await executor.append(Work(code=fail), breaker=breaker)
        await executor.forward()


def test_it_opens_and_refuses_only_those_that_use_it() -> None:
    async def main() -> None:
        executor, breaker = Works({"concurrency_limit": 1}), CircuitBreaker("api", failures=3, reset_after=LONG)
        using = [Work(label=n, code=fail) for n in range(6)]
        others = [Work(label=n) for n in range(6)]
        for event, other in zip(using, others, strict=True):
            await executor.append(event, breaker=breaker)
            await executor.append(other)
        await finished(executor)
        assert executor.failed_events == using[:3]
        assert executor.aborted_events == using[3:]
        assert executor.completed_events == others
        error = using[3].execution.error
        assert isinstance(error, CircuitOpenError)
        assert 0 < error.retry_after <= LONG
        assert using[3].execution.retryable is True
        assert "'api' has failed 3 times" in executor.history(using[3])[-1].reason

    run(main)


@pytest.mark.parametrize("retries", [None, 2])
def test_events_wait_for_it_and_one_tries(retries: int | None) -> None:
    async def main() -> None:
        running = []

        async def work() -> None:
            running.append(1)
            assert len(running) == 1 or state(breaker) == "closed"
            await asyncio.sleep(0.01)
            running.pop()

        executor = Works()
        breaker = CircuitBreaker("api", failures=1, reset_after=0.05, waits=True)
        at = monotonic()
        await opened(breaker)
        for _ in range(20):
            await executor.append(Work(code=work), breaker=breaker, retries=retries)
        await finished(executor)
        assert monotonic() - at > 0.05 - 0.001
        assert len(executor.completed_events) == 20
        assert state(breaker) == "closed"

    run(main)


def test_with_retries_an_event_outlives_a_failure_of_what_it_uses() -> None:
    async def main() -> None:
        up_at = monotonic() + 0.2
        asked = []

        def ask() -> str:
            asked.append(1)
            if monotonic() < up_at:
                raise ConnectionError
            return "up"

        executor = Works()
        breaker = CircuitBreaker("api", failures=2, reset_after=0.05, waits=True)
        for _ in range(10):
            await executor.append(Work(code=ask), breaker=breaker, retries=Retry(20, delay=0.001))
        await finished(executor)
        assert [event.execution.response for event in executor.completed_events] == ["up"] * 10
        assert len(asked) < 40, "while it was down, hardly anything was asked of it"

    run(main)


@pytest.mark.parametrize(
    "answer", [False, 0.001, Rejection("no"), ValueError("no"), "later"], ids=["no", "soon", "never", "broken", "later"]
)
def test_an_event_that_may_try_and_is_not_permitted_leaves_that_to_others(answer: Any) -> None:
    async def later() -> bool:
        await asyncio.sleep(0)
        return False

    def ask(label: Any) -> Any:
        if label == "other":
            return True
        if isinstance(answer, Exception):
            raise answer
        return later() if answer == "later" else answer

    async def main() -> None:
        breaker = CircuitBreaker("api", failures=1, reset_after=0.01, waits=True)
        await opened(breaker)
        await asyncio.sleep(0.02)
        executor = asking(ask)({"concurrency_limit": 1})
        other = Work(label="other")
        await executor.append(Work(label="first"), 1, breaker=breaker)
        await executor.append(other, 2, breaker=breaker)
        await executor.start()
        await until(lambda: other.status is EventStatus.COMPLETED)
        assert state(breaker) == "closed"
        await executor.shutdown()

    run(main)


@pytest.mark.parametrize("how", ["before", "while"])
def test_one_that_is_cancelled_tells_it_nothing(how: str) -> None:
    async def main() -> None:
        breaker = CircuitBreaker("api", failures=1, reset_after=0.01, waits=True)
        await opened(breaker)
        await asyncio.sleep(0.02)
        gate = asyncio.Event()

        async def ask(label: Any) -> bool:
            if how == "before" and label == "first":
                await gate.wait()
            return True

        executor = asking(ask)()
        first = Work(label="first", code=asyncio.Event().wait)
        other = Work(label="other")
        await executor.append(first, 1, breaker=breaker)
        await executor.start()
        if how == "before":
            await until(lambda: breaker.wait(monotonic()) > 0)  # it tries
            await executor.cleanup_events(["pending"])
            gate.set()
        else:
            await until(lambda: first.status is EventStatus.PROCESSING)
            first._record.end(EventStatus.CANCELLED, first._record.ending)
        assert state(breaker) == "half-open"
        await executor.append(other, 2, breaker=breaker)
        await until(lambda: other.status is EventStatus.COMPLETED)
        await executor.stop()

    run(main)


def test_one_that_is_too_slow_counts_as_failed() -> None:
    async def main() -> None:
        executor, breaker = Works(), CircuitBreaker("api", failures=1, reset_after=LONG)
        event = Work(code=asyncio.Event().wait, timeout=0.01)
        await executor.append(event, breaker=breaker)
        await executor.forward()
        assert event.status is EventStatus.CANCELLED
        assert state(breaker) == "open"

    run(main)


def test_a_success_closes_it_and_begins_to_count_anew() -> None:
    async def main() -> None:
        executor, breaker = Works({"concurrency_limit": 1}), CircuitBreaker("api", failures=2, reset_after=LONG)
        for code in (fail, None, fail, None, fail):
            await executor.append(Work(code=code), breaker=breaker)
        await finished(executor)
        assert state(breaker) == "closed"
        assert executor.status_counts()["aborted"] == 0

    run(main)


def test_who_invokes_an_event_asks_no_breaker_and_tells_it() -> None:
    async def main() -> None:
        executor, breaker = Works(), CircuitBreaker("api", failures=1, reset_after=LONG)
        await opened(breaker)
        event: Event = Work(label="done")
        await executor.append(event, breaker=breaker)
        assert await event.invoke() == "done"
        assert state(breaker) == "closed"

    run(main)
