from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pipe_core import IllegalTransitionError, RunningError
from pipe_core.kernel.errors import TaskTimeoutError
from pipe_core.tasks import Event, EventStatus, Unset


class Work(Event):
    """Does what its `code` says."""

    code: Any = None

    async def _invoke(self) -> Any:
        return await self.code()


def failing(error: BaseException) -> Callable[[], Any]:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    return fail


async def forever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    await asyncio.sleep(0)


def test_an_event_that_succeeds_is_completed() -> None:
    async def work() -> int:
        assert event.status is EventStatus.PROCESSING
        assert event.execution.response is Unset
        await asyncio.sleep(0.01)
        return 42

    event = Work(code=work)

    assert asyncio.run(event.invoke()) == 42
    execution = event.execution
    assert event.status is execution.status is EventStatus.COMPLETED
    assert (execution.response, execution.error, execution.retryable) == (42, None, False)
    assert isinstance(execution.duration, float)
    assert execution.duration >= 0.009


def test_none_is_a_response() -> None:
    event = Work(code=nothing)

    assert asyncio.run(event.invoke()) is None
    assert event.execution.response is None


def test_invoking_again_gives_the_response_and_runs_nothing() -> None:
    calls = []

    async def work() -> object:
        calls.append(1)
        return object()

    async def main() -> None:
        event = Work(code=work)
        assert await event.invoke() is await event.invoke()
        before = event.execution
        await event.invoke()
        assert event.execution == before

    asyncio.run(main())
    assert calls == [1]


def test_a_plain_function_will_do() -> None:
    class Plain(Event):
        def _invoke(self) -> int:
            return threading.get_ident()

    assert asyncio.run(Plain().invoke()) == threading.get_ident()


def test_a_plain_function_may_give_something_to_await() -> None:
    class Plain(Event):
        def _invoke(self) -> Any:
            return asyncio.ensure_future(asyncio.sleep(0, "slept"))

    assert asyncio.run(Plain().invoke()) == "slept"


def test_an_event_without_code_says_what_to_write() -> None:
    class Empty(Event):
        pass

    event = Empty()
    assert asyncio.run(event.invoke()) is Unset
    assert event.status is EventStatus.FAILED
    assert "Empty does nothing yet. Write `async def _invoke(self)`" in str(event.execution.error)
    assert event.execution.retryable is False


# --- errors ---


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        TimeoutError("db"),
        asyncio.CancelledError("my own"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopAsyncIteration(),
        type("Odd", (BaseException,), {})("odd"),
        BaseExceptionGroup("many", [SystemExit(1)]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("timeout", [None, 30])
def test_whatever_it_raises_is_kept_and_stops_nothing_else(error: BaseException, timeout: float | None) -> None:
    event = Work(code=failing(error), timeout=timeout)

    async def main() -> Any:
        result, other = await asyncio.gather(event.invoke(), asyncio.sleep(0.01, "other"))
        assert await event.invoke() is Unset
        return result, other

    assert asyncio.run(main()) == (Unset, "other")
    execution = event.execution
    assert execution.status is EventStatus.FAILED
    assert execution.error is error
    assert execution.response is Unset
    assert execution.retryable is True
    assert isinstance(execution.duration, float)


class Said(Exception):
    def __init__(self, retryable: Any) -> None:
        super().__init__(str(retryable))
        self.retryable = retryable


class Broken(Exception):
    @property
    def retryable(self) -> bool:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (Said(False), False),
        (Said(True), True),
        (Said("perhaps"), True),
        (Broken(), True),
        (ExceptionGroup("all", [Said(True), ValueError()]), True),
        (ExceptionGroup("one", [Said(True), ExceptionGroup("deep", [Said(False)])]), False),
    ],
)
def test_an_error_says_whether_another_try_makes_sense(error: Exception, retryable: bool) -> None:
    event = Work(code=failing(error))
    asyncio.run(event.invoke())

    assert event.execution.retryable is retryable


# --- timeouts and cancellation ---


def test_its_own_timeout_cancels_it() -> None:
    event = Work(code=forever, timeout=0.01)
    asyncio.run(asyncio.wait_for(event.invoke(), 10))

    execution = event.execution
    assert execution.status is EventStatus.CANCELLED
    assert isinstance(execution.error, TimeoutError)
    assert isinstance(execution.error, TaskTimeoutError)
    assert "Work" in str(execution.error)
    assert "0.01 s" in str(execution.error)
    assert execution.retryable is True
    assert isinstance(execution.duration, float)
    assert execution.duration >= 0.01


def test_a_timeout_that_its_code_turns_into_another_one_is_still_its_own() -> None:
    async def work() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise TimeoutError("mine") from None

    event = Work(code=work, timeout=0.01)
    asyncio.run(event.invoke())

    assert event.status is EventStatus.CANCELLED
    assert isinstance(event.execution.error, TaskTimeoutError)
    assert "mine" in str(event.execution.error.__cause__)


def test_an_error_of_the_clean_up_after_a_timeout_is_kept() -> None:
    async def work() -> None:
        try:
            await forever()
        finally:
            raise ValueError("clean-up")

    event = Work(code=work, timeout=0.01)
    asyncio.run(event.invoke())

    assert event.status is EventStatus.FAILED
    assert str(event.execution.error) == "clean-up"


def test_a_timeout_of_its_code_s_own_is_a_failure() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01):
            await forever()

    event = Work(code=work, timeout=30)
    asyncio.run(event.invoke())

    assert event.status is EventStatus.FAILED
    assert type(event.execution.error) is TimeoutError


