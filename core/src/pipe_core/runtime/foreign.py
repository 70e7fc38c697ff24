"""Foreign executors: any `concurrent.futures.Executor` as a backend.

The adapter hands over at most ``slots + prefetch`` calls, so that a later, more urgent one still finds its place. To
a thread pool it gives the call itself. To anything else it gives bytes and a function that every worker can import.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from pipe_core.kernel.contracts import Call, Done, Outcome, Take
from pipe_core.kernel.errors import UnsupportedCapabilityError
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime import wire
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.spool import Spool

_SLOTS_IF_UNKNOWN: Final = 2


class ForeignBackend:
    """Feeds an executor that only takes submissions. It is not ours, so it is never shut down.

    Args:
        pool: The executor.
        in_process: Whether its calls see this process's objects.
        prefetch: How many calls may wait inside of it, beside those that run.
    """

    def __init__(self, pool: concurrent.futures.Executor, *, in_process: bool, prefetch: int = 0) -> None:
        self.slots = int(getattr(pool, "_max_workers", _SLOTS_IF_UNKNOWN))
        self._pool = pool
        self._in_process = in_process
        self._limit = self.slots + prefetch
        self._lock = threading.Lock()
        self._handed = 0
        self._missed = False
        self._here = threading.local()
        self._spool = Spool()
        self._take: Take
        self._done: Done

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Remember where calls come from and where their ends are told."""
        self._take, self._done = take, done

    def wake(self) -> None:
        """Hand over what there is, up to the limit."""
        if getattr(self._here, "waking", False):
            return  # further up this stack: a call ended while it was handed over, and the loop below goes on
        self._here.waking = True
        try:
            while self._reserve():
                call = self._take(0)
                if call is not None:
                    self._hand_over(call)
                elif not self._give_back():
                    return
        finally:
            self._here.waking = False

    def _hand_over(self, call: Call) -> None:
        try:
            future: Future[Any] = self._pool.submit(*self._job(call))
        except BaseException as error:  # told to the one who waits for the call
            self._ended(call, Outcome(error=error))
        else:
            future.add_done_callback(partial(self._on_done, call))

    def _job(self, call: Call) -> tuple[Callable[..., Any], ...] | tuple[Callable[..., Any], bytes]:
        return (call.run,) if self._in_process else (wire.run_frame, call.frame())

    def _on_done(self, call: Call, future: Future[Any]) -> None:
        if future.cancelled():
            # By the pool's owner, who holds the pool's lock right now: what follows must not ask the pool for anything.
            cancelled = Outcome(error=concurrent.futures.CancelledError())
            threading.Thread(target=self._ended, args=(call, cancelled), name="pipe-cancelled", daemon=True).start()
        elif (error := future.exception()) is not None:
            self._ended(call, Outcome(error=error))
        else:
            self._ended(call, future.result())

    def _ended(self, call: Call, outcome: Outcome | bytes) -> None:
        self._release()
        self._done(call, outcome)
        self.wake()

    def _reserve(self) -> bool:
        with self._lock:
            self._missed = self._handed >= self._limit
            self._handed += not self._missed
            return not self._missed

    def _give_back(self) -> bool:
        """Release a place that was not needed. True when somebody found none meanwhile: there may be a call by now."""
        with self._lock:
            self._handed -= 1
            missed, self._missed = self._missed, False
            return missed

    def _release(self) -> None:
        with self._lock:
            self._handed -= 1

    def stop(self, kill: bool = False) -> None:
        """Forget what was shared. The executor itself belongs to somebody else."""
        self._spool.close()

    def kill(self, slot: int) -> None:
        """Not offered: the pool does not say who runs what."""
        raise UnsupportedCapabilityError(
            "A foreign executor cannot kill a call: it does not say who runs it.",
            capability="hard_timeout",
            executor=type(self._pool).__name__,
        )

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Keep *data* in a private folder of this machine."""
        return self._spool.put(digest, data)


def adopt(pool: concurrent.futures.Executor) -> Executor:
    """An executor of ours over somebody else's, which stays theirs to shut down."""
    threads = isinstance(pool, ThreadPoolExecutor)
    capabilities = Capabilities(isolation="thread" if threads else "process")
    backend = ForeignBackend(pool, in_process=threads)
    return Executor(backend, capabilities=capabilities, name=type(pool).__name__)
