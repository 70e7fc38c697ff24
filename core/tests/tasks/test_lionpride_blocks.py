"""What lionpride's document of its executor shows, block by block, with our names and the results that it states.

`Executor` is `EventExecutor` here. Times are a tenth or less of those in the document; how they relate is the same.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import UUID

import pytest

from pipe_core import Event, EventExecutor, EventStatus, OptionsError, Processor

LIMIT = 30.0
FAST = {"queue_capacity": 10_000, "capacity_refresh_time": 0.01}
SEVEN = ["pending", "processing", "completed", "failed", "cancelled", "skipped", "aborted"]


class MyEvent(Event):
    async def _invoke(self) -> Any:
        return "result"


class MyEventSubclass(MyEvent):
    pass


class Failing(MyEvent):
    async def _invoke(self) -> Any:
        raise ValueError("it fails")


class Held(MyEvent):
    """Runs until it is let go."""

    go: Any

    async def _invoke(self) -> Any:
        await self.go.wait()
        return "held"


class MyProcessor(Processor):
    event_type = MyEvent


class MyExecutor(EventExecutor):
    processor_type = MyProcessor


class AskingProcessor(MyProcessor):
    async def request_permission(self, **request: Any) -> bool:
        await asyncio.sleep(0)
        return True


class AskingExecutor(MyExecutor):
    processor_type = AskingProcessor


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main(), LIMIT)

    asyncio.run(bounded())


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110  # it is looked at from outside, as the document does
        await asyncio.sleep(0.001)


def started(executor: EventExecutor) -> list[UUID]:
    """The ids of the events that began, in that order."""
    return [move.id for move in executor.history() if move.to is EventStatus.PROCESSING]


@asynccontextmanager
async def eighteen() -> AsyncIterator[MyExecutor]:
    """An executor in the state that the document prints: 5 pending, 2 processing, 10 completed, 1 failed."""
    executor, go = MyExecutor(FAST, name="my_executor"), asyncio.Event()
    await executor.start()
    for event in [*(MyEvent() for _ in range(10)), Failing(), Held(go=go), Held(go=go)]:
        await executor.append(event)
    await until(lambda: len(executor.completed_events) == 10 and len(executor.processing_events) == 2)
    await executor.stop()
    for _ in range(5):
        await executor.append(MyEvent())
    yield executor
    go.set()
    await executor.start()
    assert executor.processor is not None
    await executor.processor.join()
    await executor.shutdown()


# --- architecture ---


def test_every_status_is_a_progression_of_that_name() -> None:
    progressions = MyExecutor().states.progressions
    assert {status: progressions[status.value].name for status in EventStatus} == {
        EventStatus.PENDING: "pending",
        EventStatus.PROCESSING: "processing",
        EventStatus.COMPLETED: "completed",
        EventStatus.FAILED: "failed",
        EventStatus.CANCELLED: "cancelled",
        EventStatus.SKIPPED: "skipped",
        EventStatus.ABORTED: "aborted",
    }
    assert list(progressions) == SEVEN


def test_a_start_makes_the_processor_and_takes_what_waits() -> None:
    async def main() -> None:
        executor, early, event = MyExecutor(), MyEvent(), MyEvent()
        assert executor.processor is None
        await executor.append(early)
        await executor.start()
        assert isinstance(executor.processor, MyProcessor)
        await executor.append(event)
        assert event in executor
        await executor.processor.join()
        assert [early.status, event.status] == [EventStatus.COMPLETED] * 2
        assert list(executor.states.progressions["completed"]) == [early.id, event.id]
        await executor.stop()

    run(main)


# --- signatures ---


def test_the_class_says_which_processor_it_makes() -> None:
    assert "ClassVar[type[Processor]]" in EventExecutor.__annotations__["processor_type"]
    assert MyExecutor.processor_type is MyProcessor

    class Without(EventExecutor):
        pass

    with pytest.raises(OptionsError, match="processor_type = "):
        Without()


def test_the_constructor_has_the_documented_parameters() -> None:
    parameters = inspect.signature(EventExecutor).parameters
    assert list(parameters)[:3] == ["processor_config", "strict_event_type", "name"]
    assert [parameters[name].default for name in list(parameters)[:3]] == [None, False, None]
    executor = MyExecutor(None, False, None)
    assert (executor.processor_config, executor.strict_event_type, executor.states.name) == (
        {},
        False,
        "executor_states",
    )


@pytest.mark.parametrize(
    ("name", "parameters", "is_async"),
    [
        ("append", ["event", "priority"], True),
        ("cleanup_events", ["statuses"], True),
        ("get_events_by_status", ["status"], False),
        ("status_counts", [], False),
        ("start", [], True),
        ("stop", [], True),
        ("forward", [], True),
        ("inspect_state", [], False),
        ("__contains__", None, False),
        ("__repr__", [], False),
        ("_create_processor", [], True),
    ],
)
def test_a_method_has_the_documented_signature(name: str, parameters: list[str] | None, is_async: bool) -> None:
    method = getattr(EventExecutor, name)
    assert inspect.iscoroutinefunction(method) is is_async
    found = list(inspect.signature(method).parameters)[1:]
    assert found == parameters if parameters is not None else len(found) == 1


@pytest.mark.parametrize(
    "name",
    ["event_type", "strict_event_type", "completed_events", "pending_events", "failed_events", "processing_events"],
)
def test_a_property_is_one(name: str) -> None:
    assert isinstance(getattr(EventExecutor, name), property)


# --- constructor and attributes ---


def test_an_executor_with_a_configuration_of_its_own() -> None:
    executor = MyExecutor(
        processor_config={"queue_capacity": 100, "capacity_refresh_time": 1.0, "concurrency_limit": 50},
        strict_event_type=True,
        name="my_executor",
    )
    assert executor.strict_event_type is True
    assert executor.inspect_state().startswith("MyExecutor State (my_executor):")

    async def main() -> None:
        await executor.start()
        assert executor.processor is not None
        config = executor.processor.config
        assert (config.queue_capacity, config.capacity_refresh_time, config.concurrency_limit) == (100, 1.0, 50)
        await executor.stop()

    run(main)


def test_a_subclass_overrides_its_processor() -> None:
    class Other(MyProcessor):
        event_type = MyEventSubclass

    class OtherExecutor(MyExecutor):
        processor_type: ClassVar[type[Processor]] = Other

    assert OtherExecutor().event_type is MyEventSubclass


def test_the_states_hold_all_events_and_one_progression_a_status() -> None:
    async def main() -> None:
        executor, events = MyExecutor(), [MyEvent() for _ in range(3)]
        for event in events:
            await executor.append(event)
        assert list(executor.states.items.values()) == events
        assert {name: list(ids) for name, ids in executor.states.progressions.items()} == {
            "pending": [event.id for event in events],
            **{name: [] for name in SEVEN[1:]},
        }

    run(main)


def test_the_processor_is_none_until_the_first_start_and_the_same_ever_after() -> None:
    async def main() -> None:
        executor = MyExecutor()
        assert executor.processor is None
        await executor.start()
        processor = executor.processor
        assert processor is not None
        await executor.stop()
        assert executor.processor is processor
        await executor.start()
        assert executor.processor is processor
        await executor.stop()

    run(main)


def test_the_configuration_is_kept() -> None:
    config = {
        "queue_capacity": 5,
        "capacity_refresh_time": 0.1,
        "concurrency_limit": 2,
        "max_queue_size": 9,
        "max_denial_tracking": 7,
    }
    assert MyExecutor(config).processor_config == config


def test_the_event_type_is_that_of_the_processor() -> None:
    assert MyExecutor().event_type is MyEvent


def test_strictness_can_be_asked_for() -> None:
    assert MyExecutor(strict_event_type=True).strict_event_type is True
    assert MyExecutor().strict_event_type is False


@pytest.mark.parametrize(("name", "count"), [("completed", 10), ("pending", 5), ("failed", 1), ("processing", 2)])
def test_a_shortcut_gives_the_events_with_that_status(name: str, count: int) -> None:
    async def main() -> None:
        async with eighteen() as executor:
            events = getattr(executor, f"{name}_events")
            assert len(events) == count
            assert events == executor.get_events_by_status(EventStatus(name))

    run(main)


# --- methods ---


def test_lower_priorities_go_before_the_time_of_creation() -> None:
    async def main() -> None:
        executor = MyExecutor({**FAST, "concurrency_limit": 1})
        event, high_priority_event = MyEvent(), MyEvent()
        await executor.append(event)
        await executor.append(high_priority_event, priority=1.0)
        await executor.start()
        assert executor.processor is not None
        await executor.processor.join()
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


# --- usage patterns ---


def test_basic_usage() -> None:
    class DataProcessingEvent(Event):
        data: dict[str, Any] = {}  # noqa: RUF012  # a field of a model, which copies its default

        async def _invoke(self) -> Any:
            return {"processed": self.data}

    class DataProcessor(Processor):
        event_type = DataProcessingEvent

    class DataExecutor(EventExecutor):
        processor_type = DataProcessor

    async def main() -> None:
        executor = DataExecutor(processor_config={"queue_capacity": 100, "capacity_refresh_time": 1.0})
        await executor.start()
        for i in range(10):
            await executor.append(DataProcessingEvent(data={"id": i}))
        assert len(executor.pending_events) + len(executor.processing_events) + len(executor.completed_events) == 10
        assert executor.processor is not None
        await executor.processor.join()
        assert [event.execution.response for event in executor.completed_events] == [
            {"processed": {"id": i}} for i in range(10)
        ]
        await executor.stop()

    run(main)


def test_every_way_to_ask_for_a_status_agrees() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            completed = executor.completed_events
            assert completed == executor.get_events_by_status(EventStatus.COMPLETED)
            assert executor.failed_events == executor.get_events_by_status("failed")
            counts = executor.status_counts()
            assert counts["completed"] == len(completed)
            assert len(executor.pending_events) == counts["pending"]
            assert len(executor.processing_events) == counts["processing"]
            assert f"completed: {counts['completed']} events" in executor.inspect_state()

    run(main)


def test_a_state_is_looked_at_from_all_sides() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            counts = executor.status_counts()
            assert f"{counts['completed'] / sum(counts.values()):.1%}" == "55.6%"
            event = MyEvent()
            await executor.append(event)
            assert event in executor
            assert event.id in [one["id"] for one in executor.states.to_dict()["items"]]

    run(main)


def test_a_clean_up_makes_the_snapshot_smaller() -> None:
    async def main() -> None:
        async with eighteen() as executor:
            before = executor.states.to_dict()
            assert await executor.cleanup_events([EventStatus.COMPLETED]) == 10
            assert await executor.cleanup_events() == 1, "the failed one had been kept"
            snapshot = executor.states.to_dict()
            assert (len(before["items"]), len(snapshot["items"])) == (18, 7)

    run(main)


# --- common pitfalls: the wrong way fails as the document says, the right way works ---


def test_without_a_start_nothing_is_processed() -> None:
    async def main() -> None:
        executor, event = MyExecutor(), MyEvent()
        await executor.append(event)
        await asyncio.sleep(0.05)
        assert (executor.processor, event.status) == (None, EventStatus.PENDING)

    async def right() -> None:
        executor, event = MyExecutor(), MyEvent()
        await executor.start()
        await executor.append(event)
        await until(lambda: event.status is EventStatus.COMPLETED)
        await executor.stop()

    run(main)
    run(right)


def test_without_a_clean_up_memory_grows() -> None:
    config = {**FAST, "max_queue_size": 100}

    async def main() -> None:
        executor = MyExecutor(config)
        await executor.start()
        for _ in range(2_000):
            await executor.append(MyEvent())
        assert executor.processor is not None
        await executor.processor.join()
        assert len(executor) == 2_000, "all are kept, though all have ended"
        await executor.stop()

    async def right() -> None:
        executor, most = MyExecutor(config), 0
        await executor.start()
        for i in range(2_000):
            await executor.append(MyEvent())
            most = max(most, len(executor))
            if i % 100 == 0:
                await executor.cleanup_events()
        assert most <= 500
        assert executor.processor is not None
        await executor.processor.join()
        await executor.cleanup_events()
        assert len(executor) == 0
        await executor.stop()

    run(main)
    run(right)


def test_before_the_start_there_is_no_processor_to_join() -> None:
    async def main() -> None:
        executor = MyExecutor()
        with pytest.raises(AttributeError):
            await executor.processor.join()  # type: ignore[union-attr]  # that is the pitfall
        assert not executor.processor
        await executor.start()
        assert executor.processor is not None
        await executor.processor.join()
        await executor.stop()

    run(main)


def test_a_higher_number_is_processed_last() -> None:
    async def main() -> None:
        executor = MyExecutor({**FAST, "concurrency_limit": 1})
        thought_urgent, normal, urgent = MyEvent(), MyEvent(), MyEvent()
        await executor.append(thought_urgent, priority=1000)
        await executor.append(normal, priority=100.0)
        await executor.append(urgent, priority=1.0)
        await executor.start()
        assert executor.processor is not None
        await executor.processor.join()
        assert started(executor) == [urgent.id, normal.id, thought_urgent.id]
        await executor.stop()

    run(main)


# --- configuration guide ---


def test_a_configuration_with_every_documented_key() -> None:
    executor = MyExecutor(
        processor_config={
            "queue_capacity": 100,
            "capacity_refresh_time": 1.0,
            "concurrency_limit": 100,
            "max_queue_size": 1000,
            "max_denial_tracking": 10000,
        }
    )

    async def main() -> None:
        await executor.start()
        assert executor.processor is not None
        said = executor.processor.config.model_dump(exclude={"max_denials"})
        assert said == executor.processor_config
        await executor.stop()
        defaults = MyExecutor()
        await defaults.start()
        assert defaults.processor is not None
        assert defaults.processor.config.model_dump(exclude={"max_denials"}) == said
        await defaults.stop()

    run(main)


def test_no_more_events_start_in_an_interval_than_its_capacity() -> None:
    async def main() -> None:
        executor = MyExecutor({"queue_capacity": 2, "capacity_refresh_time": 3600.0})
        for _ in range(5):
            await executor.append(MyEvent())
        await executor.start()
        await until(lambda: len(executor.completed_events) >= 2)
        await asyncio.sleep(0.02)
        assert executor.status_counts() == {**dict.fromkeys(SEVEN, 0), "pending": 3, "completed": 2}
        await executor.stop()

    async def asked() -> None:
        """The same with a permission that takes its time."""
        executor = AskingExecutor({"queue_capacity": 2, "capacity_refresh_time": 3600.0})
        for _ in range(5):
            await executor.append(MyEvent())
        await executor.start()
        await until(lambda: len(executor.completed_events) >= 2)
        await asyncio.sleep(0.02)
        assert len(executor.pending_events) == 3
        await executor.stop()

    run(main)
    run(asked)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("queue_capacity", [1, 10_000], [0, 10_001, True]),
        ("capacity_refresh_time", [0.01, 3600], [0.009, 3600.1, float("nan")]),
        ("concurrency_limit", [1], [0]),
        ("max_queue_size", [1], [0]),
        ("max_denial_tracking", [1], [0]),
    ],
)
def test_values_are_held_to_the_documented_ranges(key: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert MyExecutor({key: value}).processor_config == {key: value}
    for value in bad:
        with pytest.raises(OptionsError, match=key):
            MyExecutor({key: value})


def test_subclasses_are_taken_unless_strict() -> None:
    async def main() -> None:
        executor = MyExecutor(strict_event_type=False)
        await executor.append(MyEvent())
        await executor.append(MyEventSubclass())
        assert len(executor) == 2
        executor = MyExecutor(strict_event_type=True)
        await executor.append(MyEvent())
        with pytest.raises(TypeError, match="MyEventSubclass"):
            await executor.append(MyEventSubclass())
        assert len(executor) == 1

    run(main)


# --- examples ---


class TaskEvent(Event):
    task_id: int = 0
    data: str = ""

    async def _invoke(self) -> Any:
        await asyncio.sleep(0.01)
        return {"task_id": self.task_id, "result": f"Processed: {self.data}"}


@pytest.mark.parametrize("urgent", [range(10), range(90, 100)], ids=["appended_first", "appended_last"])
def test_a_complete_system_of_tasks(urgent: range) -> None:
    class TaskProcessor(Processor):
        event_type = TaskEvent

    class TaskExecutor(EventExecutor):
        processor_type = TaskProcessor

    async def main() -> None:
        executor = TaskExecutor(
            processor_config={"queue_capacity": 50, "capacity_refresh_time": 0.05, "concurrency_limit": 20}
        )
        await executor.start()
        ids = {}
        for i in range(100):
            task = TaskEvent(task_id=i, data=f"Task {i}")
            ids[task.id] = i
            await executor.append(task, priority=1.0 if i in urgent else 100.0)

        most = 0
        while True:
            counts = executor.status_counts()
            most = max(most, counts["processing"])
            if counts["pending"] == 0 and counts["processing"] == 0:
                break
            await asyncio.sleep(0.005)

        assert (len(executor.completed_events), len(executor.failed_events)) == (100, 0)
        assert 0 < most <= 20
        assert [ids[id] for id in started(executor)][:10] == list(urgent)
        responses = {event.task_id: event.execution.response for event in executor.completed_events}  # type: ignore[attr-defined]  # they are TaskEvents
        assert responses[7] == {"task_id": 7, "result": "Processed: Task 7"}
        assert await executor.cleanup_events() == 100
        await executor.stop()

    run(main)


def test_calls_with_a_rate_limit_of_ones_own() -> None:
    interval = 0.02
    granted: list[float] = []

    class RateLimitedProcessor(Processor):
        event_type = TaskEvent

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.last_request = 0.0
            self.min_interval = interval

        async def request_permission(self, **kwargs: Any) -> bool:
            now = time.monotonic()
            if now - self.last_request < self.min_interval:
                return False
            self.last_request = now
            granted.append(now)
            return True

    class RateLimitedExecutor(EventExecutor):
        processor_type = RateLimitedProcessor

    async def main() -> None:
        executor = RateLimitedExecutor(processor_config={"queue_capacity": 10, "capacity_refresh_time": 0.1})
        await executor.start()
        for i in range(50):
            await executor.append(TaskEvent(task_id=i))
        assert executor.processor is not None
        await executor.processor.join()
        assert executor.status_counts() == {**dict.fromkeys(SEVEN, 0), "completed": 50}
        assert len(started(executor)) == len(granted) == 50, "a grant starts an event, and nothing else does"
        tenth = zip(granted, granted[10:], strict=False)
        assert all(later - sooner >= 10 * interval - 1e-9 for sooner, later in tenth), "ten in ten intervals"
        await executor.stop()

    run(main)
