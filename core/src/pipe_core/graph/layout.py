"""Which lane each step and each item of a run belongs to: what `node_executor` and `map_executor` come to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipe_core.graph.calls import CallLane
from pipe_core.graph.executor_loops import is_around
from pipe_core.graph.frames import Frame, Group
from pipe_core.graph.lanes import Lane, LoopLane, PullLane
from pipe_core.graph.levels import MapLevel
from pipe_core.graph.needs import room, unable
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.plan import Plan, Step
from pipe_core.graph.remote import Homes, RemoteLane
from pipe_core.graph.worker import Inside
from pipe_core.kernel.errors import UnsupportedCapabilityError

if TYPE_CHECKING:
    from pipe_core.graph.node import Node
    from pipe_core.runtime.executor import Executor


class Layout:
    """The lanes of one run.

    Args:
        nodes: Where the nodes of a pipeline run; None for one after the other, wherever their item is.
        items: Where the items of a map run; None for one after the other.
        homes: Where workers find pipelines.
        inside: The executor that workers of other processes use themselves for the nodes of an item.
        places: The executors of nodes that have one of their own, by `Policies.place`.
        shares_loop: Whether the event loop of an executor is the one of the run. Default: never.

    Attributes:
        here: The lane of the thread that waits for the run.
        others: All other lanes.
        is_serial: Whether the nodes of an item run one after the other.
    """

    def __init__(
        self,
        nodes: Executor | None,
        items: Executor | None,
        homes: Homes,
        inside: Inside | None = None,
        places: Mapping[Hashable, Executor | None] | None = None,
        shares_loop: Callable[[Executor], bool] = lambda _: False,
    ) -> None:
        self.here = Lane()
        self.others: list[Lane] = []
        self.is_serial = nodes is None
        self._homes = homes
        self._inside = inside
        self._shares_loop = shares_loop
        self._made: dict[Executor, tuple[Lane, Lane]] = {}
        self._timed: dict[Executor, Lane] = {}
        self._needing: dict[tuple[Executor, frozenset[tuple[str, float]]], CallLane] = {}
        self._nodes = self._lanes(nodes)
        self._items = self._lanes(items)
        self._places = {place: self._lanes(executor) for place, executor in (places or {}).items()}

    def _lanes(self, executor: Executor | None) -> tuple[Lane, Lane]:
        """The lane for functions, and the one for coroutine functions."""
        if executor is None:
            return self.here, self.here
        if executor not in self._made:
            self._made[executor] = self._new(executor)
        return self._made[executor]

    def _new(self, executor: Executor) -> tuple[Lane, Lane]:
        if not executor.capabilities.in_process:
            lane: Lane = RemoteLane(executor, self._homes, self._inside)
            self.others.append(lane)
            return lane, lane
        plain = PullLane(executor)
        awaited = LoopLane(executor) if self._shares_loop(executor) else plain  # a thread waits for the run's loop
        self.others += {id(lane): lane for lane in (plain, awaited)}.values()
        return plain, awaited

    def check(self, plan: Plan, engine: object, *, mapped: bool) -> None:
        """Make sure that what nodes of *plan* say of limits of time and of resources can be kept.

        Args:
            plan: Of the run.
            engine: Whose run it is. What is inside is checked by its own engine where it has one.
            mapped: Whether it is about the items of a map.

        Raises:
            UnsupportedCapabilityError: Something cannot be kept.
            MissingResourcesError: No worker has what a node needs.
        """
        for node, in_item in _nodes((step.node for step in plan.steps), engine, mapped=mapped):
            policies = node.policies
            if policies is None:
                continue
            usual = self._nodes if not self.is_serial else self._items if in_item else (self.here, self.here)
            lane = (usual if policies.executor is None else self._places[policies.place])[0]
            if policies.resources is not None:
                lane = self._with_resources(lane, node.name, policies.resources)
            if policies.timeout is not None:
                self._limited(lane)

    def around_this_thread(self) -> list[Lane]:
        """The lanes whose slots the calling thread sits on: it helps, for else nobody might."""
        return [lane for lane in self.others if is_around(lane.executor)]

    def lane_of(self, frame: Frame, step: Step | None) -> Lane:
        """Where *step* runs, or all of *frame*."""
        policies = None if step is None else step.node.policies
        if policies is not None and policies.executor is not None:
            plain, awaited = self._places[policies.place]
        elif step is None or self.is_serial:
            plain, awaited = self._items
            if not frame.level.item:  # here; but there is one event loop in a run
                plain, awaited = self.here, awaited if isinstance(awaited, LoopLane) else self.here
        else:
            plain, awaited = self._nodes
        if step is not None and isinstance(step.node, PipelineNode):
            return self.here if isinstance(plain, RemoteLane) else plain  # it is opened, and runs elsewhere
        if policies is not None and policies.resources is not None:
            plain = awaited = self._with_resources(plain, step.node.name, policies.resources)  # type: ignore[union-attr]  # it has policies
        if policies is not None and policies.timeout is not None:
            return self._limited(plain)
        return awaited if step is not None and step.node.is_async else plain

    def _with_resources(self, lane: Lane, node: str, resources: Mapping[str, float]) -> Lane:
        """Where *node* runs, which needs *resources* and would run on *lane*."""
        executor = lane.executor
        if executor is None or not executor.capabilities.resources:
            raise unable(node, resources, "sync" if executor is None else executor.name)
        key = executor, frozenset(resources.items())
        if key not in self._needing:
            # no more than can run: the others would wait there, in slots that somebody else could use
            slots = min(executor.slots, room(node, resources, executor))
            made: CallLane = CallLane(executor, resources, slots)
            if isinstance(lane, RemoteLane):
                made = RemoteLane(executor, self._homes, None, resources, slots)
            self._needing[key] = made
            self.others.append(made)
        return self._needing[key]

    def _limited(self, lane: Lane) -> Lane:
        """Where a step runs whose time is limited, and that would run on *lane*."""
        executor = lane.executor
        if executor is None or not executor.can_give_up:
            raise UnsupportedCapabilityError(
                f"A node has a timeout, and {'the calling thread' if executor is None else repr(executor.name)} cannot "
                f"end what runs. Say where it runs, as @node(executor='threads', timeout=...), or run the pipeline on "
                f"'threads', 'asyncio' or a process executor.",
                capability="hard_timeout",
                executor="sync" if executor is None else executor.name,
            )
        if isinstance(lane, CallLane):
            return lane
        if executor not in self._timed:
            self._timed[executor] = CallLane(executor, on_loop=isinstance(self._made[executor][1], LoopLane))
            self.others.append(self._timed[executor])
        return self._timed[executor]

    def runs_whole(self, group: Group) -> bool:
        """Whether an item of *group* runs in one go."""
        if group.mapped and isinstance(self._items[0], RemoteLane):
            return not group.plan.policies  # which are kept here
        if not group.mapped and group.parent is None and group.scope.run.goes_on:
            return False  # with the steps that do not need the one that has failed
        return self.is_serial and group.plan.lean is not None and group.scope.is_quiet

    def limit(self, group: Group) -> int:
        """How many items of *group* are open at once."""
        if not group.mapped:
            return 1
        plain, awaited = self._items
        if isinstance(plain, RemoteLane):
            return plain.appetite
        return max(1, plain.slots + (awaited.slots if awaited is not plain else 0))

    def nested(self, frame: Frame, step: Step, node: PipelineNode) -> Group:
        """What has to run inside of *step*."""
        inputs = step.inputs(frame.values)
        items = node.items(inputs) if node.is_mapped else [node.inner(inputs)]
        scope, item = frame.level.scope.within(node.pipeline, step.index), frame.level.item
        around = MapLevel(scope, item, len(items), node.fixed(inputs)) if node.is_mapped else None
        return Group(node.plan(node.inner(inputs)), scope, iter(items), item, (frame, step), around)


def _nodes(
    nodes: Iterable[Node[..., Any] | PipelineNode], engine: object, *, mapped: bool
) -> Iterator[tuple[Node[..., Any], bool]]:
    """*nodes*, and all inside of them that *engine* runs, each with whether it is part of an item of a map."""
    for node in nodes:
        if not isinstance(node, PipelineNode):
            yield node, mapped
        elif node.pipeline.engine is None or node.pipeline.engine is engine:
            yield from _nodes(node.pipeline.nodes, engine, mapped=mapped or node.is_mapped)
