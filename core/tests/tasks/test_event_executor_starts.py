"""When events are started: by `forward`, as there are places, and as the budget allows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from event_kinds import HOUR, Work, Works, agree, joined, labels, run, until

from pipe_core import EventStatus

# --- forward ---


def test_forward_does_not_wait_for_the_interval() -> None:
    async def main() -> None:
        executor = Works(HOUR)
        for n in range(100):
            await executor.append(Work(label=n))
        await executor.forward()
        assert labels(executor.completed_events) == list(range(100))
        await executor.start()
        await executor.append(Work(label=100))
        await executor.append(Work(label=101))
        await executor.forward()
        assert len(executor.completed_events) == 102
        await executor.shutdown()

    run(main)


def test_two_forwards_at_once() -> None:
    async def main() -> None:
        executor = Works(HOUR)
        await executor.append(Work(label=0))
        await asyncio.gather(executor.forward(), executor.forward())
        assert len(executor.completed_events) == 1
        for n in range(50):
            await executor.append(Work(label=n, code=lambda: asyncio.sleep(0.001)))
        await asyncio.gather(*(executor.forward() for _ in range(5)))
        await until(lambda: len(executor.completed_events) == 51)
        agree(executor)

    run(main)


def test_forward_keeps_to_the_places_and_waits_for_its_own() -> None:
    async def main() -> None:
        now, most = 0, 0

        async def work() -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await until(lambda: most >= 3)  # the first ones, until all places are taken
            now -= 1

        executor = Works(HOUR | {"concurrency_limit": 3})
        for n in range(30):
            await executor.append(Work(label=n, code=work))
        await asyncio.gather(executor.forward(), executor.forward())
        assert len(executor.completed_events) == 30
        assert most == 3

    run(main)


def test_forward_starts_what_waits_also_when_others_go_first() -> None:
    async def main() -> None:
        executor = Works(HOUR | {"concurrency_limit": 1})

        async def bring_one_more() -> None:
            await executor.append(Work(label="more"), -1)

        for n in range(10):
            await executor.append(Work(label=n, code=bring_one_more))
        await executor.forward()
        assert all(event.label == "more" for event in executor.pending_events)
        assert len(executor.completed_events) >= 10

    run(main)


def test_a_forward_that_is_given_up_loses_nothing() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        executor = Works(HOUR | {"concurrency_limit": 1})
        for n in range(3):
            await executor.append(Work(label=n, code=gate.wait))
        forward = asyncio.create_task(executor.forward())
        await until(lambda: executor.processing_events)
        forward.cancel()
        await asyncio.wait([forward])
        gate.set()
        await executor.forward()
        await until(lambda: len(executor.completed_events) == 3)
        agree(executor)

    run(main)


# --- places and the budget ---


@pytest.mark.parametrize("limit", [1, 7])
def test_processing_means_running(limit: int) -> None:
    async def main() -> None:
        running: set[Any] = set()
        executor = Works({"concurrency_limit": limit})

        def check() -> None:
            assert {event.label for event in executor.processing_events} >= running
            assert len(executor.processing_events) <= limit

        def work(n: int) -> Any:
            async def code() -> None:
                running.add(n)
                check()
                await asyncio.sleep(0)
                check()
                running.discard(n)

            return code

        await executor.start()
        for n in range(50):
            await executor.append(Work(label=n, code=work(n)))
        await joined(executor)
        assert len(executor.completed_events) == 50
        await executor.shutdown()

    run(main)


def test_so_many_starts_in_an_interval() -> None:
    async def main() -> None:
        executor = Works({"queue_capacity": 10, "capacity_refresh_time": 0.2})
        for n in range(35):
            await executor.append(Work(label=n))
        await executor.start()
        await joined(executor)
        moves = executor.history()
        starts = [move.at for move in moves if move.to is EventStatus.PROCESSING]
        before = max(move.at for move in moves if move.to is EventStatus.PENDING)  # the first interval began later
        assert len(starts) == 35
        assert all(at - before >= 0.2 * (n // 10) - 0.001 for n, at in enumerate(starts))
        await executor.shutdown()

    run(main)


def test_a_slow_event_holds_up_no_interval() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        executor = Works({"queue_capacity": 2, "capacity_refresh_time": 0.01, "concurrency_limit": 2})
        await executor.append(slow := Work(code=gate.wait))
        for n in range(10):
            await executor.append(Work(label=n))
        await executor.start()
        await until(lambda: len(executor.completed_events) == 10)
        assert slow.status is EventStatus.PROCESSING
        gate.set()
        await joined(executor)
        await executor.shutdown()

    run(main)


def test_waiting_for_the_budget_costs_nothing() -> None:
    async def main() -> None:
        executor = Works(HOUR)
        for n in range(3):
            await executor.append(Work(label=n))
        await executor.start()
        await until(lambda: executor.completed_events)
        loop, turns = asyncio.get_running_loop(), 0
        real = loop._run_once  # type: ignore[attr-defined]  # a turn of asyncio's loop

        def counted() -> None:
            nonlocal turns
            turns += 1
            real()

        loop._run_once = counted  # type: ignore[attr-defined]  # as above
        await asyncio.sleep(0.1)
        assert turns < 10
        await executor.shutdown()

    run(main)
