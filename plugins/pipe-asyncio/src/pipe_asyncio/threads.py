"""Threads for the calls that would block an event loop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from pipe_asyncio.job import Job
from pipe_core import Outcome


class Threads:
    """Daemon threads that run jobs in the order in which they came, started when there is something to do.

    Args:
        most: How many there are at most.
        end: Told of each job that ended, and how.
        wake: Called when a thread is free again.
    """

    def __init__(self, most: int, end: Callable[[Job, Outcome], None], wake: Callable[[], None]) -> None:
        self._most = most
        self._end = end
        self._wake = wake
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._open = 0  # jobs that came and have not ended
        self._threads: set[threading.Thread] = set()
        self._names = 0
        self._lock = threading.Lock()

    def run(self, job: Job) -> None:
        """Run *job* as soon as a thread is free.

        Raises:
            RuntimeError: The system has no threads to give, and there is none yet.
        """
        with self._lock:
            self._open += 1
            try:
                self._start_if_needed()
            except RuntimeError:
                if not self._threads:
                    self._open -= 1
                    raise
        self._jobs.put(job)

    def _start_if_needed(self) -> None:
        if not len(self._threads) < min(self._open, self._most):
            return
        name = f"pipe-asyncio-{self._names}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._names += 1
        self._threads.add(thread)

    def _work(self) -> None:
        me = threading.current_thread()
        while (job := self._jobs.get()) is not None:
            with self._lock:
                job.thread = me
                begins = not job.given_up
            if begins:
                self._end(job, job.call.run())
            del job  # an idle thread must not keep a result alive
            with self._lock:
                if begins and me not in self._threads:
                    return  # left behind with a job that was given up
                self._open -= 1
            self._wake()

    def leave(self, job: Job) -> None:
        """Go on without the thread that runs *job*, which was given up."""
        with self._lock:
            if job.thread is None:
                return  # it has not begun, and will not
            self._threads.discard(job.thread)
            self._open -= 1
            self._start_if_needed()

    def stop(self, wait: bool) -> None:
        """Let the threads end, all but those that were left behind. With *wait*, join them all but the calling one."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            if wait and thread is not threading.current_thread():
                thread.join()
