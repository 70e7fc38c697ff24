"""What the levels of a run share, and what holds on one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from pipe_core.graph.callbacks import CallbackContext, Teller
from pipe_core.graph.companions import Companion, companions_of
from pipe_core.graph.errors import GraphError
from pipe_core.graph.executor_loops import in_slot, is_around, loop_of, runs_on, waiting
from pipe_core.graph.keeping import Signing
from pipe_core.kernel.errors import RunCancelledError
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.graph.caching.memory import Cache
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.runtime.executor import Executor

_making = threading.Lock()

Item = tuple[int, ...]
"""The place of an item in each map around it, the outermost first; empty outside of maps."""
OnError = Literal["raise", "continue", "collect", "drain"]


class Waiting(Protocol):
    """The thread that waits for a run whose steps run in others."""

    def post(self, news: Callable[[], None], /) -> None:
        """Let it call *news*, from any thread."""

    def fail(self, error: BaseException, /) -> None:
        """End the run with *error*, from any thread."""


class CancelToken:
    """Cancels runs from anywhere: give it to them as ``token=``."""

    def __init__(self) -> None:
        self._runs: set[Run | CancelToken] = set()
        self.is_cancelled = False

    def cancel(self) -> None:
        """End the runs that have it, now and later, with `RunCancelledError`. What runs in them is waited for."""
        self.is_cancelled = True
        for run in list(self._runs):
            run.interrupt(RunCancelledError("The run was cancelled."))

    def enter(self, run: Run | CancelToken) -> None:
        """*run* ends when this is cancelled; now, if it was before."""
        self._runs.add(run)
        if self.is_cancelled:
            run.interrupt(RunCancelledError("The run was cancelled."))

    def leave(self, run: Run | CancelToken) -> None:
        """*run* has ended."""
        self._runs.discard(run)

    def interrupt(self, error: BaseException) -> None:
        """The token around it was cancelled."""
        self.cancel()


class Run:
    """One run, with everything that is nested in it.

    Args:
        loop: A running event loop to use for coroutines. Default: that of the run around it; else of the first executor
            that has one, see `shares_loop`; else one of the run's own, in a thread of its own.
        timeout: In how many seconds it must have ended.
        on_error: Whether the first failure ends it, or it goes on with what does not depend on that.
        token: Whose `CancelToken.cancel` ends it.
        around: The run inside of which it is: a nested pipeline has an engine of its own.

    Attributes:
        given: The loop that it was given.
        flow: Who waits for it, where steps or items run at the same time.
        executors: What was started for this run alone.
        signing: What it has signed for the cache.
        goes_on: Whether it goes on when something has failed.
        drains: Whether it only goes on with what runs then.
        until: When it must have ended, by the monotonic clock.
        ended_by: What `check` has raised: it is about no node.
    """

    def __init__(
        self,
        loop: AbstractEventLoop | None = None,
        timeout: float | None = None,
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        around: Run | None = None,
    ) -> None:
        if on_error not in ("raise", "continue", "collect", "drain"):
            raise GraphError(f"on_error is 'raise', 'continue', 'collect' or 'drain', not {on_error!r}.")
        if timeout is not None and not _is_time(timeout):
            raise GraphError(f"timeout wants seconds from 0 on, or None for no limit, not {timeout!r}.")
        self._stopped = False
        self._error: BaseException | None = None
        self.around = around
        self.ended_by: BaseException | None = None
        self.given = loop
        self._outermost: Run = self if around is None else around._outermost
        self._home: Executor | None = None  # whose loop the outermost one uses, and all inside of it
        self._loop: RunLoop | None = None
        self.flow: Waiting | None = None
        self.executors: list[Executor] = []
        self.remembered: dict[str, Any] = {} if around is None else around.remembered
        self.pipelines: dict[str, Pipeline] = {} if around is None else around.pipelines
        self.signing = Signing()
        self.goes_on = on_error != "raise"
        self.drains = on_error == "drain"
        self.token = token
        self.timeout = timeout
        self.until = None if timeout is None else monotonic() + timeout

    @property
    def loop(self) -> RunLoop:
        """Where coroutines run: all of them, however deep they are nested."""
        if self._loop is None:
            loop = self.given
            if loop is None and self._outermost is not self:
                loop = self._outermost.loop.running()
            with _making:
                if self._loop is None:
                    if loop is None and self._home is not None:
                        loop = loop_of(self._home)
                    self._loop = RunLoop(loop, stopping=lambda: self._stopped, blocks=self.given is None)
        return self._loop

    def shares_loop(self, executor: Executor) -> bool:
        """Whether coroutines of the run may run on *executor* as they are, because its loop is the run's loop.

        It becomes that where the run has none yet, and nobody can block it who waits for the run.
        """
        if not executor.capabilities.native_async:
            return False
        run = self._outermost
        if run.given is not None:
            return runs_on(executor, run.given)
        with _making:
            if run._home is None and run._loop is None and not is_around(executor):
                run._home = executor
        return run._home is executor

    def deliver(self, call: Callable[[], None]) -> None:
        """Let the thread that waits for the run call *call*: what callbacks are told."""
        flow = self._outermost_flow()
        if flow is None:
            call()
        else:
            flow.post(call)

    def _outermost_flow(self) -> Waiting | None:
        # A run around it that has none is in the thread that waits for the next one inside.
        found = None if self.around is None else self.around._outermost_flow()
        return self.flow if found is None else found

    def interrupt(self, error: BaseException) -> None:
        """End the run with *error*, from any thread."""
        self._error = error
        if self.flow is None:
            self.stop()
        else:
            self.flow.fail(error)

    def stop(self) -> None:
        """Start nothing else, and cancel the coroutines that run."""
        self._stopped = True
        if self._loop is not None:
            self._loop.cancel()

    def knows(self, pipeline: Pipeline) -> None:
        """Callbacks may ask for *pipeline* and for all that is nested in it."""
        self.pipelines[pipeline.id] = pipeline
        for node in pipeline.nodes:
            if (inner := getattr(node, "pipeline", None)) is not None:
                self.knows(inner)

    def check(self) -> None:
        """Go on, if the run may.

        Raises:
            RunCancelledError: It was stopped.
            TimeoutError: Its time is over.
        """
        if self.around is not None:
            self.around.check()
        if self._stopped:
            self.ended_by = self.ended_by or self._error or RunCancelledError("The run was cancelled.")
        elif self.until is not None and monotonic() >= self.until:
            text = f"The run did not end within its timeout of {self.timeout:g} s. Nothing else is begun."
            self.ended_by = self.ended_by or TimeoutError(text)
        if self.ended_by is not None:
            raise self.ended_by

    def is_failure(self, error: BaseException | None) -> bool:
        """Whether *error* is about what has raised it, and not about the end of the run."""
        if not isinstance(error, Exception) or isinstance(error, RunCancelledError) or error is self.ended_by:
            return False
        if self._stopped and isinstance(error, CancelledError):
            return False
        return self.around is None or self.around.is_failure(error)

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of *coroutine*, which runs on the loop of the run, and not longer than the run may take."""
        home = self._outermost._home
        before = None if home is None else in_slot(home)
        try:
            return self.loop.run(coroutine if self.until is None else _until(coroutine, self.until))
        except TimeoutError:  # perhaps its own
            self.check()
            raise
        finally:
            if before is not None:
                waiting.reset(before)

    def __enter__(self) -> Self:
        """Use it for a block."""
        if self.token is not None:
            self.token.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give back what it took."""
        if self.token is not None:
            self.token.leave(self)
        self.flow = None
        if self._loop is not None:
            if not self._loop.leave_if_in_the_way():
                self._loop.cancel()  # what was given up, and still waits
                self._loop.settle()
            self._loop.close()
        for executor in self.executors:
            executor.shutdown(wait=False)
        if error is None and (self._stopped or self.until is not None):
            self.check()  # what ran in the calling thread could not be ended


def _is_time(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and given >= 0


async def _until(coroutine: Coroutine[Any, Any, Any], until: float) -> Any:
    import asyncio  # it runs on a loop

    async with asyncio.timeout(max(0.0, until - monotonic())):
        return await coroutine


class Scope:
    """A pipeline in a run, with what it has of its own and what it has inherited.

    Attributes:
        run: The run.
        pipeline: What it is about.
        name: Of the pipeline, for messages.
        path: The ids of the pipelines around it, and its own.
        steps: The steps by which it is inside of those.
        companions: What goes with the calls of its nodes.
        teller: Tells the callbacks; None where there are none.
        cache: Where results are kept; None for nowhere.
        engine: What runs it.
        is_quiet: Whether nobody listens and nobody may end it: functions can be called, and that is all.
    """

    __slots__ = (
        "_callbacks",
        "cache",
        "companions",
        "engine",
        "is_quiet",
        "name",
        "path",
        "pipeline",
        "run",
        "steps",
        "teller",
    )

    def __init__(
        self,
        run: Run,
        pipeline: Pipeline,
        around: Scope | None = None,
        callbacks: Sequence[Any] | None = None,
        engine: Any = None,
        step: int = -1,
        companions: tuple[Companion, ...] | None = None,
    ) -> None:
        self.run = run
        self.pipeline = pipeline
        self.name = pipeline.name or ""
        if pipeline.callbacks is not None:
            callbacks = pipeline.callbacks
        elif callbacks is None and around is not None:
            callbacks = around._callbacks
        self._callbacks: Sequence[Any] | None = callbacks
        self.teller: Teller | None = None
        self.path: tuple[str, ...] = (*(() if around is None else around.path), pipeline.id)
        self.steps: tuple[int, ...] = () if around is None else (*around.steps, step)
        self.companions: tuple[Companion, ...] = companions or ()
        if callbacks:
            self.teller = Teller(callbacks, run.deliver)
            run.knows(pipeline)
            if around is not None and callbacks is around._callbacks:
                self.companions = around.companions
            elif companions is None:
                self.companions = companions_of(callbacks, self.context(()))
        self.cache: Cache | None = pipeline.cache
        if self.cache is None and around is not None:
            self.cache = around.cache
        self.engine: Any = around.engine if engine is None and around is not None else engine
        self.is_quiet = self.cache is None and run.until is None and run.token is None and self.teller is None

    def within(self, pipeline: Pipeline, step: int = -1) -> Scope:
        """The scope of a pipeline that is nested here, in that step of the plan; -1 where nobody is told."""
        return Scope(self.run, pipeline, self, step=step)

    def context(self, item: Item, failed: BaseException | None = None) -> CallbackContext:
        """What callbacks are told of the place of an event; of an end also if it has *failed*."""
        found = CallbackContext(self.path, item, self.run.remembered, self.run.pipelines, self.steps)
        if isinstance(failed, Exception) and self.run.is_failure(failed):
            found.failure = failed
        return found
