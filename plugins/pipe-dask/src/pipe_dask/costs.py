"""What the workers of a cluster cost, asked while they run calls."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from pipe_core.runtime.costs import Cost, cost_of

_PATIENCE: Final = 5.0
"""Seconds that a worker has to say it. A call that holds the interpreter holds up its event loop too."""


async def costs_of_workers(client: Any) -> list[Cost]:
    """Of each worker that says so in time."""
    workers = await client.scheduler.ncores()
    asked = (asyncio.wait_for(client.run(cost_of, workers=[one], on_error="ignore"), _PATIENCE) for one in workers)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    said = [cost for answer in answers if isinstance(answer, dict) for cost in answer.values()]
    return [cost for cost in said if isinstance(cost, Cost)]
