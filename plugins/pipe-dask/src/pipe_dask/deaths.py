"""Who is to blame for the death of a worker. Dask blames every task that the worker had, begun or not."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from typing import Final

from distributed.scheduler import KilledWorker

from pipe_core import Call, Outcome, WorkerKilled
from pipe_dask.cluster import OwnCluster

_TOGETHER: Final = 0.1
"""Seconds within which the scheduler tells of all the calls that it blames for one death."""
_UNSTARTED: Final = 10
"""How often a call may die before it has begun. One that does so more often is what kills: by its size, for example."""


class Deaths(ABC):
    """Judges calls that Dask has blamed."""

    @abstractmethod
    async def judge(self, call: Call, killed: KilledWorker) -> Outcome | None:
        """How *call* ended, or None when it must run again, alone among those that were blamed with it."""


class OwnDeaths(Deaths):
    """On a cluster of our own every worker has noted down which call it began. The others go to another worker.

    Args:
        cluster: The cluster.
    """

    def __init__(self, cluster: OwnCluster) -> None:
        self._cluster = cluster
        self._unstarted: Counter[int] = Counter()

    async def judge(self, call: Call, killed: KilledWorker) -> Outcome:
        """Read what the dead worker had begun."""
        worker = killed.last_worker
        running = self._cluster.running()
        if call.id in running:
            at, hook = running[call.id]
            text = f"The worker process {worker.address} of 'dask' ended while it ran the call."
            return Outcome(error=WorkerKilled(text, at=at, hook=hook))
        self._unstarted[call.id] += 1
        if self._unstarted[call.id] < _UNSTARTED:
            return Outcome(unstarted=True)
        text = (
            f"{_UNSTARTED} worker processes of 'dask' ended before they began the call, the last one was "
            f"{worker.address}. Is what it is given larger than the memory of a worker?"
        )
        return Outcome(error=WorkerKilled(text))


class OthersDeaths(Deaths):
    """Elsewhere nobody knows which of the calls that died together had begun. They run again, one after the other.

    A call that was blamed alone, or with no more than the worker had threads, or for the second time, is to blame.
    """

    def __init__(self) -> None:
        self._together: dict[str, set[int]] = {}
        self._seen: set[int] = set()

    async def judge(self, call: Call, killed: KilledWorker) -> Outcome | None:
        """Wait for the others that are blamed for the same death."""
        worker = killed.last_worker
        together = self._together.setdefault(worker.address, set())
        together.add(call.id)
        await asyncio.sleep(_TOGETHER)
        self._together.pop(worker.address, None)
        if len(together) > worker.nthreads and call.id not in self._seen:
            self._seen.add(call.id)
            return None
        text = (
            f"{killed.allowed_failures + 1} workers of 'dask' ended while they had the call, the last one was "
            f"{worker.address}. Its log may say why."
        )
        return Outcome(error=WorkerKilled(text))
