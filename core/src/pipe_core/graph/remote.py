"""Steps and items of a run in other processes: the pipeline travels there once, values travel each time."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.calls import CallLane
from pipe_core.graph.companions import packed
from pipe_core.graph.keeping import Signed, signatures_of
from pipe_core.graph.relay import listens, relay
from pipe_core.graph.travelling import blame_inputs, blame_nodes
from pipe_core.graph.worker import Answer, Inside, items_there, step_there
from pipe_core.kernel.errors import CodecError, TaskTimeoutError
from pipe_core.runtime.wire import open_error

if TYPE_CHECKING:
    from pipe_core.graph.flow import End, Flow, Work
    from pipe_core.graph.frames import Frame
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.graph.worker import Home
    from pipe_core.runtime.executor import Executor
    from pipe_core.runtime.share import Shared

_BATCH_SECONDS: Final = 0.1
"""How long the items that travel together should take."""
_MOST: Final = 1_000
"""How many items travel together at most."""


class Homes:
    """What workers need once, to run the steps of a pipeline: the pipeline, shared."""

    def __init__(self) -> None:
        self._shared: weakref.WeakKeyDictionary[Pipeline, weakref.WeakKeyDictionary[Executor, Shared[Pipeline]]] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, frame: Frame, executor: Executor) -> Home:
        """Where a worker of *executor* finds the plan of *frame*.

        Raises:
            CodecError: The pipeline cannot travel; says which node keeps it.
        """
        pipeline, plan = frame.level.scope.pipeline, frame.plan
        shared = self._shared.setdefault(pipeline, weakref.WeakKeyDictionary())
        found = shared.get(executor)
        if found is None:
            try:
                found = shared[executor] = executor.share(pipeline)
            except CodecError as error:
                raise blame_nodes(pipeline) or error from None
        return found, tuple(plan.outputs), plan.given


class RemoteLane(CallLane):
    """Slots in other processes.

    Args:
        executor: Where they are.
        homes: Where its workers find pipelines.
        inside: The executor that they use themselves for the nodes of an item. Default: one after the other.
        resources: What each step needs of its worker.
        slots: How many steps are there at once. Default: twice as many as run.
    """

    def __init__(
        self,
        executor: Executor,
        homes: Homes,
        inside: Inside | None = None,
        resources: Mapping[str, float] | None = None,
        slots: int | None = None,
    ) -> None:
        super().__init__(executor, resources, slots or 2 * executor.slots)  # some are on their way while others run
        self._inside = inside
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
        scope = frame.level.scope
        told = None
        if scope.teller is not None or (step is None and listens(scope.pipeline)):
            told = packed(scope.companions)
        if step is not None:
            inputs = [frame.values[slot] for slot in step.slots]
            signed = signatures_of(frame.values, step.slots)
            return [work], self._call(step_there, home, step.index, inputs, signed, frame.level.item, told)
        works = [work]
        if frame not in self._alone:
            share = max(1, len(self.ready) // self.slots)
            works += flow.more(self, min(self._size, share) - 1, frame.group)
        items = [(one.values, one.level.item) for one, _ in works]
        return works, self.executor.submit(items_there, home, items, flow.run.goes_on, told, self._inside)

    def _reason(self, works: list[Work], error: BaseException) -> BaseException:
        """*error*, or one that names the input that cannot travel."""
        if len(works) > 1 or not isinstance(error, CodecError):
            return error
        ((frame, step),) = works
        values = frame.values
        if step is not None:
            named = [(f"the node '{step.node.name}'", name, value) for name, value in step.inputs(values).items()]
        else:
            named = [("the pipeline", name, values[slot]) for name, slot in frame.plan.inputs.items()]
        return blame_inputs(named) or error

    def _give_up(self, works: list[Work], error: BaseException) -> None:
        """Say of a step that it has failed: its worker has not, for no answer came."""
        for frame, step in works:
            if step is not None:
                policies = step.node.policies
                limit = None if policies is None or not isinstance(error, TaskTimeoutError) else policies.timeout
                frame.level.node_is_lost(step, frame.values, error, limit or 0.0)

    def _again(self, flow: Flow, works: list[Work]) -> Work | None:
        self._alone.update(frame for frame, _ in works)
        return flow.again(works, self)

    def _kept(self, works: list[Work], data: bytes) -> list[End]:
        found: Answer = pickle.loads(data)  # noqa: S301  # ours, from a worker of ours
        frame, step = works[0]
        relay(found.events, frame.level.scope, found.clock)
        if step is None:
            each = found.seconds / len(found.ends)
            self._seconds = (self._seconds + each) / 2 if self._seconds else each
        ends: list[End] = []
        for place, ((one, _), end) in enumerate(zip(works, found.ends, strict=False)):  # few, behind a failure
            if isinstance(end, bytes):
                ends.append((one, step, open_error(end)))
                continue
            if step is not None:
                step.put(one.values, end)
                if isinstance(one.values, Signed):
                    one.values.signatures.update(found.signatures)
            else:
                one.known_as = found.known[place]
                for slot, value in zip(one.plan.outputs.values(), end, strict=True):
                    one.values[slot] = value
            ends.append((one, step, None))
        return ends
