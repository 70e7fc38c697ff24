"""Steps and items of a run in other processes: the pipeline travels there once, values travel each time."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.calls import CallLane
from pipe_core.graph.inline import call_step, run_plan
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


class RemoteLane(CallLane):
    """Slots in other processes.

    Args:
        executor: Where they are.
        homes: Where its workers find pipelines.
    """

    def __init__(self, executor: Executor, homes: Homes) -> None:
        super().__init__(executor)
        self.slots = 2 * executor.slots  # some are on their way while the others run
        self._homes = homes
        self._seconds = 0.0
        self._alone: set[Frame] = set()

    @property
    def appetite(self) -> int:
        """How many items should be there for it."""
        return 2 * self.slots * self._size

    @property
    def _size(self) -> int:
        return min(_MOST, max(1, int(_BATCH_SECONDS / self._seconds))) if self._seconds else 1

    def _begun(self, flow: Flow, work: Work) -> tuple[list[Work], Future[Any]]:
        frame, step = work
        home = self._homes.of(frame, self.executor)
        listens = frame.level.scope.teller is not None
        if step is not None:
            inputs = [frame.values[slot] for slot in step.slots]
            return [work], self.executor.submit(run_remote_step, home, step.index, inputs, frame.level.item, listens)
        works = [work]
        if frame not in self._alone:
            share = max(1, len(self.ready) // self.slots)
            works += flow.more(self, min(self._size, share) - 1)
        items = [(one.values, one.level.item) for one, _ in works]
        return works, self.executor.submit(run_remote_items, home, items, flow.run.goes_on, listens)

    def _again(self, flow: Flow, works: list[Work]) -> Work | None:
        self._alone.update(frame for frame, _ in works)
        return flow.again(works, self)

    def _kept(self, works: list[Work], found: Answer) -> list[End]:
        frame, step = works[0]
        relay(found.events, frame.level.scope)
        if step is None:
            each = found.seconds / len(found.ends)
            self._seconds = (self._seconds + each) / 2 if self._seconds else each
        ends: list[End] = []
        for (one, _), end in zip(works, found.ends, strict=False):  # behind a failure there may be none
            if isinstance(end, bytes):
                ends.append((one, step, open_error(end)))
                continue
            if step is not None:
                step.put(one.values, end)
            else:
                for slot, value in zip(one.plan.outputs.values(), end, strict=True):
                    one.values[slot] = value
            ends.append((one, step, None))
        return ends


# --- on a worker ---


@dataclass(slots=True)
class Answer:
    """What a worker sends back.

    Attributes:
        ends: The outputs of each item, or its error as bytes; of a step, as of one item.
        seconds: How long that took.
        events: What callbacks are to be told.
    """

    ends: list[list[Any] | bytes]
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
    end: list[Any] | bytes
    try:
        call_step(step, values, level)
        end = step.taken(values)
    except BaseException as error:
        end = pack_error(error)
    return Answer([end], monotonic() - began, heard)


def run_remote_items(home: Home, items: list[tuple[Values, Item]], goes_on: bool, listens: bool) -> Answer:
    """The outputs of each of these items, up to the first that fails unless the run *goes_on*."""
    heard: list[Heard] = []
    plan, scope = _at(home, heard if listens else None)
    began = monotonic()
    ends: list[list[Any] | bytes] = []
    for values, item in items:
        try:
            run_plan(plan, values, scope, item)
        except BaseException as error:
            ends.append(pack_error(error))
            if not (goes_on and isinstance(error, Exception)):
                break
        else:
            ends.append([values[slot] for slot in plan.outputs.values()])
    return Answer(ends, monotonic() - began, heard)
