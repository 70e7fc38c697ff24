"""Stalls: hooks that hang in a thread, where nobody can end them.

A worker that runs a hook over its entries moves an iterator. Where the same hook stands at the same entry for longer
than `hook_timeout`, its thread is given up: the entry fails, the others of its chunk run again elsewhere.

Async hooks share the run's event loop. Where one call blocks it for so long, the loop and its thread are given up: the
entry fails, and everything else that ran on the loop runs again on a fresh one.
"""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterator
from typing import Any, Final

from pipe_core.kernel.contracts import Readable
from pipe_core.kernel.errors import PipeError
from pipe_core.records.hooking import CALL, AsyncCall
from pipe_core.records.hooks import BoundHook
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
        self._blocking: tuple[AsyncCall | None, float] = (None, 0.0)
        self._culprits: dict[int, tuple[Readable, Stall]] = {}

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
                del self._seen[thread]
                yield readable, Stall(death)

    def given_up(self, readable: Readable) -> None:
        """The call that reads *readable* was given up: nobody can tear down its worker, which hangs."""
        for thread, worker in list(self._program.workers.items()):
            if isinstance(worker, Worker) and worker.readable is readable:
                del self._program.workers[thread]

    def _where(self, worker: Worker) -> tuple[Any, Death | None]:
        """Where the worker stands, to be compared, and what it would mean if it stood there for too long."""
        doing = worker.runner.doing if worker.runner is not None else None
        if doing is None:
            return None, None
        hook, entries, left = doing
        place = 0 if left is None else len(entries) - operator.length_hint(left) - 1
        message = f"{hook.name}: took more than hook_timeout = {self._limit:g} s; its thread was left behind"
        certain = left is not None or len(entries) == 1
        death = Death("HookTimeout", message, entries[place]._index, hook.name, self._phase(hook), certain)
        return (id(entries), hook.name, place), death

    def _phase(self, hook: BoundHook) -> Phase:
        return "pre" if hook.name in [one.name for one in self._program.pre] else "post"

    # --- async hooks ---

    def blocked(self) -> Stall | None:
        """Go on with a fresh event loop if a hook blocks the run's, and why. What ran there ends with `LoopLeft`."""
        loop, now = self._program.loop, time.monotonic()
        if loop is None or self._limit == math.inf:
            return None
        call = loop.stuck(CALL)
        before, since = self._blocking
        if call is None or call is not before:
            self._blocking = (call, now)
        elif now - since > self._limit and (readable := self._readable(call)) is not None:
            stall = self._stall(call)
            self._culprits[id(readable)] = (readable, stall)
            self._program.loop = loop.successor()  # first, for those who hear that theirs was left want another one
            loop.leave()
            return stall
        return None

    def culprit(self, readable: Readable) -> Stall | None:
        """Why the call that read *readable* was to end with `LoopLeft`; None if it was only in the way."""
        return self._culprits.pop(id(readable), (None, None))[1]

    def _readable(self, call: AsyncCall) -> Readable | None:
        """What is read by the worker whose call it is."""
        for worker in list(self._program.workers.values()):
            if isinstance(worker, Worker) and worker.runner is not None and worker.runner.mark is call[0]:
                return worker.readable
        return None

    def _stall(self, call: AsyncCall) -> Stall:
        _, hook, index, alone = call
        message = (
            f"{hook.name}: blocked its event loop for more than hook_timeout = {self._limit:g} s; the loop's thread "
            f"was left behind. Await what takes time, or hand it to asyncio.to_thread."
        )
        return Stall(Death("HookTimeout", message, index, hook.name, self._phase(hook), alone))
