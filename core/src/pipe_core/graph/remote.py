"""Steps and items of a run in other processes: the pipeline travels there once, values travel each time."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from functools import cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.inline import call_step, run_plan
from pipe_core.graph.lanes import Lane
from pipe_core.graph.plan import Plan, Values
from pipe_core.graph.scope import Item, Run, Scope

if TYPE_CHECKING:
    from pipe_core.graph.flow import Flow, Frame, Work
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
        pipeline, plan = frame.scope.pipeline, frame.plan
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
            if step is not None:
                inputs = [frame.values[slot] for slot in step.slots]
                future: Future[Any] = self.executor.submit(run_remote_step, home, step.index, inputs, frame.item)
            else:
                share = max(1, len(self.ready) // self.slots)
                works += flow.more(self, min(self._size, share) - 1)
                future = self.executor.submit(run_remote_items, home, [(one.values, one.item) for one, _ in works])
        except BaseException as error:  # it cannot travel, or the executor was shut down
            flow.ended(works, error, self)
            return
        self._futures.add(future)
        future.add_done_callback(lambda done: flow.post(partial(self._take_back, flow, works, done)))

    def _take_back(self, flow: Flow, works: list[Work], future: Future[Any]) -> None:
        """For the driver: what came back."""
        self._futures.discard(future)
        error = None
        try:
            self._keep(works, future.result())
        except BaseException as raised:
            error = raised
        following = flow.ended(works, error, self)
        if following is not None:
            self._submit(flow, following)

    def _keep(self, works: list[Work], found: Any) -> None:
        frame, step = works[0]
        if step is not None:
            for slot, value in zip(step.outputs, found, strict=True):
                frame.values[slot] = value
            return
        seconds, rows = found
        each = seconds / len(rows)
        self._seconds = (self._seconds + each) / 2 if self._seconds else each
        for (one, _), row in zip(works, rows, strict=True):
            for slot, value in zip(one.plan.outputs.values(), row, strict=True):
                one.values[slot] = value

    def cancel(self) -> None:
        """Cancel what has not begun there."""
        for future in list(self._futures):
            future.cancel()


# --- on a worker ---


@cache
def _run_here() -> Run:
    """The one run of a worker process: its coroutines share a loop, which ends with it."""
    return Run()


def _at(home: Home) -> tuple[Plan, Scope]:
    shared, wanted, given = home
    pipeline = shared.get()
    return pipeline.plan_for(wanted, given), Scope(_run_here(), pipeline)


def run_remote_step(home: Home, index: int, inputs: list[Any], item: Item) -> list[Any]:
    """The outputs of one step for its *inputs*."""
    plan, scope = _at(home)
    step = plan.steps[index]
    values = plan.values_for(step, inputs)
    call_step(step, values, scope, item)
    return [values[slot] for slot in step.outputs]


def run_remote_items(home: Home, items: list[tuple[Values, Item]]) -> tuple[float, list[list[Any]]]:
    """How many seconds these items took, and the outputs of each."""
    plan, scope = _at(home)
    began = monotonic()
    for values, item in items:
        run_plan(plan, values, scope, item)
    return monotonic() - began, [[values[slot] for slot in plan.outputs.values()] for values, _ in items]
