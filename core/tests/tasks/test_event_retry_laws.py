"""Whatever fails, is tried again, refused, given up and requeued in whatever order: nothing is lost or run twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID

from event_kinds import Work, agree, asking, joined, run
from hypothesis import given, settings
from hypothesis import strategies as st
from random_steps import take

from pipe_core import CircuitBreaker, EventStatus, IllegalTransitionError, Retention, Retry
from pipe_core.runtime.history import replay

STEPS = ["append"] * 4 + ["turn"] * 3 + ["wait", "forward", "stop", "start", "invoke", "cancel", "clean", "requeue"]


class Failing:
    """Fails so many times, fast, slowly or by being too slow."""

    def __init__(self, failures: int, chance: random.Random) -> None:
        self.failures, self.chance, self.runs, self.running = failures, chance, 0, 0

    async def __call__(self) -> str:
        self.runs += 1
        self.running += 1
        assert self.running == 1, "one run at a time"
        try:
            await asyncio.sleep(self.chance.choice([0, 0, 0.001]))
            if self.runs <= self.failures:
                await asyncio.sleep(self.chance.choice([0, 100]))
                raise ConnectionError
            return "answer"
        finally:
            self.running -= 1

    def __deepcopy__(self, memo: Any) -> Failing:
        return Failing(0, self.chance)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(STEPS), max_size=50),
    st.integers(),
    st.sampled_from([None, Retention(count=3), Retention(count=0)]),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_lost_and_nothing_is_run_twice(
    steps: list[str], seed: int, retention: Any, limit: int, waits: bool, asks: bool
) -> None:
    chance = random.Random(seed)
    breaker = CircuitBreaker("api", failures=2, reset_after=0.003, waits=waits)

    def ask(label: Any) -> Any:
        return not asks or chance.choice([True, True, False, 0.001])

    async def main() -> None:
        executor = asking(ask)(
            {"concurrency_limit": limit, "queue_capacity": 50, "capacity_refresh_time": 0.01}, retention=retention
        )
        events: list[Work] = []
        tasks: list[asyncio.Task[Any]] = []
        for step in steps:
            if step == "append":
                event = Work(code=Failing(chance.randint(0, 4), chance), timeout=0.005)
                events.append(event)
                retries = chance.choice([None, 1, Retry(2, delay=0.0), Retry(4, delay=0.002)])
                await executor.append(event, retries=retries, breaker=chance.choice([None, None, breaker]))
            elif step == "requeue" and events:
                try:
                    fresh = await executor.requeue(chance.choice(executor.dead_letters or events))
                except IllegalTransitionError:
                    continue
                assert isinstance(fresh, Work)
                events.append(fresh)
            else:
                await take(step, executor, events, tasks, chance)
            agree(executor)
        await executor.start()
        await joined(executor)
        await asyncio.gather(*tasks, return_exceptions=True)
        agree(executor)
        await executor.shutdown()

        assert all(event.status.final for event in events)
        ledger, tracked = replay(executor.history())
        assert {id: task.status for id, task in tracked.items()} == {event.id: event.status for event in events}
        starts, again = Counter[UUID](), Counter[UUID]()
        for move in executor.history():
            starts[move.id] += move.to is EventStatus.PROCESSING
            again[move.id] += move.before is EventStatus.FAILED
        for event in events:
            assert event.execution.attempt == again[event.id] + 1 == tracked[event.id].attempt
            assert event.code.runs == starts[event.id] >= again[event.id]
        assert sum(ledger.count(status) for status in EventStatus) == len(events)

    run(main)
