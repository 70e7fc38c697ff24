"""Dead letters: events that failed for good, looked at and submitted again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from event_kinds import Work, Works, agree, asking, finished, run, until

from pipe_core import (
    CircuitBreaker,
    Event,
    EventExecutor,
    EventStatus,
    IllegalTransitionError,
    QueueFullError,
    Rejection,
    Retention,
    Retry,
    TaskPriority,
)


def fail() -> None:
    raise ConnectionError("down")


async def forever() -> None:
    await asyncio.Event().wait()


async def failed(executor: EventExecutor, priority: Any = None, **terms: Any) -> Work:
    event = Work(label="failed", code=fail, metadata={"note": [1]})
    await executor.append(event, priority, **terms)
    await executor.forward()
    assert event.status is EventStatus.FAILED
    return event


def test_dead_letters_are_those_that_nobody_gave_up() -> None:
    async def main() -> None:
        executor = asking(lambda label: Rejection("no") if label == "refused" else True)(
            {"max_queue_size": 7}, on_full="drop_oldest"
        )
        await executor.start()
        await executor.stop()
        dropped, refused = Work(label="dropped"), Work(label="refused")
        broken, late = Work(code=fail), Work(code=asyncio.Event().wait, timeout=0.01)
        given_up, done = Work(code=asyncio.Event().wait), Work()
        for event in (dropped, refused, broken, late, given_up, done, Work(), Work()):
            await executor.append(event)
        run = asyncio.create_task(given_up.invoke())
        await until(lambda: given_up.status is EventStatus.PROCESSING)
        run.cancel()
        await executor.forward()
        assert set(executor.dead_letters) == {dropped, refused, broken, late}
        assert len(executor.dead_letters) == 4
        assert given_up.status is EventStatus.CANCELLED

    run(main)


@pytest.mark.parametrize("status", ["failed", "cancelled", "aborted"])
def test_a_fresh_event_takes_the_place_of_a_dead_one(status: str) -> None:
    async def main() -> None:
        hook = (lambda label: Rejection("no")) if status == "aborted" else (lambda label: True)
        executor = asking(hook)()
        code, timeout = (forever, 0.01) if status == "cancelled" else (fail, None)
        dead = Work(label="a", code=code, timeout=timeout, metadata={"note": [1]})
        await executor.append(dead)
        await executor.forward()
        assert dead.status.value == status
        fresh = await executor.requeue(dead)
        assert executor.dead_letters == []
        assert executor.pending_events == [fresh]
        assert len(executor) == 1
        assert fresh is not dead
        assert (fresh.id != dead.id, fresh.label, fresh.timeout) == (True, "a", timeout)  # type: ignore[attr-defined]  # it is a Work
        assert fresh.metadata["note"] == [1]
        assert fresh.metadata["original"] == {"id": dead.id, "created_at": dead.created_at}
        assert [move.to.value for move in executor.history(dead)][-1] == status
        assert [move.to.value for move in executor.history(fresh)] == ["pending"]
        assert dead.status.value == status
        agree(executor)

    run(main)


def test_the_fresh_one_has_the_priority_and_the_terms() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        breaker = CircuitBreaker("api", failures=99)
        first = await failed(executor, 1.5, retries=Retry(1, delay=0.0), breaker=breaker)
        urgent = await failed(executor, TaskPriority.URGENT)
        plain = await failed(executor)
        other, before = Work(), Work()
        await executor.append(other)
        await executor.append(before, 1.4)
        again = [await executor.requeue(event) for event in (plain, urgent, first)]
        await executor.start()
        assert executor.processor is not None
        await executor.processor.join()
        starts = []
        for move in executor.history():
            if move.to is EventStatus.PROCESSING and move.attempt == 1 and move.id not in starts:
                starts.append(move.id)
        mine = [event.id for event in (again[1], before, again[2], again[0], other)]
        assert [id for id in starts if id in mine] == mine, "the plain one has the time of its original"
        assert again[2].execution.attempt == 2
        assert again[0].execution.attempt == 1
        assert first.execution.attempt == 2
        await executor.shutdown()

    run(main)


def test_another_priority_may_be_given() -> None:
    async def main() -> None:
        executor = Works({"concurrency_limit": 1})
        dead = await failed(executor, TaskPriority.URGENT)
        other = Work()
        await executor.append(other)
        fresh = await executor.requeue(dead, TaskPriority.LOW)
        await finished(executor)
        starts = [move.id for move in executor.history() if move.to is EventStatus.PROCESSING]
        assert starts == [dead.id, other.id, fresh.id]

    run(main)


def test_what_cannot_be_requeued_is_refused_and_nothing_has_changed() -> None:
    async def main() -> None:
        executor = Works()
        pending, done, dead = Work(), Work(), await failed(executor)
        await executor.append(done)
        await executor.forward()
        await executor.append(pending)
        count = len(executor.history())
        for event, match in [(pending, "is pending"), (done, "is completed"), (Work(), "is not here")]:
            with pytest.raises(IllegalTransitionError, match=match):
                await executor.requeue(event)
        with pytest.raises(ValueError, match="finite"):
            await executor.requeue(dead, float("nan"))
        with pytest.raises(IllegalTransitionError, match="is not here"):
            await Works().requeue(dead)
        assert len(executor.history()) == count
        assert executor.dead_letters == [dead]
        agree(executor)

    run(main)


def test_of_two_who_requeue_one_does() -> None:
    async def main() -> None:
        executor = Works()
        dead = await failed(executor)
        found = await asyncio.gather(*(executor.requeue(dead) for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in found].count(Work) == 1
        assert all(isinstance(one, Work | IllegalTransitionError) for one in found)
        assert len(executor) == 1

    run(main)


@pytest.mark.parametrize("on_full", ["wait", "raise"])
def test_a_full_queue_keeps_the_dead_one(on_full: Any) -> None:
    async def main() -> None:
        executor = Works({"max_queue_size": 1}, on_full=on_full)
        await executor.start()
        dead = Work(code=fail)
        await executor.append(dead)
        await until(lambda: dead.status is EventStatus.FAILED)
        await executor.stop()
        await executor.append(Work())
        if on_full == "raise":
            with pytest.raises(QueueFullError):
                await executor.requeue(dead)
            assert executor.dead_letters == [dead]
            return
        task = asyncio.create_task(executor.requeue(dead))
        await asyncio.sleep(0.01)
        assert executor.dead_letters == [dead]
        await executor.forward()
        fresh = await task
        assert executor.pending_events == [fresh]

    run(main)


def test_all_dead_letters_come_through_in_the_end() -> None:
    async def main() -> None:
        down = True

        def ask() -> str:
            if down:
                raise ConnectionError
            return "up"

        executor = Works()
        for _ in range(50):
            await executor.append(Work(code=ask), retries=Retry(1, delay=0.0))
        await executor.forward()
        assert [event.execution.attempt for event in executor.dead_letters] == [2] * 50
        down = False
        for event in executor.dead_letters:
            await executor.requeue(event)
        await finished(executor)
        assert len(executor) == executor.status_counts()["completed"] == 50

    run(main)


def test_a_retention_may_keep_them_and_forgets_what_was_requeued() -> None:
    async def main() -> None:
        executor = Works(retention=Retention(count=2, keep_failed=True))
        dead: list[Event] = [await failed(executor) for _ in range(5)]
        assert executor.dead_letters == dead
        for event in dead[3:]:
            await executor.requeue(event)
        await executor.forward()
        assert len(executor.failed_events) == 5
        agree(executor)

    run(main)
