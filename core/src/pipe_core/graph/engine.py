"""`Engine`: where the nodes of a pipeline run, and where the items of a map."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pipe_core.graph.inline import run_plan
from pipe_core.graph.items import check_mode, items_of, names_of
from pipe_core.graph.plan import Plan
from pipe_core.graph.result import MapResult
from pipe_core.graph.scope import Run, Scope
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.settings import using_layers
from pipe_core.runtime.select import choose_executor

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline
    from pipe_core.runtime.executor import Executor

Sides = tuple["Executor | None", "Executor | None"]
_NOBODY: Final[Sides] = (None, None)
_UNKNOWN: Final[tuple[Any, Sides]] = (None, _NOBODY)

WORDS: Final = {"sequential": "sync", "async": "asyncio", "threaded": "threads", "parallel": "loky"}
"""Other words for executors."""
ASYNC_SLOTS: Final = 100
"""How many coroutines, and how many calls of other functions beside them, run at once on ``asyncio``."""


class Engine:
    """Runs pipelines: their nodes on one executor, the items of their maps on another, or on the same.

    Executors are started when they are first needed, kept for the next run, and shut down by `close`, at the end of a
    ``with`` block, or with the engine. One that was given as an instance is never shut down here.

    Args:
        node_executor: Where the nodes of a pipeline run: anything that `get_executor` takes, or ``"sequential"``,
            ``"async"``, ``"threaded"`` and ``"parallel"``. Default: as the settings say, then one after the other in
            the calling thread.
        map_executor: Where the items of a map run, by the same rules.
        max_workers: How many nodes, and how many items, run at once. Default: the executor's own; on ``asyncio`` 100.

    Raises:
        OptionsError: *max_workers* is no whole number from 1 on.
    """

    def __init__(self, node_executor: Any = None, map_executor: Any = None, max_workers: int | None = None) -> None:
        self.node_executor = node_executor
        self.map_executor = map_executor
        self.max_workers = max_workers
        if max_workers is not None and (type(max_workers) is not int or max_workers < 1):
            raise OptionsError(f"max_workers wants a whole number from 1 on, not {max_workers!r}.")
        self._lock = threading.Lock()
        self._sides: dict[str, Sides] = {}
        self._now: tuple[Any, Sides] = _UNKNOWN
        self._ours: list[Executor] = []
        self._homes: Any = None
        weakref.finalize(self, _shut_down, self._ours)

    # --- running ---

    def run(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        output_name: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """See `Pipeline.run`.

        Args:
            pipeline: What to run.
            inputs: By name.
            output_name: The outputs that are wanted.
            timeout: In how many seconds it must have ended. What runs then is waited for, and nothing else begins.

        Raises:
            TimeoutError: It has not.
        """
        if bound := pipeline.bound_inputs:
            inputs = {**bound, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        sides = self._executors()
        with Run(timeout=timeout) as run:
            scope = Scope(run, pipeline)
            if sides == _NOBODY:
                values = plan.values(inputs)
                run_plan(plan, values, scope)
                return plan.results(values)
            return self._flow(run, plan, scope, iter([dict(inputs)]), mapped=False)[0]

    def map(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> MapResult:
        """See `Pipeline.map`.

        Args:
            pipeline: What to run.
            inputs: By name.
            map_over: Those that have one value for each item.
            map_mode: ``"zip"`` or ``"product"``.
            output_name: The outputs that are wanted.
            timeout: As in `run`, for all items together.
        """
        inputs = {**pipeline.bound_inputs, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        each = items_of(inputs, names_of(map_over), check_mode(map_mode))
        sides = self._executors()
        with Run(timeout=timeout) as run:
            scope = Scope(run, pipeline)
            if sides != _NOBODY:
                return MapResult(self._flow(run, plan, scope, each, mapped=True), plan.outputs)
            rows = []
            for index, one in enumerate(each):
                values = plan.values(one)
                run_plan(plan, values, scope, (index,))
                rows.append(plan.results(values))
            return MapResult(rows, plan.outputs)

    def _flow(
        self, run: Run, plan: Plan, scope: Scope, items: Iterator[dict[str, Any]], *, mapped: bool
    ) -> list[dict[str, Any]]:
        from pipe_core.graph.flow import Flow, Group  # a run in the calling thread needs neither
        from pipe_core.graph.layout import Layout
        from pipe_core.graph.remote import Homes

        if self._homes is None:
            self._homes = Homes()
        group = Group(plan, scope, items, mapped=mapped)
        Flow(run, Layout(*self._executors(), self._homes)).drive(group)
        return group.rows()

    # --- executors ---

    def _executors(self) -> Sides:
        """Where nodes run, and where items do; None for the calling thread."""
        layers, sides = self._now
        if layers is using_layers():
            return sides
        with self._lock:
            return self._chosen()

    def _chosen(self) -> Sides:
        layers = using_layers()
        said = None
        if self.node_executor is None or self.map_executor is None:
            said = current_kernel().settings.get("executor").value
        key = repr(said)
        if key not in self._sides:
            nodes = self._started(self.node_executor, said)
            same = _is_same(self.node_executor, self.map_executor)
            self._sides[key] = nodes, nodes if same else self._started(self.map_executor, said)
        self._now = layers, self._sides[key]
        return self._sides[key]

    def _started(self, given: Any, said: Any) -> Executor | None:
        given = WORDS.get(given, given) if isinstance(given, str) else given
        name = said if given is None else given
        if name in (None, "sync"):
            return None
        options = {} if self.max_workers is None else {"max_workers": self.max_workers}
        if name == "asyncio":
            options = {"max_workers": ASYNC_SLOTS, "concurrency": ASYNC_SLOTS, **options}
            options["concurrency"] = options["max_workers"]
        executor, is_ours = choose_executor(given, options, default="sync")
        if executor.capabilities.isolation == "none":
            if is_ours:
                executor.shutdown(wait=False)
            return None
        if is_ours:
            self._ours.append(executor)
        return executor

    def close(self) -> None:
        """Shut down the executors that it has started. It may run again, and starts others then."""
        with self._lock:
            ours, self._sides, self._now = list(self._ours), {}, _UNKNOWN
            self._ours.clear()
        for executor in ours:
            executor.shutdown()

    def __enter__(self) -> Self:
        """Use it for a block, and close it then."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        workers = "" if self.max_workers is None else f", max_workers={self.max_workers}"
        return f"Engine(node_executor={self.node_executor!r}, map_executor={self.map_executor!r}{workers})"


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return WORDS.get(one, one) == WORDS.get(other, other)
    return one is other


def _shut_down(executors: list[Executor]) -> None:
    for executor in executors:
        executor.shutdown(wait=False)


_default = Engine()


def default_engine() -> Engine:
    """What runs a pipeline that has no engine."""
    return _default
