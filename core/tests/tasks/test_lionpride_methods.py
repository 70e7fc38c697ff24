"""What lionpride's document of its executor shows: methods, what is inside, and what the design is good for."""

from __future__ import annotations

import asyncio

import pytest
from event_kinds import FAST, joined, run, until
from lionpride_kinds import (
    SEVEN,
    Held,
    MyEvent,
    MyExecutor,
    eighteen,
    started,
)

from pipe_core import EventStatus, OptionsError

# --- methods ---


def test_lower_priorities_go_before_the_time_of_creation() -> None:
    async def main() -> None:
        executor = MyExecutor({**FAST, "concurrency_limit": 1})
        event, high_priority_event = MyEvent(), MyEvent()
        await executor.append(event)
        await executor.append(high_priority_event, priority=1.0)
        await executor.start()
        await joined(executor)
        assert started(executor) == [high_priority_event.id, event.id]
        await executor.stop()

    run(main)


def test_a_clean_up_forgets_completed_failed_and_aborted_events() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            assert await executor.cleanup_events() == 11
            assert executor.status_counts() == {**dict.fromkeys(SEVEN, 0), "pending": 5, "processing": 2}

    run(main)


def test_a_clean_up_takes_only_what_it_is_told() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            assert await executor.cleanup_events([EventStatus.COMPLETED]) == 10
            assert len(executor.failed_events) == 1
            assert await executor.cleanup_events([EventStatus.COMPLETED, EventStatus.FAILED]) == 1

    run(main)


def test_a_status_is_asked_for_by_member_and_by_name() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            pending = executor.get_events_by_status(EventStatus.PENDING)
            completed = executor.get_events_by_status("completed")
            assert (len(pending), len(completed)) == (5, 10)
            assert {event.status for event in pending} == {EventStatus.PENDING}

    run(main)


def test_counts_are_those_of_all_seven_statuses() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            counts = executor.status_counts()
            assert list(counts.items()) == list(zip(SEVEN, [5, 2, 10, 1, 0, 0, 0], strict=True))
            assert sum(counts.values()) == 18

    run(main)


def test_what_was_appended_before_waits_for_the_start() -> None:
    async def main() -> None:
        executor, event = MyExecutor(), MyEvent()
        await executor.append(event)
        await asyncio.sleep(0.02)
        assert event.status is EventStatus.PENDING
        await executor.start()
        await executor.start()  # and once more, which changes nothing
        await until(lambda: event.status is EventStatus.COMPLETED)
        assert started(executor) == [event.id]
        await executor.stop()

    run(main)


def test_a_stop_keeps_what_waits_and_a_start_goes_on() -> None:
    async def main() -> None:
        executor, event = MyExecutor(FAST), MyEvent()
        await executor.stop()  # before the start: there is nothing to stop
        await executor.start()
        await executor.stop()
        await executor.append(event)
        await asyncio.sleep(0.02)
        assert event.status is EventStatus.PENDING
        await executor.start()
        await until(lambda: event.status is EventStatus.COMPLETED)
        await executor.stop()

    run(main)


def test_forward_does_not_wait_for_the_interval() -> None:
    async def main() -> None:
        executor = MyExecutor({"queue_capacity": 1, "capacity_refresh_time": 3600.0})
        first, urgent_event = MyEvent(), MyEvent()
        await executor.start()
        await executor.append(first)
        await until(lambda: first.status is EventStatus.COMPLETED)
        await executor.append(urgent_event)
        await asyncio.sleep(0.02)
        assert urgent_event.status is EventStatus.PENDING, "the interval has no start left"
        await executor.forward()
        assert urgent_event.status is EventStatus.COMPLETED
        await executor.stop()

    run(main)


STATE = """\
MyExecutor State (my_executor):
  pending: 5 events
  processing: 2 events
  completed: 10 events
  failed: 1 event
  cancelled: 0 events
  skipped: 0 events
  aborted: 0 events"""


def test_the_state_is_told_in_lines() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            assert executor.inspect_state() == STATE

    run(main)


def test_events_and_their_ids_are_in_the_executor() -> None:
    async def main() -> None:
        executor, event = MyExecutor(), MyEvent()
        await executor.append(event)
        assert event in executor
        assert event.id in executor
        assert MyEvent() not in executor

    run(main)


def test_the_repr_has_the_total_and_every_count() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            assert repr(executor) == (
                "MyExecutor(total=18, pending=5, processing=2, completed=10, failed=1, "
                "cancelled=0, skipped=0, aborted=0)"
            )

    run(main)


# --- internal methods ---


def test_an_event_is_in_one_progression_which_is_that_of_its_status() -> None:
    """What `_update_progression` is for there; here a move of the event is a move in the ledger."""

    async def main() -> None:
        executor, go = MyExecutor(FAST), asyncio.Event()
        held = Held(go=go)

        def places() -> list[str]:
            return [name for name, ids in executor.states.progressions.items() if held.id in list(ids)]

        seen = []
        await executor.append(held)
        seen.append(places())
        await executor.start()
        await until(lambda: held.status is EventStatus.PROCESSING)
        seen.append(places())
        go.set()
        await until(lambda: held.status.final)
        seen.append(places())
        assert seen == [["pending"], ["processing"], ["completed"]]
        await executor.stop()

    run(main)


def test_the_first_start_makes_the_processor_from_the_configuration() -> None:
    made = []

    class Counting(MyExecutor):
        async def _create_processor(self) -> None:
            made.append(self.processor_config)
            await super()._create_processor()

    async def main() -> None:
        executor = Counting(FAST)
        for _ in range(2):
            await executor.start()
            await executor.stop()
        assert made == [FAST]

    run(main)


# --- design benefits ---


def test_a_scan_and_a_look_up_find_the_same() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            scanned = [e for e in executor.states.items.values() if e.execution.status == EventStatus.COMPLETED]
            assert executor.get_events_by_status(EventStatus.COMPLETED) == scanned
            assert len(scanned) == 10

    run(main)


def test_all_seven_statuses_are_seen_at_a_glance() -> None:
    lines = MyExecutor().inspect_state().splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == SEVEN


def test_a_snapshot_has_every_event_and_where_it_is() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            snapshot = executor.states.to_dict()
            assert snapshot["name"] == "my_executor"
            assert [one["id"] for one in snapshot["items"]] == list(executor.states.items)
            assert {name: len(ids) for name, ids in snapshot["progressions"].items()} == executor.status_counts()
            again = [
                MyEvent.from_dict(one)
                for one in snapshot["items"]
                if one["id"] in executor.states.progressions["failed"]
            ]
            assert isinstance(again[0].execution.error, ValueError)

    run(main)


def test_an_unknown_status_fails() -> None:
    executor = MyExecutor()
    assert executor.get_events_by_status(EventStatus.PENDING) == executor.get_events_by_status("pending") == []
    with pytest.raises(OptionsError, match="no status 'invalid_status'") as caught:
        executor.get_events_by_status("invalid_status")
    assert isinstance(caught.value, ValueError)
