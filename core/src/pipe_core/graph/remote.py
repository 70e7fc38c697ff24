"""Steps and items of a run in other processes: the pipeline travels there once, values travel each time."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.inline import call_step, run_plan
from pipe_core.graph.lanes import Lane
from pipe_core.graph.plan import Plan, Values
from pipe_core.graph.relay import Heard, Recorder, relay
from pipe_core.graph.scope import Item, Level, Run, Scope
from pipe_core.runtime.wire import open_error, pack_error

if TYPE_CHECKING:
    from pipe_core.graph.flow import End, Flow, Frame, Work
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.runtime.executor import Executor
    from pipe_core.runtime.share import Shared

    Home = tuple[Shared[Pipeline], tuple[str, ...], tuple[str, ...]]

_BATCH_SECONDS: Final = 0.1
"""How long the items that travel together should take."""
_MOST: Final = 1_000
"""How many items travel together at most."""


class Homes:
    """What workers need once, to run the steps of a pipeline: the pipeline, shared."""

    def __init__(self) -> None:
        self._shared: weakref.WeakKeyDictionary[Pipeline, dict[int, Shared[Pipeline]]] = weakref.WeakKeyDictionary()

    def of(self, frame: Frame, executor: Executor) -> Home:
        """Where a worker of *executor* finds the plan of *frame*.

        Raises:
            CodecError: The pipeline cannot travel; says which node keeps it.
        """
        pipeline, plan = frame.level.scope.pipeline, frame.plan
        shared = self._shared.setdefault(pipeline, {})
        found = shared.get(id(executor))
        if found is None:
            found = shared[id(executor)] = executor.share(pipeline)
        return found, tuple(plan.outputs), plan.given


class RemoteLane(Lane):
    """Slots in other processes.

    Args:
        executor: Where they are.
        homes: Where its workers find pipelines.
    """

    def __init__(self, executor: Executor, homes: Homes) -> None:
        super().__init__()
        self.executor: Executor = executor
        self.slots = 2 * executor.slots  # some are on their way while the others run
        self._homes = homes
        self._seconds = 0.0
        self._futures: set[Future[Any]] = set()

    @property
    def appetite(self) -> int:
        """How many items should be there for it."""
        return 2 * self.slots * self._size

    @property
    def _size(self) -> int:
        return min(_MOST, max(1, int(_BATCH_SECONDS / self._seconds))) if self._seconds else 1

    def start(self, flow: Flow) -> None:
        """Submit what is ready, from whatever thread."""
        work = flow.take(self)
        if work is not None:
            self._submit(flow, work)

    def _submit(self, flow: Flow, work: Work) -> None:
        frame, step = work
        works = [work]
        try:
            home = self._homes.of(frame, self.executor)
            listens = frame.level.scope.teller is not None
            future: Future[Any]
            if step is not None:
                inputs = [frame.values[slot] for slot in step.slots]
                future = self.executor.submit(run_remote_step, home, step.index, inputs, frame.level.item, listens)
            else:
                share = max(1, len(self.ready) // self.slots)
                works += flow.more(self, min(self._size, share) - 1)
                items = [(one.values, one.level.item) for one, _ in works]
                future = self.executor.submit(run_remote_items, home, items, flow.run.goes_on, listens)
        except BaseException as error:  # it cannot travel, or the executor was shut down
            flow.ended([(frame, step, error)], self)
            return
        self._futures.add(future)
        future.add_done_callback(lambda done: flow.post(partial(self._take_back, flow, works, done)))

    def _take_back(self, flow: Flow, works: list[Work], future: Future[Any]) -> None:
        """For the driver: what came back."""
        self._futures.discard(future)
        try:
            ends = self._kept(works, future.result())
        except BaseException as error:
            ends = [(*works[0], error)]
        following = flow.ended(ends, self)
        if following is not None:
            self._submit(flow, following)

    def _kept(self, works: list[Work], answer: Answer) -> list[End]:
        """Put what came back where it belongs."""
        frame, step = works[0]
        relay(answer.events, frame.level.scope)
        if step is None:
            each = answer.seconds / len(answer.found)
            self._seconds = (self._seconds + each) / 2 if self._seconds else each
        ends: list[End] = []
        for (one, _), found in zip(works, answer.found, strict=False):  # behind a failure there may be none
            error = open_error(found) if isinstance(found, bytes) else None
            if not isinstance(found, bytes):
                for slot, value in zip(one.plan.outputs.values() if step is None else step.outputs, found, strict=True):
                    one.values[slot] = value
            ends.append((one, step, error))
        return ends

    def cancel(self) -> None:
        """Cancel what has not begun there."""
        for future in list(self._futures):
            future.cancel()


# --- on a worker ---


@dataclass(slots=True)
class Answer:
    """What a worker sends back.

    Attributes:
        found: The outputs of each item, or its error as bytes; of a step, as of one item.
        seconds: How long that took.
        events: What callbacks are to be told.
    """

    found: list[list[Any] | bytes]
    seconds: float
    events: list[Heard]


@cache
def _run_here() -> Run:
    """The one run of a worker process: its coroutines share a loop, which ends with it."""
    return Run()


def _at(home: Home, heard: list[Heard] | None) -> tuple[Plan, Scope]:
    shared, wanted, given = home
    pipeline = shared.get()
    scope = Scope(_run_here(), pipeline, callbacks=None if heard is None else [Recorder(heard)])
    return pipeline.plan_for(wanted, given), scope


def run_remote_step(home: Home, index: int, inputs: list[Any], item: Item, listens: bool) -> Answer:
    """The outputs of one step for its *inputs*."""
    heard: list[Heard] = []
    plan, scope = _at(home, heard if listens else None)
    step = plan.steps[index]
    values = plan.values_for(step, inputs)
    began = monotonic()
    level = Level(scope, item)
    level.is_inside()
    found: list[Any] | bytes
    try:
        call_step(step, values, level)
        found = [values[slot] for slot in step.outputs]
    except BaseException as error:
        found = pack_error(error)
    return Answer([found], monotonic() - began, heard)


def run_remote_items(home: Home, items: list[tuple[Values, Item]], goes_on: bool, listens: bool) -> Answer:
    """The outputs of each of these items, up to the first that fails unless the run *goes_on*."""
    heard: list[Heard] = []
    plan, scope = _at(home, heard if listens else None)
    began = monotonic()
    found: list[list[Any] | bytes] = []
    for values, item in items:
        try:
            run_plan(plan, values, scope, item)
        except BaseException as error:
            found.append(pack_error(error))
            if not (goes_on and isinstance(error, Exception)):
                break
        else:
            found.append([values[slot] for slot in plan.outputs.values()])
    return Answer(found, monotonic() - began, heard)
