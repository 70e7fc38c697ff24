"""What the levels of a run share, and what holds on one of them."""

from __future__ import annotations

import threading
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pipe_core.kernel.errors import RunCancelledError
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.graph.pipeline import Pipeline

_making = threading.Lock()

Item = tuple[int, ...]
"""The place of an item in each map around it, the outermost first; empty outside of maps."""


class Run:
    """One run, with everything that is nested in it.

    Args:
        loop: A running event loop to use for coroutines. Default: one of the run's own, in a thread of its own.
        timeout: In how many seconds it must have ended.

    Attributes:
        until: When it must have ended, by the monotonic clock.
    """

    def __init__(self, loop: AbstractEventLoop | None = None, timeout: float | None = None) -> None:
        self._stopped = False
        self._given = loop
        self._loop: RunLoop | None = None
        self.timeout = timeout
        self.until = None if timeout is None else monotonic() + timeout

    @property
    def loop(self) -> RunLoop:
        """Where coroutines run."""
        if self._loop is None:
            with _making:
                if self._loop is None:
                    self._loop = RunLoop(self._given, stopping=lambda: self._stopped, blocks=self._given is None)
        return self._loop

    @property
    def is_stopped(self) -> bool:
        """Whether nothing else may start."""
        return self._stopped

    def stop(self) -> None:
        """Start nothing else, and cancel what can be cancelled."""
        self._stopped = True
        if self._loop is not None:
            self._loop.cancel()

    def check(self) -> None:
        """Go on, if the run may.

        Raises:
            RunCancelledError: It was stopped.
            TimeoutError: Its time is over.
        """
        if self._stopped:
            raise RunCancelledError("The run was cancelled.")
        if self.until is not None and monotonic() >= self.until:
            raise TimeoutError(f"The run did not end within its timeout of {self.timeout:g} s. Nothing else is begun.")

    def __enter__(self) -> Self:
        """Use it for a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give back what it took."""
        if self._loop is not None:
            self._loop.close()


class Scope:
    """One level of a run: a pipeline, with what it has of its own and what it has inherited.

    Attributes:
        run: The run.
        pipeline: Whose level it is.
        name: Of the pipeline, for messages.
        is_quiet: Whether nobody listens and nothing is kept: a function can be called, and that is all.
    """

    __slots__ = ("is_quiet", "name", "pipeline", "run")

    def __init__(self, run: Run, pipeline: Pipeline) -> None:
        self.run = run
        self.pipeline = pipeline
        self.name = pipeline.name or ""
        self.is_quiet = run.until is None

    def within(self, pipeline: Pipeline) -> Scope:
        """The scope of a pipeline that is nested here."""
        return Scope(self.run, pipeline)
