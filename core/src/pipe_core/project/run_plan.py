"""What a run is going to do: which nodes, in which order, on what. Nothing of it runs here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.node import Node
from pipe_core.graph.pipeline import Pipeline
from pipe_core.kernel.errors import OptionsError
from pipe_core.project.config.models import NodeConfig, RetryConfig
from pipe_core.project.config.secrets import reveal
from pipe_core.project.contracts import check_names
from pipe_core.project.signature import Signature
from pipe_core.project.state import RunState
from pipe_core.project.step import Around, output_of, step_of
from pipe_core.project.streaming.components import batch_nodes, components, is_streaming
from pipe_core.project.wiring import Choice
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.retries import Retry

if TYPE_CHECKING:
    from pipe_core.graph.scope import OnError
    from pipe_core.project.config.models import PipelineConfig
    from pipe_core.project.dates import DateWindow
    from pipe_core.project.ml_info import MLInfo
    from pipe_core.project.streaming.components import Component
    from pipe_core.project.wiring import WiredNode, Wiring


_ON_ERROR: Final[Mapping[str, OnError]] = {
    "fail_fast": "raise",
    "drain": "drain",
    "continue_independent": "continue",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for: all that a later process needs to ask for the same.

    Attributes:
        pipeline: The pipeline.
        choice: Which of its nodes.
        window: What it is about; None where it has no dates.
        model_version: What was said of it.
        hyperparams: What was said of them.
    """

    pipeline: PipelineConfig
    choice: Choice = field(default_factory=Choice)
    window: DateWindow | None = None
    model_version: str | None = None
    hyperparams: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run is going to do.

    Attributes:
        asked: What was asked for.
        wiring: The nodes that run, in order.
        functions: The function of each.
        takes: What each of these takes.
        ml: What machine learning tells those nodes that it tells something.
        said: The settings of the pipeline as functions are told of them.
        executor: Where nodes run; None: as the settings say.
        max_workers: How many run at once.
        breakers: What keeps nodes from starting while what they use fails.
        restored: The nodes that do not run, because they were done in an earlier part of the run.
    """

    asked: Asked
    wiring: Wiring
    functions: Mapping[str, Callable[..., Any]]
    takes: Mapping[str, Signature]
    ml: Mapping[str, MLInfo]
    said: Mapping[str, Any]
    executor: Any
    max_workers: int | None
    breakers: Mapping[str, CircuitBreaker]
    restored: tuple[WiredNode, ...] = ()

    @property
    def pipeline(self) -> PipelineConfig:
        """The pipeline."""
        return self.asked.pipeline

    @property
    def window(self) -> DateWindow | None:
        """What it is about."""
        return self.asked.window

    @property
    def on_error(self) -> OnError:
        """What the graph does when a node fails."""
        return _ON_ERROR[self.pipeline.on_failure]

    @property
    def retries(self) -> dict[str, Retry]:
        """When nodes are tried again."""
        found = {name: _retry(node.config) for name, node in self.wiring.nodes.items()}
        return {name: retry for name, retry in found.items() if retry is not None}

    def check(self) -> None:
        """Look whether functions take what they will be given.

        Raises:
            OptionsError: One takes another number of inputs, or needs dates and there are none; or a contract is of
                something that its node has not.
            DependencyError: Streams do not fit together, or a node that ends needs one that does not.
        """
        if any(map(is_streaming, self.wiring.nodes.values())):
            batch_nodes(self.wiring)
            components(self.wiring)
        for name, node in self.wiring.nodes.items():
            check_names(name, node.config)
            takes = self.takes[name]
            if (error := count_problem(node, takes)) is not None:
                raise error
            needs = takes.needs_dates or self.pipeline.requires_dates
            if needs and self.window is None:
                who = f"node '{name}' takes them" if takes.needs_dates else "it says requires_dates"
                raise OptionsError(
                    f"The pipeline '{self.pipeline.name}' needs dates ({who}): give start_date and end_date, or write "
                    f"them under the pipeline or the project.",
                    problems={"start_date": "missing", "end_date": "missing"},
                )

    def state(self) -> RunState:
        """The state of a run that has not begun."""
        state = RunState(breakers=self.breakers)
        for one in self.restored:
            state.register_node(one.name)
            state.begin_node(one.name)
            state.complete_node_execution(one.name, one.stored or None, {"restored": True})
        for name, node in self.wiring.nodes.items():
            state.register_node(name, "streaming" if is_streaming(node) else "batch", node.needs)
        return state

    def _place_of(self, config: NodeConfig) -> Any:
        """Where the node runs, if that is elsewhere than the others."""
        own = selected_executor(config.executor)
        return None if own == self.executor else reveal(own)

    @property
    def ending(self) -> dict[str, WiredNode]:
        """The nodes that end. Raises `DependencyError` where one of them needs one that does not."""
        return batch_nodes(self.wiring)

    @property
    def streams(self) -> list[Component]:
        """The groups of nodes that go through sources that do not end. Raises `DependencyError`."""
        return components(self.wiring)

    def as_graph(self, around: Around, callbacks: Sequence[Any], nodes: Mapping[str, WiredNode]) -> Pipeline:
        """The pipeline of functions that runs *nodes*."""
        retries = self.retries
        return Pipeline(
            [
                Node(
                    step_of(node, self.functions[name], self.takes[name], around, self.ml.get(name)),
                    output_of(name),
                    name=name,
                    retries=retries.get(name),
                    timeout=node.config.timeout,
                    executor=self._place_of(node.config),
                    resources=node.config.resources or None,
                    breaker=self.breakers.get(name),
                )
                for name, node in nodes.items()
            ],
            callbacks=callbacks,
            name=self.pipeline.name,
        )


def count_problem(node: WiredNode, takes: Signature) -> OptionsError | None:
    """Why a function cannot be given the inputs of its node; None where it can."""
    count = len(node.arguments)
    if takes.least <= count and (takes.most is None or count <= takes.most):
        return None
    wants = str(takes.least) if takes.most == takes.least else f"{takes.least} to {takes.most or 'any'}"
    given = ", ".join(map(str, node.arguments)) or "nothing"
    return OptionsError(
        f"The function of node '{node.name}' takes {wants} inputs, and it is given {count}: {given}. Correct 'input' "
        f"or 'dependencies' of the node, or the function.",
        problems={node.name: "another number of inputs"},
    )


def _retry(config: NodeConfig) -> Retry | None:
    said = config.retries
    if not said:
        return None
    if isinstance(said, RetryConfig):
        return Retry(
            said.attempts - 1,
            delay=said.delay,
            factor=said.backoff,
            max_delay=said.max_delay,
            jitter=said.jitter,
            on=_Named(said.on) if said.on else None,
        )
    return Retry(said)


@dataclass(frozen=True, slots=True)
class _Named:
    """Errors by the names of their classes, or of classes that they inherit."""

    names: tuple[str, ...]

    def __call__(self, error: BaseException) -> bool:
        known = itertools.chain.from_iterable(
            (kind.__name__, f"{kind.__module__}.{kind.__qualname__}") for kind in type(error).__mro__
        )
        return any(name in self.names for name in known)


def selected_executor(said: Any) -> Any:
    """An executor as the engine wants it: files say the options of one as a mapping."""
    if isinstance(said, Mapping):
        return said["name"], {key: value for key, value in said.items() if key != "name"}
    return said
