"""`Engine`: where the nodes of a pipeline run, and where the items of a map."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pipe_core.graph.errors import GraphError, items_failed
from pipe_core.graph.flow import Flow
from pipe_core.graph.frames import Group
from pipe_core.graph.inline import each_in_line, run_plan
from pipe_core.graph.items import check_mode, count_of, items_of, names_of
from pipe_core.graph.keeping import values_of
from pipe_core.graph.levels import Level, MapLevel
from pipe_core.graph.observing import callbacks_of_settings
from pipe_core.graph.plan import Plan, Values
from pipe_core.graph.result import FailedRow, ItemFailure, MapResult
from pipe_core.graph.scope import CancelToken, Item, OnError, Run, Scope
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.settings import using_layers
from pipe_core.looks.redaction import public
from pipe_core.runtime.select import choose_executor

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

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

    takes_within = True
    """Whether it takes ``within=``: what a nested pipeline inherits."""

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
        self._on_loops: weakref.WeakKeyDictionary[Executor, tuple[Any, dict[str, Any]]] = weakref.WeakKeyDictionary()
        self._others: dict[Hashable, Executor | None] = {}
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
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        loop: AbstractEventLoop | None = None,
        within: Level | None = None,
    ) -> dict[str, Any]:
        """See `Pipeline.run`.

        Args:
            pipeline: What to run.
            inputs: By name.
            output_name: The outputs that are wanted.
            timeout: In how many seconds it must have ended. What runs then is waited for, and nothing else begins.
            on_error: ``"raise"`` ends the run with the first failure. ``"continue"`` runs all that does not depend on
                what has failed, and gives the outputs that there are. ``"collect"`` does, and then raises all failures.
                ``"drain"`` begins nothing more, lets what runs come to its end, with its attempts, and raises the first
                failure.
            token: Whose ``cancel()`` ends it.
            loop: A running event loop, of another thread, for coroutines. `Pipeline.arun` gives its own.
            within: The activation of the pipeline around it, of which it inherits what it has not of its own.

        Raises:
            TimeoutError: It has not.
            ItemsFailedError: Some nodes have failed, with ``on_error="collect"``.
        """
        if bound := pipeline.bound_inputs:
            inputs = {**bound, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        around, item = (None, ()) if within is None else (within.scope, within.item)
        with Run(loop, timeout, on_error, token, None if around is None else around.run) as run:
            sides = self._sides_of(run)
            scope = Scope(run, pipeline, around, _callbacks(around), engine=self)
            if sides == _NOBODY and not plan.policies:
                values = values_of(plan, inputs, scope)
                failures: list[Exception] | None = [] if run.goes_on and not run.drains else None
                run_plan(plan, values, scope, item, failures)
                if failures is None:
                    return plan.results(values)
                outputs = plan.found(values)
            else:
                group = Group(plan, scope, iter([dict(inputs)]), item)
                self._flow(run, sides, plan, mapped=False).drive(group)
                outputs, failures = group.results[0], group.errors
        if failures and on_error == "drain":
            raise failures[0]
        if failures and on_error == "collect":
            raise items_failed(failures, len(plan.steps), "nodes", outputs)
        return outputs

    def map(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        timeout: float | None = None,
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        loop: AbstractEventLoop | None = None,
        within: Level | None = None,
    ) -> MapResult:
        """See `Pipeline.map`.

        Args:
            pipeline: What to run.
            inputs: By name.
            map_over: Those that have one value for each item.
            map_mode: ``"zip"`` or ``"product"``.
            output_name: The outputs that are wanted.
            timeout: As in `run`, for all items together.
            on_error: As in `run`. An item that has failed has None for each output, and stands in `MapResult.failed`.
            token: As in `run`.
            loop: As in `run`.
            within: As in `run`.
        """
        inputs = {**pipeline.bound_inputs, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        over = names_of(map_over)
        items = items_of(inputs, over, check_mode(map_mode))
        fixed = {name: value for name, value in inputs.items() if name not in over}
        total = count_of(inputs, over, map_mode)
        around = None if within is None else within.scope.run
        _check_of_map(on_error)
        run = Run(loop, timeout, on_error, token, around)
        return self._mapped(pipeline, plan, items, total, fixed, on_error, run, within)

    def _mapped(
        self,
        pipeline: Pipeline,
        plan: Plan,
        items: Iterator[dict[str, Any]],
        total: int | None,
        fixed: dict[str, Any],
        on_error: OnError,
        run: Run,
        within: Level | None = None,
    ) -> MapResult:
        with run:
            sides = self._sides_of(run)
            scope_around = None if within is None else within.scope
            scope = Scope(run, pipeline, scope_around, _callbacks(scope_around), engine=self)
            around = MapLevel(scope, () if within is None else within.item, total, fixed)
            if sides == _NOBODY and not plan.policies:
                found = list(each_in_line(plan, items, around))
                rows = [row for row, _ in found]
                failed = [failure for _, failure in found if failure is not None]
            else:
                group = Group(plan, scope, items, around.item, around=around)
                self._flow(run, sides, plan, mapped=True).drive(group)
                rows = group.rows()
                failed = [ItemFailure(index, *what) for index, what in sorted(group.failed.items())]

        def again(inputs: list[Mapping[str, Any]]) -> MapResult:
            another = Run(None, run.timeout, "continue", run.token)  # perhaps long behind the end of its loop
            return self._mapped(pipeline, plan, iter(map(dict, inputs)), len(inputs), fixed, "continue", another)

        result = MapResult(rows, plan.outputs, failed, again)
        if failed and on_error == "collect":
            raise items_failed([one.error for one in failed], len(rows), "items", result)
        return result

    def imap(
        self,
        pipeline: Pipeline,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        ordered: bool = True,
        window: int | None = None,
        timeout: float | None = None,
        on_error: OnError = "raise",
        token: CancelToken | None = None,
        loop: AbstractEventLoop | None = None,
    ) -> Iterator[dict[str, Any]]:
        """See `Pipeline.imap`.

        Args:
            pipeline: What to run.
            inputs: By name.
            map_over: Those that have one value for each item.
            map_mode: ``"zip"`` or ``"product"``.
            output_name: The outputs that are wanted.
            ordered: Whether outputs come in the order of the items, or as soon as they are there.
            window: How many items may have begun whose outputs nobody has taken. Default: four for each that can run.
            timeout: As in `map`.
            on_error: As in `map`; the row of an item that has failed is a `FailedRow`. Errors that are collected are
                raised behind the last row.
            token: As in `map`.
            loop: As in `map`.
        """
        inputs = {**pipeline.bound_inputs, **inputs}
        plan = pipeline.plan_for(output_name, inputs)
        over = names_of(map_over)
        items = items_of(inputs, over, check_mode(map_mode))
        _check_of_map(on_error)
        with Run(loop, timeout, on_error, token) as run:
            sides = self._sides_of(run)
            scope = Scope(run, pipeline, None, _callbacks(None), engine=self)
            fixed = {name: value for name, value in inputs.items() if name not in over}
            around = MapLevel(scope, (), count_of(inputs, over, map_mode), fixed)
            if sides == _NOBODY and not plan.policies:
                errors: list[Exception] = []
                count = 0
                for count, (row, failure) in enumerate(each_in_line(plan, items, around), 1):  # noqa: B007
                    if failure is not None:
                        errors.append(failure.error)
                    yield row if failure is None else FailedRow(row, failure)
            else:
                wide = window or 4 * max(2 if side is None else side.slots for side in sides)
                group = Group(plan, scope, items, around=around, window=wide)
                errors = group.errors
                for index, row in self._flow(run, sides, plan, mapped=True).stream(group, ordered=ordered):
                    failed = group.failed.pop(index, None)
                    yield row if failed is None else FailedRow(row, ItemFailure(index, *failed))
                count = group.count
            if errors and on_error == "collect":
                raise items_failed(errors, count, "items", None)

    def run_values(self, plan: Plan, values: Values, scope: Scope, item: Item) -> None:
        """Run *plan* on *values*, which hold the results then. For workers of other processes."""
        group = Group(plan, scope, iter([{name: values[slot] for name, slot in plan.inputs.items()}]), item)
        self._flow(scope.run, self._executors(), plan, mapped=False).drive(group)
        for name, value in group.results[0].items():
            values[plan.outputs[name]] = value

    def _flow(self, run: Run, sides: Sides, plan: Plan, *, mapped: bool) -> Flow:
        from pipe_core.graph.layout import Layout  # most runs are in the calling thread, and need none
        from pipe_core.graph.remote import Homes

        if self._homes is None:
            self._homes = Homes()
        inside = None
        if isinstance(self.node_executor, str) and sides[0] is not None and sides[0].capabilities.in_process:
            inside = WORDS.get(self.node_executor, self.node_executor), self.max_workers
        layout = Layout(*sides, self._homes, inside, self._places(plan, sides, run), run.shares_loop)
        layout.check(plan, self, mapped=mapped)
        return Flow(run, layout)

    # --- executors ---

    def _executors(self) -> Sides:
        """Where nodes run, and where items do; None for the calling thread."""
        layers, sides = self._now
        if layers is using_layers():
            return sides
        with self._lock:
            return self._chosen()

    def _sides_of(self, run: Run) -> Sides:
        """The executors of *run*. One for coroutines is another one where they belong on a loop of somebody's."""
        nodes, items = self._executors()
        there = self._on_loop(run, nodes)
        return there, there if items is nodes else self._on_loop(run, items)

    def _on_loop(self, run: Run, executor: Executor | None) -> Executor | None:
        if executor is None or run.given is None or executor not in self._on_loops:
            return executor
        given, options = self._on_loops[executor]
        made, _ = choose_executor(given, {**options, "loop": run.given}, default=None)
        run.executors.append(made)
        return made

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

    def _places(self, plan: Plan, sides: Sides, run: Run) -> dict[Hashable, Executor | None]:
        """Where the nodes of *plan* run that have an executor of their own: where others do, if it is the same."""
        own = {one.place: one.executor for one in plan.policies if one.executor is not None}
        if not own:
            return {}
        said = current_kernel().settings.get("executor").value
        asked = [said if one is None else one for one in (self.node_executor, self.map_executor)]
        found: dict[Hashable, Executor | None] = {}
        for place, given in own.items():
            same = [side for one, side in zip(asked, sides, strict=True) if _is_same(one, given)]
            found[place] = same[0] if same else self._on_loop(run, self._other(place, given))
        return found

    def _other(self, place: Hashable, given: Any) -> Executor | None:
        with self._lock:
            if place not in self._others:
                self._others[place] = self._started(given, None)
            return self._others[place]

    def _started(self, given: Any, said: Any) -> Executor | None:
        given = WORDS.get(given, given) if isinstance(given, str) else given
        name = said if given is None else given
        if name in (None, "sync"):
            return None
        options = self.options_for(name)
        executor, is_ours = choose_executor(given, options, default="sync")
        if executor.capabilities.isolation == "none":
            if is_ours:
                executor.shutdown(wait=False)
            return None
        if is_ours:
            self._ours.append(executor)
            if executor.capabilities.native_async:
                self._on_loops[executor] = given if given is not None else said, options
        return executor

    def options_for(self, executor: Any) -> dict[str, Any]:
        """The options with which it starts an executor that is asked for as *executor*."""
        options = {} if self.max_workers is None else {"max_workers": self.max_workers}
        if executor == "asyncio":
            options = {"max_workers": ASYNC_SLOTS, "concurrency": ASYNC_SLOTS, **options}
            options["concurrency"] = options["max_workers"]
        return options

    def close(self) -> None:
        """Shut down the executors that it has started. It may run again, and starts others then."""
        with self._lock:
            ours, self._sides, self._others, self._now = list(self._ours), {}, {}, _UNKNOWN
            self._ours.clear()
        for executor in ours:
            executor.shutdown()

    def terminate(self) -> None:
        """Shut down the executors that it has started, and end by force what runs there, where that can be."""
        for executor in list(self._ours):
            executor.terminate()

    def __reduce__(self) -> tuple[Any, ...]:
        return Engine, ("sync", "sync")  # a worker that has one runs in line what is inside of its call

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __enter__(self) -> Self:
        """Use it for a block, and close it then."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        workers = "" if self.max_workers is None else f", max_workers={self.max_workers}"
        nodes, items = public(self.node_executor), public(self.map_executor)
        return f"Engine(node_executor={nodes!r}, map_executor={items!r}{workers})"


def _check_of_map(on_error: OnError) -> None:
    if on_error == "drain":
        raise GraphError("on_error='drain' is for runs. A map knows 'raise', 'continue' and 'collect'.")


def _callbacks(around: Scope | None) -> tuple[Any, ...] | None:
    """Of a run that has none of its own: those of the settings, or of what is *around*."""
    return None if around is not None else callbacks_of_settings() or None


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
