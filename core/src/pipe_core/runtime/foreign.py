"""Foreign executors: any `concurrent.futures.Executor` as a backend.

To a thread pool it gives the call itself. To anything else it gives bytes and a function that every worker can import.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.contracts import Call, Outcome
from pipe_core.kernel.errors import CodecError
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime import wire
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.spool import Spool
from pipe_core.runtime.submitting import SubmittingBackend

if TYPE_CHECKING:
    from pipe_core.runtime.costs import Cost

_SLOTS_IF_UNKNOWN: Final = 2


class ForeignBackend(SubmittingBackend):
    """Feeds an executor that only takes submissions. It is not ours, so it is never shut down.

    Args:
        pool: The executor.
        in_process: Whether its calls see this process's objects.
    """

    def __init__(self, pool: concurrent.futures.Executor, *, in_process: bool) -> None:
        self.name = type(pool).__name__
        self.slots = int(getattr(pool, "_max_workers", _SLOTS_IF_UNKNOWN))
        self._pool = pool
        self._in_process = in_process
        self._spool = Spool()

    def submit(self, slot: int, call: Call) -> None:
        """Give the call itself, or its bytes, to the pool."""
        future: Future[Any] = self._pool.submit(*self._job(call))
        future.add_done_callback(partial(self._on_done, slot, call))

    def _job(self, call: Call) -> tuple[Callable[..., Any], ...] | tuple[Callable[..., Any], bytes]:
        return (call.run,) if self._in_process else (wire.run_frame, call.frame())

    def _on_done(self, slot: int, call: Call, future: Future[Any]) -> None:
        if future.cancelled():
            # By the pool's owner, who holds the pool's lock right now: what follows must not ask the pool for anything.
            cancelled = Outcome(error=concurrent.futures.CancelledError())
            args = (slot, call, cancelled)
            threading.Thread(target=self.ended, args=args, name="pipe-cancelled", daemon=True).start()
        elif (error := future.exception()) is not None:
            self.ended(slot, call, Outcome(error=error))
        else:
            self.ended(slot, call, future.result())

    def stop(self, kill: bool = False) -> None:
        """Forget what was shared. The executor itself belongs to somebody else."""
        self._spool.close()

    def costs(self) -> list[Cost]:
        """What the workers of a cluster cost, where *pool* is an executor of ours."""
        return self._pool.costs() if isinstance(self._pool, Executor) else []

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Keep *data* where an executor of ours keeps it, and else in a private folder of this machine.

        Nobody else's executor says how bytes come to workers of other machines: there whoever asks is told so.
        """
        if isinstance(self._pool, Executor):
            return self._pool._backend.put(digest, data)
        import platform  # only who shares needs it

        return partial(_pull, self._spool.put(digest, data), self.name, platform.node())


def _pull(pull: Callable[[str], bytes], name: str, home: str, digest: str) -> bytes:
    """The bytes under *digest*, on a worker.

    Raises:
        CodecError: They are not there.
    """
    try:
        return pull(digest)
    except FileNotFoundError as error:
        import platform

        here = platform.node()
        why = (
            f"it is in a folder of {home}, and this worker runs on {here}"
            if here != home
            else "its folder is not there: the executor over it was shut down, or this worker has files of its own"
        )
        raise CodecError(
            f"A shared value is out of reach of a worker of {name}: {why}. With an executor of somebody else share() "
            f"reaches workers on the same machine only. Give it as an argument, or name the system, such as 'dask'."
        ) from error


def adopt(pool: concurrent.futures.Executor) -> Executor:
    """An executor of ours over somebody else's, which stays theirs to shut down."""
    backend, parameters = foreign_parts(pool)
    return Executor(backend, **parameters)


def foreign_parts(pool: concurrent.futures.Executor) -> tuple[ForeignBackend, dict[str, Any]]:
    """What an executor over *pool* is made of: a backend, and arguments beside it."""
    if isinstance(pool, Executor):
        own = pool.capabilities
        capabilities = Capabilities(isolation=own.isolation, survives_worker_death=own.survives_worker_death)
        backend = ForeignBackend(pool, in_process=own.in_process)
        return backend, {"capabilities": capabilities, "name": pool.name, "slots": pool.slots, "prefetch": None}
    threads = isinstance(pool, ThreadPoolExecutor)
    capabilities = Capabilities(isolation="thread" if threads else "process")
    backend = ForeignBackend(pool, in_process=threads)
    return backend, {"capabilities": capabilities, "name": type(pool).__name__, "prefetch": None}
