"""What an event executor takes and refuses, and in which order events go."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from event_kinds import SpecialWork, Work, Worker, Works, agree, joined, labels, run, until

from pipe_core import (
    Event,
    EventExecutor,
    EventStatus,
    IllegalTransitionError,
    OptionsError,
    PluginNotFoundError,
    Processor,
    QueueFullError,
    TaskPriority,
)

# --- how it is made ---


def test_what_events_are_for_must_be_said() -> None:
    class Silent(EventExecutor):
        pass

    class Vague(Processor):
        pass

    class OfVague(EventExecutor):
        processor_type = Vague

    with pytest.raises(OptionsError, match="write `processor_type = MyProcessor`"):
        Silent()
    with pytest.raises(OptionsError, match="write `event_type = MyEvent`"):
        OfVague()
    with pytest.raises(OptionsError, match="write `event_type = MyEvent`"):
        Vague()


def test_wrong_types_are_found_where_the_class_is_written() -> None:
    with pytest.raises(OptionsError, match="is no Event"):
        type("OfNumbers", (Processor,), {"event_type": int})
    with pytest.raises(OptionsError, match="as processor_type"):
        type("ByNumbers", (EventExecutor,), {"processor_type": int})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("queue_capacity", value) for value in (0, -5, 10_001, True, 1.5, 5.0, "5", None, math.nan)],
        *[("capacity_refresh_time", value) for value in (0, 0.009, 3_600.1, math.nan, math.inf, True, "1", None)],
        *[("concurrency_limit", value) for value in (0, -1, True, 1.0, None)],
        *[("max_queue_size", value) for value in (0, True, 1.0)],
        *[("max_denial_tracking", value) for value in (0, True, 1.0)],
        *[("max_denials", value) for value in (0, True, 1.0)],
        ("queue_size", 5),
    ],
)
def test_a_wrong_configuration_is_refused(key: str, value: Any) -> None:
    with pytest.raises(OptionsError, match=key) as caught:
        Works({key: value})
    assert list(caught.value.problems) == [key]
    with pytest.raises(OptionsError, match=key):
        Worker(**{key: value})


def test_the_ends_of_the_ranges_are_taken() -> None:
    Works({"queue_capacity": 1, "capacity_refresh_time": 0.01, "concurrency_limit": 1, "max_queue_size": 1})
    Works({"queue_capacity": 10_000, "capacity_refresh_time": 3_600, "max_denials": None, "max_denial_tracking": 1})


@pytest.mark.parametrize("options", [{"on_full": "block"}, {"retention": 5}])
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionsError, match=next(iter(options))):
        Works(**options)


def test_an_executor_that_is_not_there_is_told_when_it_is_named() -> None:
    with pytest.raises(PluginNotFoundError, match="Did you mean 'sync'"):
        Works(executor="synk")
    with pytest.raises(OptionsError, match="there is no such option"):
        Works(executor=("sync", {"workers": 2}))
    with pytest.raises(OptionsError, match="5 is no executor"):
        Works(executor=5)


def test_what_it_says_of_itself() -> None:
    executor = Works({"queue_capacity": 5}, strict_event_type=True, name="mine")
    assert executor.processor is None
    assert executor.processor_config == {"queue_capacity": 5}
    assert executor.event_type is Work
    assert executor.strict_event_type
    assert executor.name == executor.states.name == "mine"
    assert Works().name == "executor_states"
    assert not Works().strict_event_type


def test_the_processor_is_made_at_the_first_start_and_kept() -> None:
    async def main() -> None:
        executor = Works()
        await executor.stop()
        assert executor.processor is None
        await executor.start()
        processor = executor.processor
        assert isinstance(processor, Worker)
        await executor.stop()
        await executor.start()
        await executor.start()
        assert executor.processor is processor
        await executor.shutdown()

    run(main)


def test_a_processor_may_be_made_in_a_way_of_its_own_and_once() -> None:
    made = []

    class Slow(Processor):
        event_type = Work

        @classmethod
        async def create(cls, **config: Any) -> Any:
            await asyncio.sleep(0)
            made.append(config.keys() - {"book"})
            return cls(**config)

    class OfSlow(EventExecutor):
        processor_type = Slow

    async def main() -> None:
        executor = OfSlow({"queue_capacity": 7})
        await executor.append(Work(label=1))
        await asyncio.gather(executor.start(), executor.start(), executor.forward())
        await joined(executor)
        assert len(executor.completed_events) == 1
        await executor.shutdown()

    run(main)
    assert made == [{"queue_capacity"}]


# --- what it takes ---


def test_only_events_of_its_type_are_taken() -> None:
    class Other(Event):
        pass

    async def main() -> None:
        executor = Works()
        await executor.append(SpecialWork())
        for wrong in (Other(), "event", None, Work):
            with pytest.raises(TypeError, match="Only Work events"):
                await executor.append(wrong)  # type: ignore[arg-type]  # wrong on purpose
        strict = Works(strict_event_type=True)
        await strict.append(Work())
        with pytest.raises(TypeError, match="strict_event_type"):
            await strict.append(SpecialWork())
        assert len(executor) == len(strict) == 1

    run(main)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("priority", [math.nan, math.inf, -math.inf, 10**400])
def test_a_priority_that_is_not_finite_leaves_no_trace(priority: Any, started: bool) -> None:
    async def main() -> None:
        await _refused(Works(), started, priority, ValueError)

    run(main)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("priority", ["5", True, [1], 1j])
def test_a_priority_that_is_no_number_leaves_no_trace(priority: Any, started: bool) -> None:
    async def main() -> None:
        await _refused(Works(), started, priority, TypeError)

    run(main)


async def _refused(executor: EventExecutor, started: bool, priority: Any, kind: type[Exception]) -> None:
    if started:
        await executor.start()
    event = Work(label=1)
    with pytest.raises(kind):
        await executor.append(event, priority)
    assert event not in executor
    assert not any(executor.status_counts().values())
    assert executor.history() == []
    await executor.append(event)  # it is nobody's yet
    await executor.forward()
    assert event.status is EventStatus.COMPLETED
    await executor.shutdown()


def test_an_event_is_taken_once() -> None:
    async def main() -> None:
        executor, other = Works(), Works()
        event = Work(label=1)
        await executor.append(event)
        with pytest.raises(ValueError, match="is here already, as pending"):
            await executor.append(event, 1.0)
        with pytest.raises(ValueError, match="is here already"):
            await executor.append(event.model_copy())
        with pytest.raises(IllegalTransitionError, match="belongs to an executor already"):
            await other.append(event)
        assert len(executor) == 1
        assert len(other) == 0
        await executor.forward()
        with pytest.raises(ValueError, match="is here already, as completed"):
            await executor.append(event)
        done = Work(label=2)
        await done.invoke()
        with pytest.raises(IllegalTransitionError, match="is completed, not pending"):
            await other.append(done)
        assert len(other) == 0
        assert other.history() == []

    run(main)


def test_a_full_queue_refuses_and_leaves_no_trace() -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 2, "queue_capacity": 1, "capacity_refresh_time": 3_600}, on_full="raise")
        await executor.start()
        events = [Work(label=n) for n in range(5)]
        await executor.append(events[0])
        await joined(executor)  # the budget is spent
        await executor.append(events[1])
        await executor.append(events[2])
        with pytest.raises(QueueFullError, match="max_queue_size is 2") as caught:
            await executor.append(events[3])
        assert (caught.value.queue_size, caught.value.max_size, caught.value.retryable) == (2, 2, True)
        assert events[3] not in executor
        assert executor.status_counts()["pending"] == 2
        await executor.forward()
        await executor.append(events[3])
        await executor.forward()
        assert labels(executor.completed_events) == [0, 1, 2, 3]
        await executor.shutdown()

    run(main)


def test_what_came_before_the_start_does_not_count() -> None:
    async def main() -> None:
        config = {"max_queue_size": 1, "queue_capacity": 1, "capacity_refresh_time": 3_600, "concurrency_limit": 1}
        executor = Works(config, on_full="raise")
        for n in range(50):
            await executor.append(Work(label=n), 1)
        await executor.start()
        await executor.append(Work(label="one more"), 2)
        with pytest.raises(QueueFullError):
            await executor.append(Work())
        await executor.forward()
        assert labels(executor.completed_events) == [*range(50), "one more"]
        await executor.shutdown()

    run(main)


def test_append_waits_for_room() -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 3, "concurrency_limit": 2})
        await executor.start()
        for n in range(100):
            await executor.append(Work(label=n))
            assert executor.status_counts()["pending"] <= 3
        await joined(executor)
        assert sorted(labels(executor.completed_events)) == list(range(100))
        await executor.shutdown()

    run(main)


def test_who_gives_up_waiting_for_room_leaves_it_to_the_next() -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 1, "queue_capacity": 1, "capacity_refresh_time": 3_600})
        await executor.start()
        await executor.append(first := Work(label=1))
        await first.invoke()
        await executor.append(Work(label=2), 1)
        waiting = [asyncio.create_task(executor.append(Work(label=n))) for n in (3, 4, 5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await executor.forward()
        waiting[1].cancel()  # it has been told that there is room
        await waiting[2]
        assert labels(executor.pending_events) == [5]
        assert len(executor) == 3
        await executor.shutdown()

    run(main)


def test_room_is_also_made_by_who_cleans_up() -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 1, "queue_capacity": 1, "capacity_refresh_time": 3_600})
        await executor.start()
        await executor.stop()
        await executor.append(Work(label=1))
        waiting = asyncio.create_task(executor.append(Work(label=2)))
        await asyncio.sleep(0)
        assert await executor.cleanup_events(["pending"]) == 1
        await waiting
        assert labels(executor.pending_events) == [2]

    run(main)


def test_the_oldest_is_dropped_for_a_newer_one() -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 2, "queue_capacity": 1}, on_full="drop_oldest")
        await executor.append(before := Work(label="before"), 100)
        await executor.start()
        await executor.stop()
        for n in range(5):
            await executor.append(Work(label=n), n)
        assert labels(executor.pending_events) == ["before", 3, 4], "what does not count is not dropped"
        assert labels(executor.aborted_events) == [0, 1, 2]
        dropped = executor.aborted_events[0]
        assert isinstance(dropped.execution.error, QueueFullError)
        assert dropped.execution.retryable is True
        assert "dropped" in executor.history(dropped)[-1].reason
        await executor.forward()
        assert before.status is EventStatus.COMPLETED
        agree(executor)

    run(main)


# --- priorities ---


def test_the_order_of_events() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        wanted = ["urgent", "high", "minus", "one", "other", "hundred", "first", "second", "low"]
        events: dict[str, Any] = {
            "low": TaskPriority.LOW,
            "hundred": 100,
            "first": None,
            "second": None,
            "one": 1.0,
            "other": 1,
            "minus": -5,
            "high": TaskPriority.HIGH,
            "urgent": TaskPriority.URGENT,
        }
        for label, priority in events.items():
            await executor.append(Work(label=label), priority)
        await executor.start()
        await joined(executor)
        assert labels(executor.completed_events) == wanted
        await executor.shutdown()

    run(main)


def test_without_a_priority_the_one_that_was_made_first_goes_first() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        events = [Work(label=n) for n in range(10)]
        for event in reversed(events):
            await executor.append(event)
        await executor.forward()
        made = [event.created_at for event in executor.completed_events]
        assert made == sorted(made)

    run(main)


def test_an_urgent_event_goes_next_when_all_places_are_taken() -> None:
    async def main() -> None:
        begun: list[Any] = []
        gates = [asyncio.Event() for _ in range(2)]
        executor = Works({"concurrency_limit": 2})
        for gate in gates:
            await executor.append(Work(code=gate.wait))
        for n in range(20):
            await executor.append(Work(label=n, code=lambda n=n: begun.append(n)))
        await executor.start()
        await until(lambda: len(executor.processing_events) == 2)
        await executor.append(Work(code=lambda: begun.append("urgent")), TaskPriority.URGENT)
        gates[0].set()
        assert executor.processor is not None
        await until(lambda: len(begun) == 21)
        assert begun == ["urgent", *range(20)]
        gates[1].set()
        await executor.processor.join()
        await executor.shutdown()

    run(main)
