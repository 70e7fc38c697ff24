"""Coroutines on one event loop, other calls in threads beside it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pipe_asyncio.job import Job
from pipe_asyncio.own_loop import OwnLoop
from pipe_asyncio.threads import Threads
from pipe_core import Backend, Done, Outcome, Take

_SLOTS: Final = 10


class AsyncIOBackend(Backend):
    """Takes a call whenever a slot is free, and begins it where its kind belongs.

    Args:
        concurrency: Coroutines at once; default: as many as there are slots.
        max_workers: Threads; default: as many as there are slots.
        loop: A running loop of somebody else's to use; an attribute, for the pipes that run here.
    """

    name = "asyncio"
    slots = _SLOTS

    def __init__(
        self,
        concurrency: int | None = None,
        max_workers: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._asked = concurrency, max_workers
        self.loop = loop
        self._own: OwnLoop | None = None
        self._lock = threading.Lock()

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Remember where calls come from. Threads and the loop start when there is something for them."""
        self._take, self._done = take, done
        self._concurrency, threads = (asked or slots for asked in self._asked)
        self._threads = Threads(threads, self._end, self.wake)
        self._free = list(range(slots))[::-1]
        self._wakes = 0
        self._jobs: dict[int, Job] = {}
        self._going = 0  # coroutines; this and the next are touched on the loop only
        self._queue: deque[Job] = deque()

    def coroutine_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that was given, or the executor's own one, which the first use starts."""
        if self.loop is not None:
            return self.loop
        with self._lock:
            if self._own is None:
                self._own = OwnLoop()
            return self._own.loop

    # --- taking calls ---

    def wake(self) -> None:
        """Take calls as long as there are slots for them."""
        while True:
            with self._lock:
                self._wakes += 1
                seen = self._wakes
                if not self._free:
                    return
                slot = self._free.pop()
            call = self._take(slot)
            if call is not None:
                self._begin(Job(slot, call, call.is_async))
                continue
            with self._lock:
                self._free.append(slot)
                if self._wakes == seen:
                    return  # otherwise somebody has looked for a slot while this one was away

    def _begin(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.slot] = job
        try:
            if job.is_async:
                self._tell_loop(self._begin_coroutine, job)
            else:
                self._threads.run(job)
        except RuntimeError as error:  # no loop, no threads: told to the one who waits for the call
            self._end(job, Outcome(error=error))

    def _end(self, job: Job, outcome: Outcome) -> None:
        with self._lock:
            if job.given_up:
                return
            del self._jobs[job.slot]
        self._done(job.call, outcome)
        with self._lock:
            self._free.append(job.slot)

    # --- on the loop ---

    def _tell_loop(self, function: Callable[[Job], None], job: Job) -> None:
        loop = self.coroutine_loop()
        if loop.is_closed():
            raise RuntimeError("The event loop of 'asyncio' is closed. Did the asyncio.run() end that it came from?")
        loop.call_soon_threadsafe(function, job)

    def _begin_coroutine(self, job: Job) -> None:
        if self._going >= self._concurrency:
            self._queue.append(job)
        elif not job.given_up:
            self._going += 1
            job.counts = True
            job.task = self.coroutine_loop().create_task(job.call.arun(), context=job.call.context)
            job.task.add_done_callback(partial(self._coroutine_ended, job))

    def _coroutine_ended(self, job: Job, task: asyncio.Task[Any]) -> None:
        self._leave(job)
        if task.cancelled():
            self._end(job, Outcome(error=concurrent.futures.CancelledError("Its event loop cancelled the call.")))
        else:
            self._end(job, task.result())
        self.wake()

    def _cancel(self, job: Job) -> None:
        if job.task is not None:
            job.task.cancel()
            self._leave(job)  # whether it heeds that or not

    def _leave(self, job: Job) -> None:
        """The job is none of those at once any more: the next ones can begin."""
        if job.counts:
            job.counts = False
            self._going -= 1
            while self._queue and self._going < self._concurrency:
                self._begin_coroutine(self._queue.popleft())

    # --- ends ---

    def abandon(self, slot: int) -> None:
        """Cancel the coroutine of *slot*, or leave its thread behind, and let the slot take calls again."""
        with self._lock:
            job = self._jobs.pop(slot, None)
            if job is None:
                return  # it is just ending, and gives the slot back by itself
            job.given_up = True
            self._free.append(slot)
        if job.is_async:
            self._end_coroutine(job)
        else:
            self._threads.leave(job)

    def stop(self, kill: bool = False) -> None:
        """End the threads and the executor's own loop. With *kill* cancel the coroutines, and wait for nothing."""
        if kill:
            with self._lock:
                jobs = [job for job in self._jobs.values() if job.is_async]
            for job in jobs:
                self._end_coroutine(job)
        self._threads.stop(wait=not kill)
        if self._own is not None:
            self._own.stop(wait=not kill)

    def _end_coroutine(self, job: Job) -> None:
        with contextlib.suppress(RuntimeError):  # with its loop the coroutine has ended
            self._tell_loop(self._cancel, job)
