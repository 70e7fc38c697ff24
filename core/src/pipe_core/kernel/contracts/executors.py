"""Executors: what core hands to a backend, and what a backend is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pipe_core.kernel.errors import UnsupportedCapabilityError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Call(Protocol):
    """One call on its way to a slot, made by core and given to a backend by ``take``."""

    @property
    def id(self) -> int:
        """The call's number, unique in its executor."""

    @property
    def is_async(self) -> bool:
        """Whether its function is a coroutine function, so that `arun` needs no thread."""

    @property
    def resources(self) -> Mapping[str, float] | None:
        """What the call needs of its worker, by name, and has to itself while it runs.

        None for nothing, and always where the backend does not claim the capability ``resources``.
        """

    def run(self) -> Outcome:
        """Run the call here and now. Never raises: whatever happens is in the outcome."""

    @property
    def context(self) -> Context:
        """The context variables as they were when the call was submitted. `run` applies them itself."""

    async def arun(self) -> Outcome:
        """Run the call on the running event loop, in a task that was created with `context`.

        Raises only when that task is cancelled.
        """

    def frame(self) -> bytes:
        """The call as bytes, for `pipe_core.runtime.wire.run_frame` in another process."""


@dataclass(slots=True)
class Outcome:
    """How a call ended: with a value, or with an error.

    `unstarted` says that it never began, because its slot died under another call: it goes to another slot.
    """

    value: Any = None
    error: BaseException | None = None
    unstarted: bool = False


Take: TypeAlias = Callable[..., "Call | None"]
"""``take(slot, wait=False)``: the next call for *slot*, or None when there is none now.

A backend may ask again while the slot is busy. It gets calls to hold ready behind the running one as far as the
executor's `prefetch` allows, but never one for which another slot is free. With ``wait=True``, for a slot with nothing
in hand, it sleeps until there is a call, and None means that the executor stops.
"""
Done: TypeAlias = Callable[["Call", "Outcome | bytes"], None]
"""``done(call, outcome)``: the call has ended. Bytes are the answer of `run_frame`."""


class Backend(Protocol):
    """How calls run on one system: what a plugin writes to make an executor.

    A class that inherits this one writes `start`, `wake` and `stop`, and of the others what its capabilities claim.

    It may have seven more attributes. ``slots`` is how many calls run at once where nobody asks for a number.
    ``inline = True`` says that `wake` runs the calls itself, also those that a running call submits.
    ``everywhere(frame) -> list[bytes]`` runs a frame once in every worker process that lives: for systems where a
    worker is not the same as a slot. Without it core hands such a call to each slot.
    ``broadcast(frame)`` runs a frame in every worker process at once, beside the call that it runs, and waits for
    nothing.
    ``costs() -> list[Cost]`` is what each worker process costs now, also while it runs a call: for systems that have
    workers elsewhere. It waits some seconds at most. See `pipe_core.runtime.costs`.
    ``resources() -> list[dict[str, float]]`` is what each worker has for calls that need something, or each machine
    where its workers share that. Only with the capability ``resources``.
    ``loop`` is a running event loop of the user's, on which the async hooks of pipes run too.
    """

    def start(self, slots: int, take: Take, done: Done) -> None:
        """Get ready to run *slots* calls at once. Called once, before anything else."""

    def wake(self) -> None:
        """There may be something to take, and nobody sleeps in ``take`` who would take it.

        Called from the submitting thread; must not wait for a call that runs elsewhere.
        """

    def stop(self, kill: bool = False) -> None:
        """Give back everything that was started. ``take`` gives None from now on.

        May be called again, by several threads at once, and by a thread of the backend's own, which it does not wait
        for then. With *kill* calls may still run: end them by force where that is possible, and do not wait where it is
        not.
        """

    def kill(self, slot: int) -> None:
        """End the call that runs in *slot* by force. Only with the capability ``hard_timeout``.

        It may come before the call that ``take`` has given has begun, and comes again as long as that does not end.
        """
        raise _refusal(self, "hard_timeout", "cannot end a call by force")

    def abandon(self, slot: int) -> None:
        """The call that runs in *slot* was given up: whatever becomes of it, let the slot take calls again.

        Only with isolation ``thread``.
        """
        raise _refusal(self, "abandon", "cannot give up a call that runs")

    def coroutine_loop(self) -> AbstractEventLoop:
        """The loop that runs coroutine functions, started by the first use. Only with the capability ``native_async``.

        What else belongs on the loop of a run is run there too: all coroutines of a graph share one.
        """
        raise _refusal(self, "native_async", "has no event loop of its own")

    def put(self, digest: str, data: bytes) -> Callable[[str], bytes]:
        """Keep *data* where workers can pull it. Only with isolation ``process`` or ``remote``.

        The result, which travels, pulls the data on a worker by its digest. It outlives every worker.
        """
        raise _refusal(self, "put", "keeps no bytes for workers")


def _refusal(backend: Backend, capability: str, why: str) -> UnsupportedCapabilityError:
    name = getattr(backend, "name", type(backend).__name__)
    return UnsupportedCapabilityError(f"{name} {why}.", capability=capability, executor=name)
