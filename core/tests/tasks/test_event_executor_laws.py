"""Whatever is done in whatever order: the ledger, the events and the log say the same, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from event_kinds import Work, agree, asking, run
from hypothesis import given, settings
from hypothesis import strategies as st
from random_steps import take

from pipe_core import EventStatus, QueueFullError, Rejection, Retention
from pipe_core.runtime.history import replay

ENDS = ["ok", "slow", "fail", "exit", "late"]
ANSWERS: list[Any] = [True, True, True, False, 0.001, "reject", "raise", "later"]
STEPS = ["append", "append", "append", "turn", "turn", "forward", "stop", "start", "invoke", "cancel", "clean", "wait"]


def code(end: str, runs: Counter[int], number: int) -> Any:
    async def work() -> str:
        runs[number] += 1
        if end == "fail":
            raise KeyError(end)
        if end == "exit":
            raise SystemExit
        if end == "late":
            await asyncio.sleep(100)
        if end == "slow":
            await asyncio.sleep(0.001)
        return end

    return work


def hook(chance: random.Random) -> Any:
    async def later(label: Any) -> bool:
        await asyncio.sleep(0)
        return chance.random() < 0.8

    def ask(label: Any) -> Any:
        answer = chance.choice(ANSWERS)
        if answer == "reject":
            return Rejection("no")
        if answer == "raise":
            raise ValueError("no answer")
        return later(label) if answer == "later" else answer

    return ask


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(STEPS), max_size=60),
    st.integers(),
    st.sampled_from(["wait", "raise", "drop_oldest"]),
    st.sampled_from([None, Retention(count=3), Retention(count=0)]),
    st.integers(1, 5),
)
def test_the_ledger_never_lies(steps: list[str], seed: int, on_full: Any, retention: Any, limit: int) -> None:
    chance, runs = random.Random(seed), Counter[int]()

    async def main() -> None:
        executor = asking(hook(chance))(
            {"concurrency_limit": limit, "max_queue_size": 8, "queue_capacity": 5, "capacity_refresh_time": 0.01},
            on_full=on_full,
            retention=retention,
        )
        events: list[Work] = []
        tasks: list[asyncio.Task[Any]] = []
        for step in steps:
            if step == "append":
                end = chance.choice(ENDS)
                event = Work(
                    label=len(events), code=code(end, runs, len(events)), timeout=0.01 if end == "late" else None
                )
                events.append(event)
                append = executor.append(event, chance.choice([None, 1, 2.5]))
                if on_full == "wait":
                    tasks.append(asyncio.create_task(append))
                else:
                    try:
                        await append
                    except QueueFullError:
                        assert on_full == "raise"
                        events.pop()
            else:
                await take(step, executor, events, tasks, chance)
            agree(executor)
        await executor.start()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert executor.processor is not None
        await executor.processor.join()
        agree(executor)
        assert all(count == 1 for count in runs.values())
        known = {event for event in events if event.status.final}
        assert set(executor.states.items.values()) <= known
        # An append that was cancelled leaves its event to nobody.
        assert all(executor.history(event) == [] for event in set(events) - known)
        ledger, tracked = replay(executor.history())
        assert all(tracked[event.id].status is event.status for event in known if event.id in tracked)
        assert len(tracked) == sum(ledger.count(status) for status in EventStatus)
        assert not executor.processor.denials
        await executor.shutdown()

    run(main)
