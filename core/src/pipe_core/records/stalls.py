"""Stalls: hooks that hang in a thread, where nobody can end them.

A worker that runs a hook over its entries moves an iterator. Where the same hook stands at the same entry for longer
than `hook_timeout`, its thread is given up: the entry fails, the others of its chunk run again elsewhere.
"""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterator
from typing import Any, Final

from pipe_core.kernel.contracts import Readable
from pipe_core.kernel.errors import PipeError
from pipe_core.records.program import Program
from pipe_core.records.result import Phase
from pipe_core.records.suspects import Death
from pipe_core.records.worker import Worker
from pipe_core.runtime.executor import Executor

_LOOKS: Final = 8
"""How often in the time that a hook may take somebody looks."""


class Stall(PipeError):
    """A call was given up because a hook hangs in it. `death` says what is known."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.message)
        self.death = death


class Stalls:
    """Looks for them. Only in threads: elsewhere hooks are ended by force, or noticed when they return.

    Args:
        program: The run's program, which knows its workers.
        executor: Where they run.
    """

    def __init__(self, program: Program, executor: Executor) -> None:
        self._program = program
        wanted = executor.capabilities.isolation == "thread" and bool(program.hooks)
        self._limit = program.hook_timeout if wanted else math.inf
        self._seen: dict[int, tuple[Any, float]] = {}

    @property
    def due(self) -> float | None:
        """Seconds until somebody should look again; None for never."""
        return None if self._limit == math.inf else min(self._limit / _LOOKS, 1.0)

    def found(self) -> Iterator[tuple[Readable, Stall]]:
        """What is read by the workers that hang, and why each is to be given up."""
        now = time.monotonic()
        for thread, worker in list(self._program.workers.items()):
            if not isinstance(worker, Worker):
                continue
            where, death = self._where(worker)
            before, since = self._seen.get(thread, (None, now))
            if where is None or before != where:
                self._seen[thread] = (where, now)
            elif now - since > self._limit and death is not None and (readable := worker.readable) is not None:
                del self._seen[thread], self._program.workers[thread]  # nobody can tear down what hangs
                yield readable, Stall(death)

    def _where(self, worker: Worker) -> tuple[Any, Death | None]:
        """Where the worker stands, to be compared, and what it would mean if it stood there for too long."""
        doing = worker.runner.doing if worker.runner is not None else None
        if doing is None:
            return None, None
        hook, entries, left = doing
        place = 0 if left is None else len(entries) - operator.length_hint(left) - 1
        message = f"{hook.name}: took more than hook_timeout = {self._limit:g} s; its thread was left behind"
        phase: Phase = "pre" if hook.name in [one.name for one in self._program.pre] else "post"
        certain = left is not None or len(entries) == 1
        death = Death("HookTimeout", message, entries[place]._index, hook.name, phase, certain)
        return (id(entries), hook.name, place), death