async def running(event: Event) -> asyncio.Task[Any]:
    """A task that runs *event*, which has begun."""
    task = asyncio.ensure_future(event.invoke())
    await asyncio.sleep(0)
    assert event.status is EventStatus.PROCESSING
    return task


async def cancelled(event: Event) -> None:
    """Run *event*, and cancel the task that does."""
    task = await running(event)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_cancellation_from_outside_cancels_it_and_goes_on(timeout: float | None) -> None:
    event = Work(code=forever, timeout=timeout)
    asyncio.run(cancelled(event))
    execution = event.execution
    assert execution.status is EventStatus.CANCELLED
    assert isinstance(execution.error, asyncio.CancelledError)
    assert execution.retryable is True
    assert isinstance(execution.duration, float)


def test_a_cancellation_that_its_code_turns_into_an_error_is_not_lost() -> None:
    async def work() -> None:
        try:
            await forever()
        finally:
            raise ValueError("clean-up")

    event = Work(code=work)
    asyncio.run(cancelled(event))
    assert event.status is EventStatus.FAILED
    assert str(event.execution.error) == "clean-up"


def test_an_event_of_a_task_that_is_being_cancelled_may_fail() -> None:
    event = Work(code=failing(ValueError("late")))

    async def main() -> str:
        try:
            await forever()
        finally:
            await event.invoke()
            seen.append(event.status)
        return "never"

    async def cancel() -> None:
        task = asyncio.ensure_future(main())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    seen: list[EventStatus] = []
    asyncio.run(cancel())
    assert seen == [EventStatus.FAILED]


def test_a_coroutine_that_is_closed_cancels_it() -> None:
    event = Work(code=forever)

    async def main() -> None:
        coroutine = event.invoke()
        coroutine.send(None)
        assert event.status is EventStatus.PROCESSING
        coroutine.close()

    asyncio.run(main())
    assert event.status is EventStatus.CANCELLED
    assert isinstance(event.execution.duration, float)


# --- exactly once ---


class Counted(Event):
    """Counts its runs, and ends only when *losers* wait for it."""

    losers: int
    runs: list[int] = []  # noqa: RUF012  # pydantic copies it
    error: Any = None

    async def _invoke(self) -> object:
        self.runs.append(threading.get_ident())
        while len(self._record._waiters or ()) < self.losers:  # noqa: ASYNC110  # in other threads too
            await asyncio.sleep(0.001)
        if self.error is not None:
            raise self.error
        return self


@pytest.mark.parametrize("error", [None, ValueError("once")])
def test_a_hundred_invokes_on_one_loop_run_it_once(error: Exception | None) -> None:
    event = Counted(losers=99, error=error)

    async def main() -> list[Any]:
        return await asyncio.gather(*(event.invoke() for _ in range(100)))

    results = asyncio.run(main())
    assert len(event.runs) == 1
    assert results == [Unset if error else event] * 100
    assert event.execution.error is error


@pytest.mark.parametrize("round", range(5))
def test_invokes_from_eight_threads_with_their_own_loops_run_it_once(round: int) -> None:
    event = Counted(losers=8 * 13 - 1)
    together = threading.Barrier(8)
    results: list[Any] = []

    async def invoke() -> list[Any]:
        return await asyncio.gather(*(event.invoke() for _ in range(13)))

    def thread() -> None:
        together.wait(30)
        results.extend(asyncio.run(invoke()))

    threads = [threading.Thread(target=thread, daemon=True) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert len(event.runs) == 1
    assert results == [event] * 104
    assert event.status is EventStatus.COMPLETED


def test_losers_are_there_when_the_winner_is_cancelled() -> None:
    event = Work(code=forever)

    async def main() -> Any:
        winner = await running(event)
        loser = asyncio.ensure_future(event.invoke())
        await asyncio.sleep(0)
        winner.cancel()
        return await loser

    assert asyncio.run(asyncio.wait_for(main(), 10)) is Unset
    assert event.status is EventStatus.CANCELLED


def test_a_loser_that_is_cancelled_cancels_nobody_and_is_forgotten() -> None:
    gate = asyncio.Event()

    async def main() -> Any:
        event = Work(code=gate.wait)
        winner = await running(event)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(event.invoke(), 0.001)
        assert event._record._waiters == []
        gate.set()
        return await winner

    assert asyncio.run(main()) is True


def test_a_loop_that_is_closed_while_it_waits_holds_nobody_up() -> None:
    event = Counted(losers=1)
    loop = asyncio.new_event_loop()
    gone = asyncio.Event()

    async def main() -> Any:
        winner = await running(event)
        await asyncio.to_thread(lose)
        gone.set()
        return await winner

    def lose() -> None:
        task = loop.create_task(event.invoke())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch

    assert asyncio.run(main()) is event
    gc.collect()


def test_an_event_that_waits_for_itself_is_told_so() -> None:
    async def work() -> None:
        await event.invoke()

    event = Work(code=work)
    asyncio.run(asyncio.wait_for(event.invoke(), 10))

    assert event.status is EventStatus.FAILED
    assert isinstance(event.execution.error, RunningError)


def test_a_copy_of_an_event_that_runs_is_not_run() -> None:
    async def main() -> None:
        event = Work(code=forever)
        task = await running(event)
        twin = event.model_copy()
        assert twin.status is EventStatus.PROCESSING
        with pytest.raises(IllegalTransitionError, match="as_fresh_event"):
            await twin.invoke()
        task.cancel()

    asyncio.run(main())
