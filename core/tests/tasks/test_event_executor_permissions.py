"""Permission: what a check may answer, raise and take its time for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from event_kinds import FAST, Work, agree, asking, joined, labels, run, until

from pipe_core import EventExecutor, EventStatus, Processor, Rejection
from pipe_core.tasks.errors import PermissionRejected
from pipe_core.tasks.permissions import SOON, Denials, judged
from pipe_core.tasks.record import EventRecord


def later(hook: Any) -> Any:
    """*hook* as an async one."""

    async def ask(label: Any) -> Any:
        await asyncio.sleep(0)
        return hook(label)

    return ask


BOTH = pytest.mark.parametrize("as_async", [False, True], ids=["sync", "async"])


def made(hook: Any, as_async: bool) -> type[EventExecutor]:
    return asking(later(hook) if as_async else hook)


@BOTH
def test_the_check_is_told_the_request(as_async: bool) -> None:
    async def main() -> None:
        told: list[Any] = []
        executor = made(lambda label: told.append(label) or True, as_async)()
        for n in range(5):
            await executor.append(Work(label=n))
        await executor.start()
        await joined(executor)
        assert told == list(range(5))
        assert len(executor.completed_events) == 5
        await executor.shutdown()

    run(main)


@pytest.mark.parametrize(("in_seconds", "limit"), [(False, 8.0), (True, 7.0)], ids=["plain", "in seconds"])
def test_the_rate_limit_of_the_seed_loses_nothing_and_ends_in_time(in_seconds: bool, limit: float) -> None:
    granted: list[float] = []

    class Limited(Processor):
        event_type = Work

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.last_request = 0.0
            self.min_interval = 0.1

        async def request_permission(self, **kwargs: Any) -> bool | float:
            now = time.time()
            if now - self.last_request < self.min_interval:
                return self.min_interval - (now - self.last_request) if in_seconds else False
            self.last_request = now
            granted.append(now)
            return True

    class Executor(EventExecutor):
        processor_type = Limited

    async def main() -> None:
        executor = Executor(processor_config={"queue_capacity": 10, "capacity_refresh_time": 0.5})
        began = time.monotonic()
        await executor.start()
        for n in range(50):
            await executor.append(Work(label=n))
        await joined(executor)
        assert time.monotonic() - began < 1.5 * limit
        assert sorted(labels(executor.completed_events)) == list(range(50))
        starts = [move.id for move in executor.history() if move.to is EventStatus.PROCESSING]
        assert len(starts) == len(set(starts)) == len(granted) == 50, "a grant starts one event, and nothing else does"
        assert all(later - sooner > 0.99 for sooner, later in zip(granted, granted[10:], strict=False)), "10 a second"
        await executor.shutdown()

    run(main)


@BOTH
def test_a_check_that_answers_in_seconds_is_asked_again_then(as_async: bool) -> None:
    async def main() -> None:
        last, asked = 0.0, Counter[Any]()

        def hook(label: Any) -> bool | float:
            nonlocal last
            asked[label] += 1
            now = time.monotonic()
            if now < last + 0.02:
                return last + 0.02 - now
            last = now
            return True

        executor = made(hook, as_async)({"queue_capacity": 100})
        await executor.start()
        for n in range(50):
            await executor.append(Work(label=n))
        await joined(executor)
        assert sorted(labels(executor.completed_events)) == list(range(50))
        assert asked.total() < 50 * 50, "none is asked before its time"
        await executor.shutdown()

    run(main)


def test_a_grant_does_not_cut_short_the_seconds_of_another_one() -> None:
    async def main() -> None:
        asked = Counter[Any]()

        def hook(label: Any) -> bool | float:
            asked[label] += 1
            return True if label != "later" or asked[label] > 1 else 0.3

        executor = asking(hook)(FAST)
        await executor.start()
        began = time.monotonic()
        await executor.append(late := Work(label="later"))
        while not late.status.final:
            await executor.append(Work(label="now"))
            await asyncio.sleep(0.001)
        assert time.monotonic() - began >= 0.29
        assert asked["later"] == 2
        await executor.shutdown()

    run(main)


@BOTH
def test_a_rejection_aborts_the_event_and_says_why(as_async: bool) -> None:
    async def main() -> None:
        executor = made(lambda label: Rejection("not you") if label == "bad" else True, as_async)(FAST)
        await executor.start()
        await executor.append(bad := Work(label="bad"))
        await executor.append(Work(label="good"))
        await joined(executor)
        assert executor.aborted_events == [bad]
        execution = bad.execution
        assert isinstance(execution.error, PermissionRejected)
        assert str(execution.error) == "not you"
        assert (execution.status, execution.retryable, execution.duration) == (EventStatus.ABORTED, False, 0.0)
        assert [(move.to.value, move.reason) for move in executor.history(bad)] == [
            ("pending", ""),
            ("aborted", "not you"),
        ]
        await bad.invoke()
        assert bad.status is EventStatus.ABORTED
        assert labels(executor.completed_events) == ["good"]
        agree(executor)
        await executor.shutdown()

    run(main)


@BOTH
def test_denials_in_a_row_abort_where_there_is_a_limit(as_async: bool) -> None:
    async def main() -> None:
        asked = Counter[Any]()

        def hook(label: Any) -> bool:
            asked[label] += 1
            return label == "good" or asked[label] > 5

        executor = made(hook, as_async)(FAST | {"max_denials": 3})
        await executor.start()
        await executor.append(bad := Work(label="bad"))
        await executor.append(Work(label="good"))
        assert executor.processor is not None
        await executor.processor.join()
        assert asked["bad"] == 3
        assert executor.aborted_events == [bad]
        assert "denied 3 times in a row" in str(bad.execution.error)
        assert not executor.processor.denials
        patient = made(hook, as_async)(FAST)
        await patient.append(Work(label="other"))
        await patient.start()
        assert patient.processor is not None
        await patient.processor.join()
        assert asked["other"] == 6
        assert labels(patient.completed_events) == ["other"]
        await patient.shutdown()
        await executor.shutdown()

    run(main)


@BOTH
def test_seconds_are_no_denial(as_async: bool) -> None:
    async def main() -> None:
        asked = Counter[Any]()

        def hook(label: Any) -> bool | float:
            asked[label] += 1
            return 0.001 if asked[label] < 10 else True

        executor = made(hook, as_async)(FAST | {"max_denials": 2})
        await executor.append(Work(label=1))
        await executor.start()
        await joined(executor)
        assert labels(executor.completed_events) == [1]
        await executor.shutdown()

    run(main)


@BOTH
def test_one_that_is_denied_holds_up_no_other(as_async: bool) -> None:
    async def main() -> None:
        executor = made(lambda label: label != "bad", as_async)(FAST | {"concurrency_limit": 1})
        await executor.start()
        await executor.append(bad := Work(label="bad"), -1)
        for n in range(200):
            await executor.append(Work(label=n))
        await until(lambda: len(executor.completed_events) == 200)
        assert executor.pending_events == [bad]
        agree(executor)
        await executor.shutdown()

    run(main)


@BOTH
def test_a_denial_costs_no_start(as_async: bool) -> None:
    async def main() -> None:
        executor = made(lambda label: label == "good", as_async)({"queue_capacity": 2, "capacity_refresh_time": 3_600})
        await executor.start()
        for n in range(20):
            await executor.append(Work(label=n), n)
        for _ in range(2):
            await executor.append(Work(label="good"), 100)
        await until(lambda: len(executor.completed_events) == 2)
        await executor.append(last := Work(label="good"), -1)
        await asyncio.sleep(0.05)
        assert last.status is EventStatus.PENDING
        await executor.shutdown()

    run(main)


def test_checks_that_take_their_time_keep_to_the_budget() -> None:
    async def main() -> None:
        async def hook(label: Any) -> bool:
            await asyncio.sleep(0.005)
            return True

        executor = asking(hook)({"queue_capacity": 3, "capacity_refresh_time": 3_600})
        await executor.start()
        for n in range(20):
            await executor.append(Work(label=n))
        await until(lambda: len(executor.completed_events) == 3)
        await asyncio.sleep(0.05)
        assert labels(executor.completed_events) == [0, 1, 2]
        await executor.shutdown()

    run(main)


def test_an_event_is_asked_for_once_at_a_time() -> None:
    async def main() -> None:
        asked, gate = Counter[Any](), asyncio.Event()

        async def hook(label: Any) -> bool:
            asked[label] += 1
            if label == "slow" and asked[label] == 2:
                await gate.wait()
            return label != "slow" or asked[label] > 1

        executor = asking(hook)(FAST)
        await executor.start()
        await executor.append(event := Work(label="slow"))
        await until(lambda: asked["slow"] == 2)
        await executor.append(other := Work(label="other"))  # its grant lets those that were denied ask sooner
        await until(lambda: other.status.final)
        await asyncio.sleep(0.05)
        assert asked["slow"] == 2
        gate.set()
        await joined(executor)
        assert event.status is EventStatus.COMPLETED
        assert asked["slow"] == 2
        await executor.shutdown()

    run(main)


class Rude(BaseException):
    def __str__(self) -> str:
        raise SystemExit


class RudeNumber(float):
    def __ge__(self, other: object) -> bool:
        raise SystemExit


ERRORS = [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Rude(), asyncio.CancelledError()]


@BOTH
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_check_raises_stops_nothing_but_its_event(error: BaseException, as_async: bool) -> None:
    async def main() -> None:
        def hook(label: Any) -> bool:
            if label == "bad":
                raise error
            return True

        executor = made(hook, as_async)(FAST)
        await executor.start()
        await executor.append(bad := Work(label="bad"))
        await executor.append(Work(label="good"))
        await joined(executor)
        assert labels(executor.completed_events) == ["good"]
        assert executor.aborted_events == [bad]
        refused = bad.execution.error
        assert isinstance(refused, PermissionRejected)
        assert refused.__cause__ is error
        assert type(error).__name__ in str(refused)
        assert bad.execution.retryable is True
        agree(executor)
        await executor.shutdown()

    run(main)


@BOTH
@pytest.mark.parametrize("answer", [None, "yes", -1, -0.5, float("nan"), float("inf"), RudeNumber(1), [], {"a": 1}])
def test_an_answer_that_is_none_aborts_the_event(answer: Any, as_async: bool) -> None:
    async def main() -> None:
        executor = made(lambda label: answer, as_async)(FAST)
        await executor.append(event := Work(label="x"))
        await executor.start()
        await joined(executor)
        assert event.status is EventStatus.ABORTED
        assert "request_permission failed" in str(event.execution.error)
        await executor.shutdown()

    run(main)


def test_a_request_that_fails_aborts_the_event() -> None:
    class Broken(Work):
        @property
        def request(self) -> dict[str, Any]:
            raise LookupError("no request")

    async def main() -> None:
        executor = asking(lambda label: True)(FAST)
        await executor.append(broken := Broken())
        await executor.append(Work(label="good"))
        await executor.start()
        await joined(executor)
        assert executor.aborted_events == [broken]
        assert labels(executor.completed_events) == ["good"]
        await executor.shutdown()

    run(main)


def test_what_answers_at_once_for_ever_takes_neither_the_loop_nor_the_turns_of_others() -> None:
    async def main() -> None:
        asked = Counter[Any]()

        def hook(label: Any) -> float:
            asked[label] += 1
            return 1e-9

        executor = asking(hook)(FAST)
        for n in range(300):
            await executor.append(Work(label=n))
        await executor.start()
        await until(lambda: len(asked) == 300)
        await executor.stop()
        asked.clear()
        await executor.forward()
        assert set(asked.values()) == {1}
        assert len(executor.pending_events) == 300
        assert await executor.cleanup_events(["pending"]) == 300

    run(main)


def test_a_stop_while_a_check_is_under_way_starts_nothing() -> None:
    async def main() -> None:
        asked, gate = Counter[Any](), asyncio.Event()

        async def hook(label: Any) -> bool:
            asked[label] += 1
            await gate.wait()
            return True

        executor = asking(hook)(FAST)
        await executor.start()
        await executor.append(event := Work(label=1))
        await until(lambda: asked[1])
        await executor.stop()
        gate.set()
        assert executor.processor is not None
        await executor.processor.settle()
        assert event.status is EventStatus.PENDING
        await executor.start()
        await executor.processor.join()
        assert event.status is EventStatus.COMPLETED
        await executor.shutdown()

    run(main)


def test_a_check_that_is_under_way_when_its_event_is_cleaned_up() -> None:
    async def main() -> None:
        asked, gate = 0, asyncio.Event()

        async def hook(label: Any) -> bool:
            nonlocal asked
            asked += 1
            await gate.wait()
            return bool(label)

        executor = asking(hook)(FAST)
        await executor.start()
        events = [Work(label=True), Work(label=False)]
        for event in events:
            await executor.append(event)
        await until(lambda: asked == 2)
        assert await executor.cleanup_events(["pending"]) == 2
        gate.set()
        assert executor.processor is not None
        await executor.processor.settle()
        assert [event.status for event in events] == [EventStatus.CANCELLED] * 2
        assert not executor.processor.denials
        assert len(executor) == 0
        await executor.shutdown()

    run(main)


def test_a_loop_that_ends_while_checks_are_under_way_loses_nothing() -> None:
    asked = Counter[Any]()

    async def hook(label: Any) -> bool:
        asked[label] += 1
        await asyncio.sleep(1_000 if asked[label] == 1 else 0)
        return True

    executor = asking(hook)(FAST)

    async def begin() -> None:
        await executor.start()
        for n in range(20):
            await executor.append(Work(label=n))
        await until(lambda: asked[19])

    async def resume() -> None:
        await executor.start()
        await joined(executor)
        await executor.shutdown()

    asyncio.run(begin())
    assert len(executor.pending_events) == 20
    run(resume)
    assert sorted(labels(executor.completed_events)) == list(range(20))


# --- counting ---


def records(count: int) -> list[EventRecord]:
    return [Work()._record for _ in range(count)]


def test_the_pauses_of_one_that_is_denied_again_and_again() -> None:
    denials, (one, other) = Denials(None, 100), records(2)
    now, pauses = 100.0, []
    for _ in range(10):
        pauses.append(denials.deny(one, now))
        now += pauses[-1]  # type: ignore[operator]  # none is refused
    assert pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0])
    assert denials.grant(other, now) == [one]
    assert denials.grant(other, now) == []
    assert denials.deny(one, now + SOON) == pytest.approx(2 * SOON), "the first one came with the grant"
    denials.clear()
    assert len(denials) == 0
    assert denials.deny(one, now) == pytest.approx(SOON)


def test_delays_of_asking_do_not_add_up_and_leave_some_pause() -> None:
    denials, (one,) = Denials(None, 100), records(1)
    assert denials.deny(one, 0.0) == pytest.approx(0.01)
    assert denials.deny(one, 0.013) == pytest.approx(0.017)
    assert denials.deny(one, 5.0) == pytest.approx(0.02)


def test_so_many_are_tracked_and_the_oldest_is_forgotten_first() -> None:
    denials, many = Denials(3, 10), records(15)
    for record in many:
        denials.deny(record, 0.0)
    assert len(denials) == 10
    for record in many[5:]:
        denials.deny(record, 1.0)
    assert not isinstance(denials.deny(many[0], 2.0), PermissionRejected), "it counts anew"
    assert len(denials) == 10
    assert isinstance(denials.deny(many[14], 2.0), PermissionRejected)
    assert set(denials.grant(many[0], 3.0)) == set(many[6:14])


def test_the_table_of_denials_is_bounded_and_a_stop_clears_it() -> None:
    async def main() -> None:
        executor = asking(lambda label: False)(FAST | {"max_denial_tracking": 10})
        for n in range(50):
            await executor.append(Work(label=n))
        await executor.start()
        assert executor.processor is not None
        await until(lambda: executor.processor is not None and len(executor.processor.denials) == 10)
        await asyncio.sleep(0.05)
        assert len(executor.processor.denials) == 10
        await executor.stop()
        assert len(executor.processor.denials) == 0
        assert len(executor.pending_events) == 50

    run(main)


@pytest.mark.parametrize(
    ("answer", "verdict"), [(True, True), (False, False), (0, True), (0.0, True), (2, 2.0), (0.5, 0.5)]
)
def test_answers(answer: Any, verdict: Any) -> None:
    assert judged(answer) == verdict
    assert type(judged(answer)) is type(verdict)
