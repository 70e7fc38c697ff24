"""Dispatch: pieces go to the executor, results come back, whatever lies between.

In one process both are objects. To other processes chunks go as frames of the codec, splits as the plain data that
they are, and results come back as frames; the program is shared once with every worker.
"""

from __future__ import annotations

import math
import time
from collections import deque
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.contracts import Readable
from pipe_core.kernel.errors import CodecError, UnsupportedCapabilityError
from pipe_core.records.feed import Piece
from pipe_core.records.program import Program
from pipe_core.records.result import Result
from pipe_core.records.worker import process
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.share import Shared
from pipe_core.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from pipe_core.records.transport.carrier import Carrier


class Dispatch:
    """Hands pieces of one run to its executor.

    Args:
        executor: Where they are processed.
        program: What a worker needs once.
    """

    def __init__(self, executor: Executor, program: Program) -> None:
        self._executor = executor
        self._program = program
        self._shared = _shared(executor, program)
        self._carrier = program.carrier
        self._types: Shared[tuple[type, ...]] | None = None
        self._types_known = 0

    @property
    def carrier(self) -> Carrier | None:
        """Packs what travels; None in one process."""
        return self._carrier

    def submit(self, piece: Piece, most: int | None = None) -> Future[Any]:
        """Process *piece*, or its first *most* records. The future is for `result`."""
        if self._carrier is None:
            return self._executor.submit(_process_here, self._shared, piece.readable, piece.position, most)
        packed = self._packed(self._carrier, piece.readable)
        return self._executor.submit(_process_there, self._shared, self._types, packed, piece.position, most)

    def result(self, future: Future[Any]) -> Result:
        """The result of a future that has ended. Raises what its call raised."""
        answer = future.result()
        if self._carrier is None:
            found: Result = answer
            return found
        return self._carrier.open_result(answer)

    def _packed(self, carrier: Carrier, readable: Readable) -> Any:
        if hasattr(readable, "extent"):
            return readable  # a split: plain data without records
        frame = carrier.pack_chunk(readable)  # type: ignore[arg-type]  # what is no split is a chunk
        extra = carrier.extra_types
        if len(extra) > self._types_known:
            self._types, self._types_known = self._executor.share(tuple(extra)), len(extra)
        return frame

    def stop(self) -> bool:
        """Tell workers of other processes to end what they do soon. False where they cannot be told."""
        return self._carrier is not None and self._executor.broadcast(_stop_there, self._shared)

    def close(self, *, orderly: bool) -> list[str]:
        """Tear down the hooks of every worker that lives; what went wrong is returned.

        Args:
            orderly: Whether the workers of other processes can still be asked. They do it by themselves at their end.
        """
        if self._carrier is None:
            return _told(self._program)
        if not orderly:
            return []
        try:
            outcomes = self._executor.everywhere(_close_there, self._shared)
        except (UnsupportedCapabilityError, RuntimeError):
            return []
        problems = [problem for outcome in outcomes for problem in outcome.value or ()]
        return problems + [f"in teardown: {outcome.error}" for outcome in outcomes if outcome.error is not None]


def _shared(executor: Executor, program: Program) -> Shared[Program]:
    """A handle on the program for every worker.

    Raises:
        CodecError: It cannot travel; names what in it cannot.
    """
    try:
        return executor.share(program)
    except BaseException as error:
        cause = error.__cause__ or error
        if program.stopping() or not (isinstance(error, CodecError) or not isinstance(error, Exception)):
            raise
        from pipe_core.runtime.pickling import blame

        culprit = blame(program, cause) if isinstance(cause, Exception) else ""
        raise CodecError(
            f"The hooks or the schema cannot travel to the workers of '{executor.name}': {type(cause).__name__}: "
            f"{cause}.{culprit} Make it in a hook's setup(store), which runs on the worker, or leave it out of what is "
            f"pickled (__getstate__)."
        ) from cause


def _process_here(program: Shared[Program], readable: Readable, position: int | None, most: int | None) -> Result:
    return process(readable, program.get(), position, most)


def _process_there(
    shared: Shared[Program], types: Shared[tuple[type, ...]] | None, packed: Any, position: int | None, most: int | None
) -> bytes:
    from pipe_core.records.transport.carrier import Untravelable

    program = shared.get()
    if shared.digest in _over:  # asked behind the pull, during which the news may have come
        raise CancelledError("The run has ended.")
    carrier = program.carrier
    assert carrier is not None  # who packs has one
    if types is not None:
        carrier.learn(types.get())
    readable = carrier.open_chunk(packed) if isinstance(packed, bytes) else packed
    try:
        return carrier.pack_result(process(readable, program, position, most))
    except Untravelable:
        # Once more, with a look at every row: only the records whose rows cannot travel fail.
        return carrier.pack_result(process(readable, program, position, most, check=carrier.check))


_over: Final = deque[str](maxlen=1_000)
"""On a worker: the programs of runs that have ended before their time, of which calls may still come."""


def _stop_there(shared: Shared[Program]) -> None:
    _over.append(shared.digest)
    if shared.pulled:
        shared.get().stop()


def _close_there(shared: Shared[Program]) -> list[str]:
    if not shared.pulled:
        return []
    program = shared.get()
    watchdog = Watchdog(program.hook_timeout if program.hard_timeout else math.inf)
    watchdog.feed(time.monotonic())
    try:
        return _told(program)
    finally:
        watchdog.rest()
        shared.forget()


def _told(program: Program) -> list[str]:
    return [f"{problem.__notes__[0]}: {type(problem).__name__}: {problem}" for problem in program.close()]
