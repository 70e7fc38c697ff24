"""What may be done to an event executor at any moment, for tests of laws."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from pipe_core import Event, EventExecutor, EventStatus


async def take(
    step: str,
    executor: EventExecutor,
    events: Sequence[Event],
    tasks: list[asyncio.Task[Any]],
    chance: random.Random,
) -> None:
    """Do one *step*.

    Args:
        step: ``turn``, ``wait``, ``forward``, ``start``, ``stop``, ``invoke``, ``cancel`` or ``clean``.
        executor: To whom it is done.
        events: One of them is invoked; without any, none is.
        tasks: What goes on beside is added; one of them is cancelled, if there are any.
        chance: Chooses.
    """
    match step:
        case "turn":
            await asyncio.sleep(0)
        case "wait":
            await asyncio.sleep(0.002)
        case "forward":
            tasks.append(asyncio.create_task(executor.forward()))
        case "start":
            await executor.start()
        case "stop":
            await executor.stop()
        case "invoke" if events:
            tasks.append(asyncio.create_task(chance.choice(events).invoke()))
        case "cancel" if tasks:
            chance.choice(tasks).cancel()
        case "clean":
            await executor.cleanup_events(chance.sample(list(EventStatus), chance.randint(0, 7)))
