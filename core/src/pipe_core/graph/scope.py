"""What the levels of a run share, what holds on one of them, and one activation of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from pipe_core.graph.callbacks import CallbackContext, Teller
from pipe_core.graph.companions import Companion, Surroundings, companions_of
from pipe_core.graph.errors import GraphError
from pipe_core.graph.executor_loops import in_slot, is_around, loop_of, runs_on, waiting
from pipe_core.graph.keeping import Signing, signatures_of, signed_once
from pipe_core.kernel.errors import RunCancelledError
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pipe_core.graph.caching.memory import Cache
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.plan import Plan, Step, Values
    from pipe_core.runtime.executor import Executor

_making = threading.Lock()

Item = tuple[int, ...]
"""The place of an item in each map around it, the outermost first; empty outside of maps."""
OnError = Literal["raise", "continue", "collect"]


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
        if on_error not in ("raise", "continue", "collect"):
            raise GraphError(f"on_error is 'raise', 'continue' or 'collect', not {on_error!r}.")
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

    def context(self, item: Item) -> CallbackContext:
        """What callbacks are told of the place of an event."""
        return CallbackContext(self.path, item, self.run.remembered, self.run.pipelines, self.steps)


class Level:
    """One activation of a pipeline: what is told of it and of its steps.

    Args:
        scope: The pipeline in its run.
        item: The place of the activation in the maps around it.
    """

    __slots__ = ("_began", "_context", "_entered", "_open", "item", "known", "scope")

    def __init__(self, scope: Scope, item: Item) -> None:
        # Steps that have begun, and when, with what is told of them; their end is told once.
        self._open: dict[tuple[int, float], CallbackContext | None] = {}
        self._entered: dict[tuple[int, float], Surroundings] = {}  # of those that have not ended, told or not
        self.known = 0  # steps that did not have to run
        self.scope = scope
        self.item = item
        self._began = 0.0
        self._context: CallbackContext | None = None

    def begins(self, plan: Plan, values: Values) -> None:
        """The pipeline begins with *values*."""
        teller = self.scope.teller
        if teller is not None:
            self._began = monotonic()
            self._context = self.scope.context(self.item)
            self._context.nodes_to_run = len(plan.steps)
            inputs = {name: values[slot] for name, slot in plan.inputs.items()}
            teller.tell("on_pipeline_start", self.scope.pipeline.id, inputs, self._context)

    def is_inside(self) -> None:
        """It has begun elsewhere: only of its steps is anything told here."""
        if self.scope.teller is not None:
            self._context = self.scope.context(self.item)

    def ends(self, outputs: dict[str, Any]) -> None:
        """It has ended."""
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_pipeline_end", self.scope.pipeline.id, outputs, monotonic() - self._began, self._context)

    def node_begins(self, step: Step, values: Values) -> float:
        """A step begins. Gives when."""
        teller = self.scope.teller
        if teller is None:
            return monotonic()
        teller.tell("on_node_start", step.node.name, step.inputs(values), self._context)
        began = monotonic()
        context = self._context
        if self.scope.companions:
            context = self.scope.context(self.item)  # one for each call: it gets the marks
            context.nodes_to_run = None if self._context is None else self._context.nodes_to_run
            self._entered[step.index, began] = Surroundings(self.scope.companions, step.node.name, context)
        self._open[step.index, began] = context
        return began

    def node_ends(self, step: Step, values: Values, began: float, error: BaseException | None) -> None:
        """A step has ended, that *began* then."""
        ended = monotonic()
        if (entered := self._entered.pop((step.index, began), None)) is not None:
            entered.leave()
        if (context := self._open.pop((step.index, began), None)) is not None:
            outputs = {} if error is not None else step.results(values)
            self._tell_end(step, outputs, ended - began, error, context)

    def node_is_given_up(self, step: Step, error: BaseException) -> None:
        """Nobody waits for a step any more that has begun, if it has. What it does later is not told."""
        for index, began in list(self._open):
            if index == step.index and (context := self._open.pop((index, began), None)) is not None:
                self._tell_end(step, {}, monotonic() - began, error, context)

    def node_is_lost(self, step: Step, values: Values, error: BaseException, lasted: float) -> None:
        """A step has ended in another process, of which nothing was heard."""
        teller = self.scope.teller
        if teller is not None:
            inputs = step.inputs(values)
            teller.tell("on_node_start", step.node.name, inputs, self._context, at=monotonic() - lasted)
            self._tell_end(step, {}, lasted, error, self._context)

    def _tell_end(
        self,
        step: Step,
        outputs: dict[str, Any],
        lasted: float,
        error: BaseException | None,
        context: CallbackContext | None,
    ) -> None:
        teller = self.scope.teller
        assert teller is not None  # else no step is open
        if error is not None:
            teller.tell("on_error", step.node.name, error, context)
        teller.tell("on_node_end", step.node.name, outputs, lasted, context)

    def node_is_known(self, step: Step, signature: str) -> None:
        """A step does not run: what it gives was found."""
        self.known += 1
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_node_cached", step.node.name, signature, self._context)

    def known_as(self, plan: Plan, values: Values) -> str | None:
        """The signature of what it gives, if no step had to run."""
        if self.known < len(plan.steps):
            return None
        return (signatures_of(values, tuple(plan.outputs.values())) or {}).get(next(iter(plan.outputs.values())))

    def nested_begins(self, child: Pipeline) -> float:
        """A pipeline begins inside of this one. Gives when."""
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_nested_pipeline_start", self.scope.pipeline.id, child.id, self._context)
        return monotonic()

    def nested_ends(self, child: Pipeline, began: float) -> None:
        """It has ended."""
        teller = self.scope.teller
        if teller is not None:
            lasted = monotonic() - began
            teller.tell("on_nested_pipeline_end", self.scope.pipeline.id, child.id, lasted, self._context)


class MapLevel:
    """A map, and what is told of it and of its items.

    Args:
        scope: Of what runs for each item.
        item: The place of the map itself.
        total: How many items there are; None where nobody knows.
        fixed: The inputs that are the same for all items.
    """

    __slots__ = ("_began", "_context", "_started", "_total", "item", "scope", "signed")

    def __init__(self, scope: Scope, item: Item, total: int | None, fixed: dict[str, Any]) -> None:
        self.scope = scope
        self.item = item
        self._total = total
        self.signed = {} if scope.cache is None else signed_once(fixed)
        self._started: dict[int, float] = {}
        self._began = 0.0
        self._context: CallbackContext | None = None

    def begins(self) -> None:
        """The map begins."""
        teller = self.scope.teller
        if teller is not None:
            self._began = monotonic()
            self._context = self.scope.context(self.item)
            teller.tell("on_map_start", self._total, self._context)

    def item_begins(self, index: int) -> None:
        """An item begins."""
        teller = self.scope.teller
        if teller is not None:
            self._started[index] = monotonic()
            teller.tell("on_map_item_start", index, self.scope.context((*self.item, index)))

    def item_ends(self, index: int, known_as: str | None = None) -> None:
        """An item has ended; without running, if it is *known_as* something."""
        teller = self.scope.teller
        if teller is not None:
            if known_as is not None:
                teller.tell("on_map_item_cached", index, known_as, self.scope.context((*self.item, index)))
            lasted = monotonic() - self._started.pop(index)
            teller.tell("on_map_item_end", index, lasted, self.scope.context((*self.item, index)))

    def ends(self) -> None:
        """The map has ended."""
        teller = self.scope.teller
        if teller is not None:
            teller.tell("on_map_end", monotonic() - self._began, self._context)
