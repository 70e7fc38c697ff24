"""What lionpride's document of its executor shows: architecture, signatures, constructor and attributes."""

from __future__ import annotations

import inspect
from typing import ClassVar

import pytest
from event_kinds import run
from lionpride_kinds import (
    SEVEN,
    MyEvent,
    MyEventSubclass,
    MyExecutor,
    MyProcessor,
    eighteen,
)

from pipe_core import EventExecutor, EventStatus, OptionsError, Processor

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
    known = inspect.signature(method).parameters.values()  # those that only keywords give are ours
    found = [one.name for one in known if one.kind is not inspect.Parameter.KEYWORD_ONLY][1:]
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
