"""The program: what a worker needs once to process any chunk or split of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pipe_core.kernel.contracts import Encoder
from pipe_core.kernel.errors import RunError
from pipe_core.records.hooks import BoundHook
from pipe_core.records.legible import names_only
from pipe_core.records.result import Phase
from pipe_core.records.schema import ErrorSerializer, Schema

if TYPE_CHECKING:
    import asyncio

    from pipe_core.records.transport.carrier import Carrier
    from pipe_core.runtime.run_loop import RunLoop

ErrorPayload = Literal["full", "redacted", "hash"]


def _never() -> bool:
    return False


def _always() -> bool:
    return True


class Ending(Protocol):
    """A worker, as far as its program must know it."""

    def cancel(self) -> None:
        """Cancel what it waits for."""

    def teardown(self) -> list[BaseException]:
        """Give back what the hooks took. What goes wrong is returned."""


@dataclass
class Program:
    """Schema, hooks and encoders of a run, shared once with every worker.

    Attributes:
        run: The run's id.
        encoder: Makes rows for the sink; None when nobody wants them.
        error_encoder: Makes rows for the error sink; None when there is none.
        error_payload: What an error row shows of the record: all of it, its field names, or a hash.
        batch_size: Records read, validated and encoded at a time.
        wants_entries: Keep entries, for a run that streams them.
        workers: The workers of this process, by thread.
        retired: Those whose event loop was left behind.
        stopping: Asked between batches; True ends the work early.
        carrier: Packs what travels to other processes; None in one process.
        hard_timeout: Whether a worker whose hook takes too long ends itself by force.
    """

    run: str
    schema: Schema | None
    pre: tuple[BoundHook, ...] = ()
    post: tuple[BoundHook, ...] = ()
    encoder: Encoder | None = None
    error_encoder: Encoder | None = None
    error_payload: ErrorPayload = "full"
    hook_timeout: float = 300.0
    concurrency: int = 10
    batch_size: int = 100
    wants_entries: bool = False
    loop: RunLoop | None = None
    stopping: Callable[[], bool] = _never
    workers: dict[int, Ending] = field(default_factory=dict)
    retired: list[Ending] = field(default_factory=list)
    carrier: Carrier | None = None
    hard_timeout: bool = False
    _gates: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # What belongs to the driver stays there; a worker elsewhere has its own loop and is stopped by other means.
        kept = {name: value for name, value in self.__dict__.items() if name != "error_row"}
        return {**kept, "loop": None, "stopping": _never, "workers": {}, "retired": [], "_gates": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        import multiprocessing.util  # on a worker only

        multiprocessing.util.Finalize(None, self.close, exitpriority=10)  # a worker process runs no atexit functions

    @property
    def gate(self) -> asyncio.Semaphore:
        """Bounds the calls of async hooks in flight, for all workers on the running loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = asyncio.Semaphore(self.concurrency)
        return gate

    @property
    def hooks(self) -> tuple[BoundHook, ...]:
        """All hooks, in the order in which an entry meets them."""
        return self.pre + self.post

    def stop(self) -> None:
        """Let the workers of this process end what they do soon: nobody wants it any more."""
        self.stopping = _always
        for worker in list(self.workers.values()):
            worker.cancel()

    def close(self) -> list[BaseException]:
        """Tear down every worker of this process, once. What goes wrong is returned."""
        problems: list[BaseException] = []
        if self.loop is not None and self.loop.leave_if_in_the_way():
            problems.append(RunError("a call still blocks it; its thread was left behind"))
            problems[0].add_note("the event loop of the run")
        elif self.loop is not None:
            self.loop.settle()
        workers = [*self.workers.values(), *self.retired]
        self.workers.clear()
        self.retired.clear()
        return problems + [error for worker in workers for error in worker.teardown()]

    @cached_property
    def error_row(self) -> Callable[[dict[str, Any]], Any] | None:
        """Makes a row for the error sink, still without its position; None when there is none."""
        return self.error_encoder.bind(ErrorSerializer()) if self.error_encoder is not None else None

    def failed_row(
        self, phase: Phase, errors: list[dict[str, Any]], raw: Any, data: Any, hook: str | None, attempt: int = 1
    ) -> Any:
        """The row of a rejected record for the error sink, still without its position; None when there is none."""
        if self.error_row is None:
            return None
        raw, data = self.shown(raw), self.shown(data)
        return self.error_row(
            {"phase": phase, "errors": errors, "raw": raw, "data": data, "hook": hook, "attempt": attempt}
        )

    def shown(self, record: Any) -> Any:
        """What an error row may show of *record*."""
        if self.error_payload == "full" or record is None:
            return record
        if self.error_payload == "hash":
            return hashlib.blake2b(ErrorSerializer().json({"": record}), digest_size=16).hexdigest()
        return names_only(record)
