"""What lionpride's document of its executor shows: patterns, pitfalls, configuration and examples."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from event_kinds import FAST, joined, run, until
from lionpride_kinds import (
    SEVEN,
    AskingExecutor,
    MyEvent,
    MyEventSubclass,
    MyExecutor,
    eighteen,
    started,
)

from pipe_core import Event, EventExecutor, EventStatus, OptionsError, Processor

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
        await joined(executor)
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
        await joined(executor)
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
        await joined(executor)
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
        await joined(executor)
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
        await joined(executor)
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
        await joined(executor)
        assert executor.status_counts() == {**dict.fromkeys(SEVEN, 0), "completed": 50}
        assert len(started(executor)) == len(granted) == 50, "a grant starts an event, and nothing else does"
        tenth = zip(granted, granted[10:], strict=False)
        assert all(later - sooner >= 10 * interval - 1e-9 for sooner, later in tenth), "ten in ten intervals"
        await executor.stop()

    run(main)
