from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipe_core import IllegalTransitionError, Ledger, RunCancelledError
from pipe_core.runtime.ledger import TRANSITIONS, Tracked
from pipe_core.tasks import Event, EventStatus, Unset
from pipe_core.tasks.execution import Ending

PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED, SKIPPED, ABORTED = EventStatus


class Keeper:
    """An owner as the protocol says: a ledger behind a lock, and a log."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ledger = Ledger()
        self.log: list[tuple[EventStatus, str]] = []

    def add(self, event: Event) -> None:
        with self.lock:
            event._record.adopt(self, event)
            self.ledger.add(event._record)

    def move(self, record: Tracked, to: EventStatus, reason: str = "") -> None:
        with self.lock:
            self.ledger.move(record, to)
            self.log.append((to, reason))


class Work(Event):
    code: Any = None

    async def _invoke(self) -> Any:
        return await self.code() if self.code else "done"


async def forever() -> None:
    await asyncio.Event().wait()


def kept(keeper: Keeper, event: Event) -> EventStatus:
    """The status whose list in the ledger holds the event."""
    (status,) = [status for status in EventStatus if event._record in list(keeper.ledger.tasks(status))]
    return status


async def running(event: Event) -> asyncio.Task[Any]:
    task = asyncio.ensure_future(event.invoke())
    await asyncio.sleep(0)
    assert event.status is PROCESSING
    return task


# --- one table for all ---


@settings(deadline=None, max_examples=150)
@given(steps=st.lists(st.sampled_from(EventStatus), max_size=8), owned=st.booleans())
def test_an_event_moves_as_the_table_says_with_and_without_an_owner(steps: list[EventStatus], owned: bool) -> None:
    event, keeper = Work(), Keeper()
    if owned:
        keeper.add(event)
    status, attempt = PENDING, 1
    for to in steps:
        if to in TRANSITIONS[status]:
            event._record.move(to)
            attempt += status is FAILED
            status = to
        else:
            with pytest.raises(IllegalTransitionError, match=f"from {status.value} to {to.value}"):
                event._record.move(to)
        assert event.status is event.execution.status is status
        assert event._record.attempt == attempt
        if owned:
            assert kept(keeper, event) is status


@settings(deadline=None, max_examples=100)
@given(
    to=st.sampled_from(EventStatus),
    owned=st.booleans(),
    started=st.booleans(),
)
def test_invoke_runs_only_what_is_pending(to: EventStatus, owned: bool, started: bool) -> None:
    event, keeper, runs = Work(), Keeper(), []

    async def work() -> str:
        runs.append(1)
        return "done"

    event.code = work
    if owned:
        keeper.add(event)
    way = [PROCESSING, to] if started and to in TRANSITIONS[PROCESSING] else [to]
    if to is PENDING or to is PROCESSING or not all(_legal(way)):
        way = []
    for step in way:
        event._record.move(step)

    result = asyncio.run(event.invoke())
    assert runs == ([] if way else [1])
    assert result == (Unset if way else "done")
    assert event.status is (to if way else COMPLETED)


def _legal(way: list[EventStatus]) -> list[bool]:
    return [after in TRANSITIONS[before] for before, after in zip([PENDING, *way], way, strict=False)]


# --- owners ---


def test_an_owned_event_moves_through_its_owner() -> None:
    event, keeper = Work(), Keeper()
    keeper.add(event)

    assert kept(keeper, event) is event.status is PENDING
    assert asyncio.run(event.invoke()) == "done"
    assert kept(keeper, event) is event.status is COMPLETED
    assert keeper.log == [(PROCESSING, ""), (COMPLETED, "")]


def test_an_event_belongs_to_one_executor_and_before_it_has_begun() -> None:
    event, keeper = Work(), Keeper()
    keeper.add(event)
    with pytest.raises(IllegalTransitionError, match="belongs to an executor already"):
        Keeper().add(event)

    ended = Work()
    asyncio.run(ended.invoke())
    with pytest.raises(IllegalTransitionError, match="is completed, not pending"):
        keeper.add(ended)
    assert keeper.ledger.added == 1


def test_an_event_that_is_released_keeps_its_status_and_holds_nobody() -> None:
    event, keeper = Work(), Keeper()
    keeper.add(event)
    asyncio.run(event.invoke())
    event._record.release()

    assert event.status is COMPLETED
    assert event._record.owner is event._record.event is None


def test_a_hundred_invokes_and_an_owner_that_ends_it_agree_on_one_end() -> None:
    for _ in range(30):
        event, keeper = Work(), Keeper()
        keeper.add(event)
        together, ends = threading.Barrier(3), []

        def cancel(record: Any = event._record, gate: threading.Barrier = together, ends: list[Any] = ends) -> None:
            gate.wait(30)
            try:
                ends.append(record.end(CANCELLED, Ending(), reason="asked"))
            except IllegalTransitionError:
                ends.append(False)

        def invoke(event: Event = event, gate: threading.Barrier = together) -> None:
            async def many() -> None:
                await asyncio.gather(*(event.invoke() for _ in range(50)))

            gate.wait(30)
            asyncio.run(many())

        threads = [threading.Thread(target=fn, daemon=True) for fn in (cancel, invoke, invoke)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        final = [to for to, _ in keeper.log if to.final]
        assert final == [event.status] == [kept(keeper, event)]
        assert (event.status is CANCELLED) is ends[0]
        assert (event.execution.response == "done") is (event.status is COMPLETED)


@pytest.mark.parametrize("to", [ABORTED, SKIPPED, CANCELLED])
def test_an_event_that_is_refused_is_never_run_and_says_why(to: EventStatus) -> None:
    event, keeper, why = Work(), Keeper(), PermissionError("not today")
    keeper.add(event)
    event._record.end(to, Ending(error=why), reason="denied")

    assert asyncio.run(event.invoke()) is Unset
    execution = event.execution
    assert (execution.status, execution.error, execution.duration, execution.retryable) == (to, why, 0.0, False)
    assert keeper.log == [(to, "denied")]


def test_those_who_wait_for_chunks_hear_that_it_was_refused() -> None:
    event, keeper = Work(), Keeper()
    keeper.add(event)

    async def main() -> None:
        reader = asyncio.ensure_future(anext(event.stream_chunks()))
        await asyncio.sleep(0.01)
        assert event.status is PENDING  # an executor's event is not started by its consumers
        event._record.end(ABORTED, Ending(error=PermissionError("not today")))
        with pytest.raises(RunCancelledError, match="aborted after 0 chunks: PermissionError: not today"):
            await reader

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_run_that_is_given_up_changes_nothing_when_it_ends() -> None:
    gate = asyncio.Event()

    async def main() -> None:
        event, keeper = Work(code=gate.wait), Keeper()
        keeper.add(event)
        task = await running(event)
        loser = asyncio.ensure_future(event.invoke())
        await asyncio.sleep(0)
        late = TimeoutError("hangs")
        assert event._record.end(FAILED, Ending(error=late, retryable=True), reason="hangs")
        assert await loser is Unset
        assert isinstance(event.execution.duration, float)

        event._record.move(PENDING, "tried again")
        assert event.execution.error is Unset
        event.code = None
        assert await event.invoke() == "done"
        before = event.execution
        gate.set()
        assert await task == "done"  # the response of the run that counts
        assert event.execution == before
        assert [to for to, _ in keeper.log] == [PROCESSING, FAILED, PENDING, PROCESSING, COMPLETED]
        assert event._record.attempt == 2

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_run_that_is_given_up_does_not_end_the_one_that_follows() -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def main() -> None:
        event, keeper = Work(code=first.wait), Keeper()
        keeper.add(event)
        late = await running(event)
        event._record.end(FAILED, Ending(error=TimeoutError("hangs")))
        event._record.move(PENDING)
        event.code = lambda: answer(second)
        task = await running(event)
        first.set()
        assert await late is Unset
        assert event.status is PROCESSING
        second.set()
        assert await task == "second"
        assert event.execution.response == "second"

    async def answer(gate: asyncio.Event) -> str:
        await gate.wait()
        return "second"

    asyncio.run(asyncio.wait_for(main(), 10))


def test_an_owner_that_ends_a_running_event_by_itself_is_believed() -> None:
    gate = asyncio.Event()

    async def main() -> None:
        event, keeper = Work(code=gate.wait), Keeper()
        keeper.add(event)
        task = await running(event)
        keeper.move(event._record, CANCELLED)
        gate.set()
        assert await task is Unset
        assert event.status is kept(keeper, event) is CANCELLED

    asyncio.run(asyncio.wait_for(main(), 10))


def test_an_owner_may_say_that_it_runs_before_it_does() -> None:
    event, keeper, runs = Work(), Keeper(), []

    async def work() -> None:
        runs.append(1)

    event.code = work
    keeper.add(event)
    keeper.move(event._record, PROCESSING)

    async def main() -> None:
        await asyncio.gather(*(event.invoke() for _ in range(100)))

    asyncio.run(main())
    assert runs == [1]
    assert event.status is COMPLETED


class Refusing(Keeper):
    """An owner that breaks at the moves that it is told."""

    def __init__(self, at: EventStatus) -> None:
        super().__init__()
        self.at: EventStatus | None = at

    def move(self, record: Tracked, to: EventStatus, reason: str = "") -> None:
        if to is self.at:
            raise OSError("the log is full")
        super().move(record, to, reason)


def test_an_owner_that_fails_leaves_nobody_waiting() -> None:
    event, keeper = Work(), Refusing(COMPLETED)
    keeper.add(event)

    async def main() -> list[Any]:
        return await asyncio.gather(event.invoke(), event.invoke(), return_exceptions=True)

    first, second = asyncio.run(asyncio.wait_for(main(), 10))
    assert isinstance(first, OSError)
    assert not isinstance(second, asyncio.TimeoutError)
    assert event.status is PROCESSING
    assert event.execution.response is Unset


def test_an_owner_that_refuses_the_start_runs_nothing() -> None:
    event, keeper = Work(), Refusing(PROCESSING)
    keeper.add(event)
    with pytest.raises(OSError, match="full"):
        asyncio.run(event.invoke())

    assert event.status is PENDING
    keeper.at = None
    assert asyncio.run(event.invoke()) == "done"
