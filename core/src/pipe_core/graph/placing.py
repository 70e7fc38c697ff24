"""Where nodes would run, by name: as an engine would choose, with nothing started."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

from pipe_core.graph.needs import unable
from pipe_core.graph.nesting import PipelineNode
from pipe_core.kernel.kernel import Choice, current_kernel
from pipe_core.kernel.specs import ExecutorSpec
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.select import check_executor, slots_of

if TYPE_CHECKING:
    from pipe_core.graph.engine import Engine
    from pipe_core.graph.node import Node
    from pipe_core.graph.plan import Plan

HERE: Final = "sync"
"""The calling thread."""


@dataclass(frozen=True, slots=True)
class Place:
    """An executor that has not been started.

    Attributes:
        name: Of the executor.
        in_process: Whether what runs there sees the objects of this process.
        has_loop: Whether coroutines run on an event loop of its own.
        has_resources: Whether it knows what its workers have.
        slots: How many calls run at once there; None where only the cluster knows.
        key: What tells it from others, also of that name.
    """

    name: str
    in_process: bool = True
    has_loop: bool = False
    has_resources: bool = False
    slots: int | None = None
    key: tuple[str, ...] = ()


_HERE: Final = Place(HERE, slots=1)


@dataclass(frozen=True, slots=True)
class Placing:
    """Where the nodes of one pipeline run.

    Attributes:
        nodes: Where nodes do.
        items: Where the items of its maps do.
        engine: Somebody else's engine, which does all of it in its own way.
        whole: The place of the worker that has all of an item.
        is_item: Whether it is about an item of a map.
    """

    nodes: Place = _HERE
    items: Place = _HERE
    engine: Any = None
    whole: str = ""
    is_item: bool = False

    @classmethod
    def of(cls, engine: Any) -> Self:
        """Where *engine* runs nodes.

        Raises:
            PluginError: The plugin of an executor cannot be used.
            OptionsError: An option of it is wrong.
        """
        if not is_ours(engine):
            return cls(engine=engine)
        return cls(_place(engine, engine.node_executor), _place(engine, engine.map_executor), engine)

    def item(self, plan: Plan) -> Placing:
        """Where the nodes of an item run, with the pipeline of *plan* mapped."""
        whole = self.whole
        if not whole and not self.items.in_process and not plan.policies:
            whole = self.items.name
            if self._is_used_inside:
                whole = f"{self.nodes.name} in {whole}"
        return Placing(self.nodes, self.items, self.engine, whole, is_item=True)

    def runs_on(self, node: Node[..., Any] | PipelineNode) -> str:
        """Where *node* runs. Nothing for a pipeline, whose nodes run here and there.

        Raises:
            UnsupportedCapabilityError: It needs something of its worker, and nobody there knows what workers have.
        """
        if isinstance(node, PipelineNode):
            return ""
        if not is_ours(self.engine):
            return type(self.engine).__name__
        if self.whole:
            return self.whole
        place, policies = self._place_of(node), node.policies
        if policies is not None and policies.resources is not None and not place.has_resources:
            raise unable(node.name, policies.resources, place.name)
        return place.name

    @property
    def _is_used_inside(self) -> bool:
        """Whether a worker that has all of an item has an executor like that of nodes for it."""
        return self.nodes is not _HERE and self.nodes.in_process and isinstance(self.engine.node_executor, str)

    @property
    def is_serial(self) -> bool:
        """Whether the nodes of a pipeline run one after the other."""
        if self.whole:
            return not self._is_used_inside
        return is_ours(self.engine) and self.nodes is _HERE

    def bounds(self, node: Node[..., Any], path: tuple[str, ...]) -> dict[tuple[str, ...], int | None]:
        """What bounds how many calls of *node*, which is at that *path*, run at once, and how many that are."""
        found: dict[tuple[str, ...], int | None] = {}
        if not is_ours(self.engine):
            return {(type(self.engine).__name__,): None}
        if self.whole:
            return {(self.whole, *self.items.key): self.items.slots if self.is_serial else None}
        place, policies = self._place_of(node), node.policies
        own = ("own",) if policies is not None and policies.executor is not None else ()
        loop = ("loop",) if place.has_loop and node.is_async else ()
        found[(place.name, *place.key, *own, *loop)] = place.slots
        if policies is not None and policies.concurrency is not None:
            found[("node", *path)] = policies.concurrency
        return found

    def _place_of(self, node: Node[..., Any]) -> Place:
        if node.policies is not None and node.policies.executor is not None:
            return _place(self.engine, node.policies.executor)
        if self.nodes is not _HERE:
            return self.nodes
        if self.is_item or (node.is_async and self.items.has_loop):
            return self.items
        return _HERE


def is_ours(engine: Any) -> bool:
    """Whether *engine* runs nodes on executors, by its two words; else it does so in its own way."""
    from pipe_core.graph.engine import Engine

    return isinstance(engine, Engine)


def _place(engine: Engine, given: Any) -> Place:
    """The place that is meant by *given*; where it is None, as the settings say."""
    from pipe_core.graph.engine import WORDS

    given = WORDS.get(given, given) if isinstance(given, str) else given
    name = current_kernel().settings.get("executor").value if given is None else given
    if name in (None, HERE):
        return _HERE
    if given is not None:
        check_executor(given)
    chosen = current_kernel().choose("executors", given, engine.options_for(name), default=HERE)
    key: tuple[str, ...] = ()
    if isinstance(chosen, Choice):
        found, called, slots = cast(ExecutorSpec, chosen.spec).capabilities, chosen.entry.name, slots_of(chosen)
    elif isinstance(chosen, Executor):
        found, called, slots, key = chosen.capabilities, chosen.name, chosen.slots, (str(id(chosen)),)
    else:
        name, workers = type(chosen).__name__, getattr(chosen, "_max_workers", None)
        return Place(name, isinstance(chosen, ThreadPoolExecutor), slots=workers, key=(str(id(chosen)),))
    if found.isolation == "none":
        return _HERE
    has_loop = found.in_process and found.native_async
    return Place(called, found.in_process, has_loop, found.resources, slots, key)
