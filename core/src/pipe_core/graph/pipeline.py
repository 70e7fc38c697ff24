"""`Pipeline`: nodes that find each other by name, run once or for many items."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

from pipe_core.graph.async_front import in_thread, streamed
from pipe_core.graph.caching.memory import Cache
from pipe_core.graph.errors import GraphError, InputError
from pipe_core.graph.items import check_inputs, names_of
from pipe_core.graph.keeping import Explanation, check_cache, explained
from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.node import Node, Parameter
from pipe_core.graph.plan import Plan
from pipe_core.graph.result import MapResult
from pipe_core.graph.scope import CancelToken, Run, Scope
from pipe_core.graph.wiring import Wiring
from pipe_core.kernel.index import suggestion

if TYPE_CHECKING:
    from os import PathLike

    from pipe_core.graph.pictures import Picture
    from pipe_core.graph.preview import Preview
    from pipe_core.graph.timings import Timed

_numbers = itertools.count(1)


class RunsPipelines(Protocol):
    """Runs pipelines: the `Engine`, or somebody else's.

    These three methods are all that a pipeline asks of its engine. Options are those that `Pipeline.run` and its like
    are given, and of coroutines ``token=`` and ``loop=``: `Pipeline.arun` and its like call the same methods, in a
    thread of their own. How a pipeline runs says `Pipeline.plan_for`. An engine that has a true ``takes_within`` is
    given ``within=`` by what is around a nested pipeline: the `Level` from which it inherits cache, callbacks and the
    end of the run.
    """

    @property
    def run(self) -> Callable[..., Any]:
        """``run(pipeline, inputs, output_name=None, **options)`` gives the outputs by name."""

    @property
    def imap(self) -> Callable[..., Any]:
        """``imap(pipeline, inputs, map_over, map_mode="zip", output_name=None, **options)`` yields them."""

    @property
    def map(self) -> Callable[..., Any]:
        """``map(pipeline, inputs, map_over, map_mode="zip", output_name=None, **options)`` gives those of each item."""


class Pipeline:
    """Functions that depend on each other.

    An output of a node is the input of every node that has a parameter of that name. What no node gives is an input of
    the pipeline. A pipeline is not changed by running, and may run several times at once.

    Args:
        nodes: `Node`s, functions, and other pipelines, in any order.
        engine: What runs it. Default: that of the pipeline around it, then as the settings say, then in the calling
            thread.
        cache: Where results are kept, to be found in later runs. Default: that of the pipeline around it, or none.
        callbacks: Who hears what happens; see `PipelineCallback`. Default: those of the pipeline around it.
        name: For messages, pictures and progress.
        check_types: Whether a pipeline is refused in which a node gives what another one cannot take, by the types that
            both say. What says none goes with everything.

    Raises:
        GraphError: The nodes cannot be wired; says which and why.
    """

    def __init__(
        self,
        nodes: Iterable[Node[..., Any] | Pipeline | PipelineNode | Callable[..., Any]],
        *,
        engine: RunsPipelines | None = None,
        cache: Cache | None = None,
        callbacks: Sequence[Any] | None = None,
        name: str | None = None,
        check_types: bool = False,
    ) -> None:
        self.name = name
        self.id = name or f"pipeline-{next(_numbers)}"
        self.engine = _checked(engine)
        self.cache = check_cache(cache)
        self.callbacks = _heard(callbacks)
        if not isinstance(nodes, Iterable):
            raise GraphError(f"A pipeline wants a list of nodes, Pipeline([...]), and this is one alone: {nodes!r}.")
        self.nodes = [_as_node(one) for one in nodes]
        if not self.nodes:
            raise GraphError("A pipeline wants at least one node.")
        self._bound: dict[str, Any] = {}
        self._wiring = Wiring(self.nodes)
        self._plans: dict[Any, Plan] = {}
        if check_types:
            from pipe_core.graph.edge_types import check_edges  # few pipelines ask for it

            check_edges(self)

    # --- what it is ---

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all that it gives."""
        return tuple(self._wiring.givers)

    @property
    def inputs(self) -> dict[str, Parameter]:
        """What it takes, by name, without what is bound."""
        return {name: one for name, one in self._wiring.inputs().items() if name not in self._bound}

    @property
    def bound_inputs(self) -> dict[str, Any]:
        """The inputs that `bind` has given."""
        return dict(self._bound)

    @property
    def unfulfilled_args(self) -> tuple[str, ...]:
        """The inputs that a run must be given."""
        return tuple(name for name, one in self.inputs.items() if one.is_required)

    @property
    def wiring(self) -> Wiring:
        """Who needs whom."""
        return self._wiring

    def __repr__(self) -> str:
        name = f" '{self.name}'" if self.name else ""
        takes = ", ".join(
            one.name if one.is_required else f"{one.name}={one.default!r:.20}" for one in self.inputs.values()
        )
        return f"<pipeline{name}: {len(self.nodes)} nodes, ({takes}) -> {', '.join(self.outputs)}>"

    # --- another one, nearly the same ---

    def bind(self, **inputs: Any) -> Pipeline:
        """A pipeline for which these *inputs* are given.

        Raises:
            InputError: It takes no such input.
        """
        self._check_known(inputs, self._wiring.inputs())
        other = self._copy()
        other._bound = {**self._bound, **inputs}
        return other

    def unbind(self, *names: str) -> Pipeline:
        """A pipeline for which these inputs, or all of them, are not given any more."""
        other = self._copy()
        other._bound = {name: value for name, value in self._bound.items() if names and name not in names}
        return other

    def with_engine(self, engine: RunsPipelines | None) -> Pipeline:
        """The same pipeline, run by *engine*."""
        other = self._copy()
        other.engine = _checked(engine)
        return other

    def with_cache(self, cache: Cache | None) -> Pipeline:
        """The same pipeline, whose results are kept in *cache*."""
        other = self._copy()
        other.cache = check_cache(cache)
        return other

    def with_callbacks(self, callbacks: Sequence[Any] | None) -> Pipeline:
        """The same pipeline, which tells *callbacks*."""
        other = self._copy()
        other.callbacks = _heard(callbacks)
        return other

    def with_name(self, name: str) -> Pipeline:
        """The same pipeline under another name."""
        other = self._copy()
        other.name = other.id = name
        return other

    def _copy(self) -> Pipeline:
        other = Pipeline.__new__(Pipeline)
        other.__dict__.update(self.__dict__, _plans={}, _bound=dict(self._bound))
        return other

    def as_node(
        self,
        input_mapping: Mapping[str, str] | None = None,
        output_mapping: Mapping[str, str] | None = None,
        map_over: str | Sequence[str] | None = None,
        map_mode: str = "zip",
        name: str | None = None,
    ) -> PipelineNode:
        """This pipeline as a step of another one.

        Args:
            input_mapping: Its inputs under other names: ``{outer: inner}``.
            output_mapping: Its outputs under other names: ``{inner: outer}``. Then only these are computed and seen.
            map_over: Outer inputs that have one value for each item. It runs once an item, and each output is a list.
            map_mode: ``"zip"`` for values of equal place, ``"product"`` for all combinations.
            name: What the step is called. Default: the pipeline's name.

        Raises:
            GraphError: A mapping names what there is not.
        """
        return PipelineNode(self, input_mapping, output_mapping, map_over, map_mode, name)

    def __getstate__(self) -> dict[str, Any]:
        # To a worker go the nodes, and not what runs them here.
        return {**self.__dict__, "engine": None, "callbacks": None, "_plans": {}}

    # --- running ---

    def run(
        self,
        inputs: Mapping[str, Any] | None = None,
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Run it once.

        Args:
            inputs: By name. Those with a default may be left out.
            output_name: The outputs to compute. What they do not need does not run. Default: all.
            engine: What runs it this time.
            **options: Of the engine; see `Engine.run`.

        Returns:
            The outputs by name.

        Raises:
            InputError: An input is missing or unknown.
            OutputNotFoundError: There is no such output.
            Exception: What a node raised, with a note that says which and with what.
        """
        found: dict[str, Any] = self._engine(engine).run(self, check_inputs(inputs), output_name, **options)
        return found

    def explain(
        self, inputs: Mapping[str, Any] | None = None, output_name: str | Sequence[str] | None = None
    ) -> list[Explanation]:
        """What a run with these inputs would find in the cache, and why the other nodes would run. Nothing runs.

        Args:
            inputs: As in `run`.
            output_name: As in `run`.
        """
        given = {**self._bound, **check_inputs(inputs)}
        return explained(self.plan_for(output_name, given), given, Scope(Run(), self))

    def plan(
        self,
        inputs: Mapping[str, Any] | None = None,
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        timings: Timed | None = None,
    ) -> Preview:
        """What a run would do: which nodes, where, and what of it is in the cache. Nothing runs, nothing is started.

        Args:
            inputs: As in `run`. Those that are missing are named, and what depends on them is not known.
            output_name: As in `run`.
            engine: As in `run`.
            timings: How long calls took before: the `RunRecorder` of a former run, the path of a file that one has
                saved, or seconds by node, such as its `summary`. With them comes an estimate. What they do not know is
                said, and not guessed.

        Returns:
            The nodes by level. Print it: as text it is a table.

        Raises:
            InputError: An input is unknown.
            OutputNotFoundError: There is no such output.
            PluginError: An executor cannot be used; says what to install.
            UnsupportedCapabilityError: A node needs something of its worker, where nobody knows what workers have.
            OptionsError: The timings are none.
        """
        from pipe_core.graph.preview import preview_of

        return preview_of(self, inputs, output_name, self._engine(engine), timings)

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """``pipeline(x=1)`` is ``pipeline.run({"x": 1})``."""
        return self.run(inputs)

    def map(
        self,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        **options: Any,
    ) -> MapResult:
        """Run it for each of many items.

        Args:
            inputs: By name; for those that are mapped over, one value for each item, in anything that can be iterated.
            map_over: Their names. All other inputs are the same for all items.
            map_mode: ``"zip"`` for values of equal place, ``"product"`` for all combinations, the last name fastest.
            output_name: As in `run`.
            engine: What runs it this time.
            **options: Of the engine; see `Engine.map`.

        Returns:
            A dictionary of outputs for each item, in their order; ``result["name"]`` is a column.

        Raises:
            MapError: The lengths differ, or something cannot be iterated over.
            Exception: As in `run`.
        """
        found: MapResult = self._engine(engine).map(
            self, check_inputs(inputs), map_over, map_mode, output_name, **options
        )
        return found

    def imap(
        self,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        **options: Any,
    ) -> Iterator[dict[str, Any]]:
        """As `map`, one item after the other as they are asked for: also of inputs without an end.

        Only a window of items has begun at any time. Leave the iteration, and the rest does not begin.

        Args:
            inputs: As in `map`. What is mapped over is read as it is needed.
            map_over: As in `map`.
            map_mode: As in `map`.
            output_name: As in `map`.
            engine: What runs it this time.
            **options: Of the engine; see `Engine.imap`.
        """
        found: Iterator[dict[str, Any]] = self._engine(engine).imap(
            self, check_inputs(inputs), map_over, map_mode, output_name, **options
        )
        return found

    async def arun(
        self,
        inputs: Mapping[str, Any] | None = None,
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        token: CancelToken | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """As `run`, from a coroutine. The event loop goes on; coroutine nodes run on it, other nodes never do.

        Cancelling the awaiting task cancels the run.
        """
        run, loop = self._engine(engine).run, asyncio.get_running_loop()
        return await in_thread(
            lambda token: run(self, check_inputs(inputs), output_name, token=token, loop=loop, **options), token
        )

    async def amap(
        self,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        token: CancelToken | None = None,
        **options: Any,
    ) -> MapResult:
        """As `map`, from a coroutine; see `arun`."""
        run, loop = self._engine(engine).map, asyncio.get_running_loop()
        return await in_thread(
            lambda token: run(
                self, check_inputs(inputs), map_over, map_mode, output_name, token=token, loop=loop, **options
            ),
            token,
        )

    def astream(
        self,
        inputs: Mapping[str, Any],
        map_over: str | Sequence[str],
        map_mode: str = "zip",
        output_name: str | Sequence[str] | None = None,
        *,
        engine: RunsPipelines | None = None,
        token: CancelToken | None = None,
        **options: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """As `imap`, from a coroutine: ``async for row in pipeline.astream(...)``; see `arun`."""
        run, loop = self._engine(engine).imap, asyncio.get_running_loop()
        return streamed(
            lambda token: run(
                self, check_inputs(inputs), map_over, map_mode, output_name, token=token, loop=loop, **options
            ),
            token,
        )

    def _engine(self, engine: RunsPipelines | None) -> RunsPipelines:
        chosen = self.engine if engine is None else _checked(engine)
        if chosen is not None:
            return chosen
        from pipe_core.graph.engine import default_engine

        return default_engine()

    def cli(self, argv: Sequence[str] | None = None) -> NoReturn:
        """Be a command: an option for each input, outputs as JSON on standard output, and an exit code.

        For the end of a script: ``if __name__ == "__main__": pipeline.cli()``. What nodes print goes to standard error.
        With ``--help`` it tells what it takes. Exit codes are those of the command `pipe`.

        Args:
            argv: The words behind the name of the script. Default: those that this process was called with.

        Raises:
            SystemExit: Always, with the exit code.
        """
        from pipe_core.graph.command_line import run_command

        raise SystemExit(run_command(self, argv))

    # --- to look at ---

    def visualize(
        self,
        filename: str | PathLike[str] | None = None,
        *,
        orient: Literal["TB", "LR"] = "TB",
        depth: int | None = 1,
        flatten: bool = False,
        show_types: bool = True,
        show_legend: bool = False,
        style: str = "default",
        format: str | None = None,
        min_arg_group_size: int | None = 2,
    ) -> Picture:
        """Draw it. Nothing runs.

        Args:
            filename: Where to write it. Its ending says as what: ``.svg``, ``.png``, ``.html``, ``.mmd`` (Mermaid) or
                ``.txt``. PNG needs ``pip install 'pipe-core[pictures]'``.
            orient: ``"TB"`` from top to bottom, ``"LR"`` from left to right.
            depth: How many levels are open: 1 shows nested pipelines as boxes, 2 shows what is in them, None shows all.
            flatten: Draw no frames around nested pipelines that are open; with a depth of 1, all are.
            show_types: Whether annotations are shown.
            show_legend: Whether it is said what the shapes mean.
            style: ``"default"``, ``"dark"``, ``"minimal"`` or ``"monochrome"``.
            format: As what *filename* is written, whatever its ending.
            min_arg_group_size: So many inputs that only one node takes are drawn as one; None for never.

        Returns:
            The picture: it shows itself in notebooks, has `svg`, `mermaid`, `text` and `html`, and `save(path)`.

        Raises:
            PictureError: The file cannot be written in this form; says what to install if it is that.
            GraphError: There is no such orientation, depth or style.
        """
        from pipe_core.graph.pictures import picture_of

        return picture_of(
            self,
            filename,
            orient=orient,
            depth=depth,
            flatten=flatten,
            show_types=show_types,
            show_legend=show_legend,
            style=style,
            format=format,
            min_arg_group_size=min_arg_group_size,
        )

    # --- for engines ---

    def plan_for(self, output_name: str | Sequence[str] | None, given: Iterable[str]) -> Plan:
        """How it runs when these outputs are wanted and these inputs are *given*.

        Raises:
            InputError: One is missing, or nothing takes it.
            OutputNotFoundError: There is no such output.
        """
        wanted = output_name if output_name is None or isinstance(output_name, str) else tuple(output_name)
        key = (wanted, *given)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._made(names_of(wanted) or self.outputs, frozenset(given))
        return plan

    def _made(self, wanted: tuple[str, ...], given: frozenset[str]) -> Plan:
        positions = self._wiring.upstream(wanted)
        known = self._wiring.inputs()
        self._check_known(given, known)
        missing = [
            name for name, one in self._wiring.inputs(positions).items() if one.is_required and name not in given
        ]
        if missing:
            needed = ", ".join(f"{name} (for {', '.join(self._takers(name))})" for name in missing)
            raise InputError(
                f"The pipeline{self._called()} lacks {'an input' if len(missing) == 1 else 'inputs'}: {needed}. "
                f"Given: {', '.join(sorted(given)) or 'nothing'}",
                missing=missing,
            )
        return Plan(self._wiring, wanted, given)

    def _check_known(self, given: Iterable[str], known: Mapping[str, Parameter]) -> None:
        unknown = [name for name in given if name not in known]
        if not unknown:
            return
        name = unknown[0]
        if name in self._wiring.givers:
            giver = self._wiring.nodes[self._wiring.givers[name]].name
            why = f"'{name}' is an output of the node '{giver}', and no input: leave it out, or leave that node out"
        else:
            why = f"nothing takes the input '{name}'.{suggestion(str(name), known)}"
            why += f" It takes: {', '.join(known) or 'nothing'}"
        raise InputError(f"The pipeline{self._called()} cannot be given that: {why}", unknown=unknown)

    def _takers(self, name: str) -> Iterator[str]:
        return (node.name for node in self.nodes if any(one.name == name for one in node.parameters))

    def _called(self) -> str:
        return f" '{self.name}'" if self.name else ""


def _as_node(given: Any) -> Node[..., Any] | PipelineNode:
    if isinstance(given, Node | PipelineNode):
        return given
    return given.as_node() if isinstance(given, Pipeline) else Node(given)


def _checked(engine: RunsPipelines | None) -> RunsPipelines | None:
    """*engine*, if it is one. Raises `GraphError`."""
    if engine is None or hasattr(engine, "run"):
        return engine
    example = repr(engine) if isinstance(engine, str) else "'threads'"
    raise GraphError(f"engine wants an Engine, such as Engine(map_executor={example}), not {engine!r}.")


def _heard(callbacks: Sequence[Any] | None) -> list[Any] | None:
    """*callbacks* in a list. Raises `GraphError` for names, which would hear nothing."""
    if callbacks is None:
        return None
    if isinstance(callbacks, str) or not isinstance(callbacks, Iterable):
        raise GraphError(f"callbacks wants a list of objects, not {callbacks!r}.")
    found = list(callbacks)
    for one in found:
        if isinstance(one, str):
            raise GraphError(
                f"A callback is an object with methods, not the name {one!r}: get_observer({one!r}) has one."
            )
    return found
