"""What an event executor tells and forgets."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import weakref
from typing import Any
from uuid import uuid4

import pytest
from event_kinds import Work, Works, agree, asking, joined, labels, run, until

from pipe_core import (
    EventExecutor,
    EventStatus,
    Retention,
)
from pipe_core.runtime.history import replay
from pipe_core.tasks import book

# --- what it tells ---


async def _seven() -> EventExecutor:
    """An executor with two completed events, one that failed, one pending and one cancelled."""

    def fail() -> None:
        raise KeyError("why")

    executor = Works(name="my_executor")
    await executor.append(Work(label="late", timeout=0.001, code=lambda: asyncio.sleep(10)))
    await executor.append(Work(label="wrong", code=fail))
    for n in range(2):
        await executor.append(Work(label=n))
    await executor.forward()
    await executor.append(Work(label="waits"))
    return executor


def test_events_by_status() -> None:
    async def main() -> None:
        executor = await _seven()
        assert labels(executor.completed_events) == [0, 1]
        assert labels(executor.failed_events) == ["wrong"]
        assert labels(executor.pending_events) == ["waits"]
        assert labels(executor.cancelled_events) == ["late"]
        assert executor.processing_events == executor.skipped_events == executor.aborted_events == []
        assert executor.get_events_by_status("completed") == executor.get_events_by_status(EventStatus.COMPLETED)
        with pytest.raises(ValueError, match="'completed'"):
            executor.get_events_by_status("complete")
        assert executor.status_counts() == {
            "pending": 1,
            "processing": 0,
            "completed": 2,
            "failed": 1,
            "cancelled": 1,
            "skipped": 0,
            "aborted": 0,
        }
        assert len(executor) == 5
        agree(executor)

    run(main)


def test_the_state_for_people() -> None:
    async def main() -> None:
        executor = await _seven()
        assert executor.inspect_state() == (
            "Works State (my_executor):\n"
            "  pending: 1 event\n"
            "  processing: 0 events\n"
            "  completed: 2 events\n"
            "  failed: 1 event\n"
            "  cancelled: 1 event\n"
            "  skipped: 0 events\n"
            "  aborted: 0 events"
        )
        assert repr(executor) == (
            "Works(total=5, pending=1, processing=0, completed=2, failed=1, cancelled=1, skipped=0, aborted=0)"
        )

    run(main)


def test_in() -> None:
    async def main() -> None:
        executor = Works()
        event = Work()
        await executor.append(event)
        assert event in executor
        assert event.id in executor
        assert str(event.id) in executor
        for other in (Work(), uuid4(), str(uuid4()), "no id", 5, None):
            assert other not in executor

    run(main)


def test_states() -> None:
    async def main() -> None:
        executor = await _seven()
        states = executor.states
        assert list(states.progressions) == [status.value for status in EventStatus]
        completed = states.get_progression("completed")
        ids = [event.id for event in executor.completed_events]
        assert (list(completed), len(completed), completed[0], completed[-1:]) == (ids, 2, ids[0], ids[1:])
        assert ids[0] in completed
        assert executor.pending_events[0].id not in completed
        assert uuid4() not in completed
        assert labels([states.items[id] for id in completed]) == [0, 1]
        assert labels(list(states.items.values())) == ["late", "wrong", 0, 1, "waits"]
        with pytest.raises(KeyError):
            states.get_progression("done")
        with pytest.raises(KeyError):
            states.items[uuid4()]

    run(main)


@pytest.mark.parametrize("mode", ["python", "json"])
def test_a_snapshot_is_whole(mode: Any) -> None:
    async def main() -> None:
        executor = await _seven()
        for event in executor.states.items.values():
            assert isinstance(event, Work)
            event.code = None  # a function is no data
        data = executor.states.to_dict(mode)
        assert data["name"] == "my_executor"
        again = [Work.from_dict(item) for item in data["items"]]
        assert again == list(executor.states.items.values())
        assert [event.status for event in again] == [event.status for event in executor.states.items.values()]
        shown = str if mode == "json" else (lambda id: id)
        assert data["progressions"] == {
            status.value: [shown(event.id) for event in executor.get_events_by_status(status)] for status in EventStatus
        }

    run(main)


def test_the_history_of_an_event_and_the_ledger_that_it_leads_to() -> None:
    async def main() -> None:
        executor = await _seven()
        await executor.cleanup_events(["pending"])
        (failed,) = executor.failed_events
        moves = executor.history(failed)
        assert [move.to.value for move in moves] == ["pending", "processing", "failed"]
        assert [move.before for move in moves] == [None, EventStatus.PENDING, EventStatus.PROCESSING]
        assert moves == executor.history(failed.id)
        assert sorted(move.at for move in moves) == [move.at for move in moves]
        ledger, tasks = replay(executor.history())
        assert all(tasks[event.id].status is event.status for event in executor.states.items.values())
        counts = executor.status_counts() | {"cancelled": 2}  # the one that was cleaned up
        assert {status.value: ledger.count(status) for status in EventStatus} == counts

    run(main)


def test_so_many_moves_are_remembered() -> None:
    async def main() -> None:
        executor = Works(history=4)
        for n in range(3):
            await executor.append(Work(label=n))
        await executor.forward()
        assert [move.to.value for move in executor.history()][-1] == "completed"
        assert len(executor.history()) == 4

    run(main)


# --- what it forgets ---


def test_clean_up_by_default() -> None:
    async def main() -> None:
        executor = await _seven()
        completed = executor.completed_events
        assert await executor.cleanup_events() == 3
        assert labels(list(executor.states.items.values())) == ["late", "waits"]
        assert completed[0] not in executor
        assert await completed[0].invoke() == 0, "it is nobody's, and has its response"
        assert await executor.cleanup_events() == 0
        assert await executor.cleanup_events("cancelled") == 1
        agree(executor)

    run(main)


def test_pending_events_are_cancelled_first_and_running_ones_stay() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        executor = Works({"concurrency_limit": 1})
        running, waits = Work(label="runs", code=gate.wait), Work(label="waits")
        await executor.append(running)
        await executor.append(waits)
        await executor.start()
        await until(lambda: running.status is EventStatus.PROCESSING)
        assert await executor.cleanup_events(list(EventStatus)) == 1
        assert waits.status is EventStatus.CANCELLED
        assert isinstance(waits.execution.error, asyncio.CancelledError)
        assert waits not in executor
        assert executor.processing_events == [running]
        gate.set()
        await joined(executor)
        assert executor.completed_events == [running]
        await executor.shutdown()

    run(main)


def test_other_cancelled_events_stay_when_pending_ones_are_cleaned_up() -> None:
    async def main() -> None:
        executor = await _seven()
        assert await executor.cleanup_events(["pending"]) == 1
        assert labels(executor.cancelled_events) == ["late"]
        assert executor.history()[-1].reason == "cleaned up"

    run(main)


def test_clean_up_beside_ten_thousand_completions_leaves_nothing() -> None:
    async def main() -> None:
        chance = random.Random(7)
        executor = Works({"queue_capacity": 10_000, "max_queue_size": 10_000, "capacity_refresh_time": 0.01})
        await executor.start()
        removed = 0
        statuses = list(EventStatus)
        for n in range(10_000):
            await executor.append(Work(label=n))
            if n % 50 == 0:
                await asyncio.sleep(0)
                removed += await executor.cleanup_events(chance.sample(statuses, 3))
        assert executor.processor is not None
        await executor.processor.join()
        agree(executor)
        removed += await executor.cleanup_events(statuses)
        assert removed == 10_000
        assert len(executor) == 0
        assert not any(executor.status_counts().values())
        assert not executor.processor.denials
        await executor.shutdown()

    run(main)


def test_a_denied_event_that_is_cleaned_up_is_forgotten() -> None:
    async def main() -> None:
        executor = asking(lambda label: False)()
        await executor.start()
        await executor.append(Work())
        assert executor.processor is not None
        await until(lambda: executor.processor is not None and executor.processor.denials)
        await executor.cleanup_events(["pending"])
        assert not executor.processor.denials
        await executor.shutdown()

    run(main)


def test_retention() -> None:
    async def main() -> None:
        def fail() -> None:
            raise KeyError

        executor = Works({"queue_capacity": 1_000}, retention=Retention(count=3, keep_failed=True))
        await executor.append(failed := Work(label="wrong", code=fail))
        for n in range(20):
            await executor.append(Work(label=n))
        await executor.forward()
        assert labels(executor.completed_events) == [17, 18, 19]
        assert executor.failed_events == [failed]
        assert len(executor) == 4
        assert executor.status_counts()["completed"] == 3
        agree(executor)
        assert await executor.cleanup_events() == 4
        await executor.append(Work(label=20))
        await executor.forward()
        assert labels(executor.completed_events) == [20]

    run(main)


def test_an_event_that_is_not_retained_is_freed_at_once() -> None:
    async def main() -> None:
        executor = Works(retention=Retention(count=1))
        await executor.append(Work(label=0))
        (event,) = executor.pending_events
        gone = weakref.ref(event)
        del event
        await executor.forward()
        gc.disable()
        try:
            await executor.append(Work(label=1))
            await executor.forward()
            assert gone() is None
        finally:
            gc.enable()

    run(main)


def test_retention_by_age_needs_no_other_event(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = 0.0
    monkeypatch.setattr(book, "monotonic", lambda: time.monotonic() + ahead)

    async def main() -> None:
        nonlocal ahead
        executor = Works(retention=Retention(count=None, age=3_600))
        await executor.append(Work())
        await executor.forward()
        assert len(executor.completed_events) == 1
        ahead = 3_601.0
        assert executor.completed_events == []
        assert executor.status_counts()["completed"] == 0

    run(main)
