"""What a run is going to do: which nodes, in which order, on what. Nothing of it runs here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.errors import OptionsError, PipeError, UnsupportedCapabilityError
from pipe_core.project.compiled import selected_executor
from pipe_core.project.contracts import check_names
from pipe_core.project.state import RunState
from pipe_core.project.streaming.components import batch_nodes, components, is_streaming
from pipe_core.project.wiring import Choice, context_problem, count_problem

if TYPE_CHECKING:
    from pipe_core.graph.scope import OnError
    from pipe_core.project.compiled import Compiled
    from pipe_core.project.config.models import DatasetConfig, PipelineConfig
    from pipe_core.project.dates import DateWindow
    from pipe_core.project.ml_info import MLInfo
    from pipe_core.project.signature import Signature
    from pipe_core.project.streaming.components import Component
    from pipe_core.project.wiring import WiredNode, Wiring
    from pipe_core.runtime.retries import Retry

logger: Final = logging.getLogger("pipe_core.project.plan")

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
        compiled: The nodes that run.
        ml: What machine learning tells those nodes that it tells something.
        said: The settings of the pipeline as functions are told of them.
        executor: Where nodes run; None: as the settings say.
        max_workers: How many run at once.
        restored: The nodes that do not run, because they were done in an earlier part of the run.
    """

    asked: Asked
    compiled: Compiled
    ml: Mapping[str, MLInfo]
    said: Mapping[str, Any]
    executor: Any
    max_workers: int | None
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
    def executors(self) -> list[Any]:
        """Where nodes run, as it was said: secrets are only ever names."""
        return [self.executor, *(selected_executor(one.config.executor) for one in self.wiring.nodes.values())]

    @property
    def wiring(self) -> Wiring:
        """The nodes that run, in order."""
        return self.compiled.wiring

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The function of each."""
        return self.compiled.functions

    @property
    def takes(self) -> Mapping[str, Signature]:
        """What each of these takes."""
        return self.compiled.takes

    @property
    def retries(self) -> Mapping[str, Retry]:
        """When nodes are tried again."""
        return self.compiled.retries

    def check_context(self) -> None:
        """Look whether functions that want the context of machine learning get it. Raises `OptionsError`."""
        for name, takes in self.takes.items():
            if name not in self.ml and (error := context_problem(name, takes)) is not None:
                raise error

    def check_dates(self) -> None:
        """Look whether there are dates where a function, or the pipeline, wants some. Raises `OptionsError`."""
        if self.window is not None:
            return
        takers = [name for name, takes in self.takes.items() if takes.needs_dates]
        if takers or self.pipeline.requires_dates:
            who = f"node '{takers[0]}' takes them" if takers else "it says requires_dates"
            raise OptionsError(
                f"The pipeline '{self.pipeline.name}' needs dates ({who}): give start_date and end_date, or write "
                f"them under the pipeline or the project.",
                problems={"start_date": "missing", "end_date": "missing"},
            )

    @property
    def depends_on_dates(self) -> bool:
        """Whether another window makes a difference: to a function, or to a data set."""
        return any(takes.dates for takes in self.takes.values()) or any(
            self.wiring.datasets[name].date_column for node in self.wiring.nodes.values() for name in node.datasets
        )

    def warn_of_dates(self) -> None:
        """Warn somebody who has asked for dates where they make no difference."""
        if not self.depends_on_dates:
            logger.warning("%s %s", self._same_anyway, "It runs once, as without dates.")

    def check_pieces(self) -> None:
        """Look whether it makes a difference to run it for several windows. Raises `OptionsError`."""
        if not self.depends_on_dates:
            raise OptionsError(
                f"{self._same_anyway} To run it once: pipe run {self.pipeline.name}", problems={"start_date": "in vain"}
            )

    @property
    def _same_anyway(self) -> str:
        return (
            f"Nothing that runs of the pipeline '{self.pipeline.name}' depends on dates: it does the same for each "
            f"window. Let a function take start_date and end_date, or give a data set a date_column."
        )

    def check_places(self) -> None:
        """Look whether executors can do what nodes ask of them. Raises `UnsupportedCapabilityError`."""
        asking = [node for node in self.wiring.nodes.values() if node.config.timeout or node.config.resources]
        if not asking:
            return
        from pipe_core.project.validation.executor_checks import Places, unkept  # few nodes ask for anything

        places = Places()
        for node in asking:
            place = places.of(selected_executor(node.config.executor) or self.executor)
            if isinstance(place, PipeError):
                continue  # whoever starts it tells what is wrong with it
            for key, why in unkept(node.name, node.config, place).items():
                needs = "resources" if key == "resources" else "hard_timeout"
                raise UnsupportedCapabilityError(f"{why[:1].upper()}{why[1:]}.", capability=needs, executor=place.name)

    @property
    def used(self) -> dict[str, DatasetConfig]:
        """The data sets that its nodes load or save."""
        names = dict.fromkeys(name for node in self.wiring.nodes.values() for name in node.datasets)
        return {name: self.wiring.datasets[name] for name in names}

    def state(self) -> RunState:
        """The state of a run that has not begun."""
        state = RunState(breakers=self.compiled.breakers)
        for one in self.restored:
            state.register_node(one.name)
            state.begin_node(one.name)
            state.complete_node_execution(one.name, one.stored or None, {"restored": True})
        for name, node in self.wiring.nodes.items():
            state.register_node(name, "streaming" if is_streaming(node) else "batch", node.needs)
        return state

    @property
    def ending(self) -> dict[str, WiredNode]:
        """The nodes that end. Raises `DependencyError` where one of them needs one that does not."""
        return batch_nodes(self.wiring)

    @property
    def streams(self) -> list[Component]:
        """The groups of nodes that go through sources that do not end. Raises `DependencyError`."""
        return components(self.wiring)


def check_streams(wiring: Wiring) -> None:
    """Look whether streams can be run. Raises `DependencyError` where they, and what they need, do not fit together."""
    if any(map(is_streaming, wiring.nodes.values())):
        batch_nodes(wiring)
        components(wiring)


def node_problem(node: WiredNode, takes: Signature) -> tuple[str, PipeError] | None:
    """What is wrong with a node whose function *takes* that, behind the key that says so; None where nothing is."""
    try:
        check_names(node.name, node.config)
    except PipeError as error:
        return "contracts", error
    if (problem := count_problem(node, takes)) is not None:
        return "input" if node.config.input else "dependencies", problem
    return None
