"""All worker processes of an executor at once: what is shared with them, and what each of them calls."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from pipe_core.kernel.contracts import Backend, Outcome
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime import wire
from pipe_core.runtime.share import Shared, share
from pipe_core.runtime.task import Task

if TYPE_CHECKING:
    from pipe_core.runtime.costs import Cost

T = TypeVar("T")


class AllWorkers:
    """See the methods of `Executor` with the same names.

    Args:
        backend: Whose workers.
        capabilities: What it can do.
        submit_to_each: Lets every slot call ``fn(*args)``, for backends where a worker is a slot.
    """

    def __init__(
        self,
        backend: Backend,
        capabilities: Capabilities,
        submit_to_each: Callable[[Callable[..., Any], tuple[Any, ...]], list[Future[Any]]],
    ) -> None:
        self._backend = backend
        self._in_process = capabilities.in_process
        self._submit_to_each = submit_to_each

    def share(self, value: T) -> Shared[T]:
        """A handle on *value*, whose bytes travel once to each worker."""
        return share(value, None if self._in_process else self._backend.put)

    def everywhere(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> list[Outcome]:
        """How ``fn(*args)`` ended, once in every worker process that lives."""
        if self._in_process:
            return [Task(0, fn, args, {}).run()]
        everywhere = getattr(self._backend, "everywhere", None)
        if everywhere is not None:
            return [wire.open_answer(answer) for answer in everywhere(_frame(fn, args))]
        futures = self._submit_to_each(fn, args)
        concurrent.futures.wait(futures)
        return [Outcome(None if future.exception() else future.result(), future.exception()) for future in futures]

    def broadcast(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Let every worker process call ``fn(*args)`` at once, and wait for none. False where that cannot be."""
        broadcast = getattr(self._backend, "broadcast", None)
        if broadcast is None:
            return False
        broadcast(_frame(fn, args))
        return True

    def costs(self) -> list[Cost]:
        """What each worker process costs, where the backend says so."""
        costs = getattr(self._backend, "costs", None)
        return [] if costs is None else list(costs())

    def resources(self) -> list[dict[str, float]]:
        """What each worker, or each machine, has for calls that need something, where the backend knows it."""
        resources = getattr(self._backend, "resources", None)
        return [] if resources is None else list(resources())


def _frame(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    return Task(0, fn, args, {}).frame()
