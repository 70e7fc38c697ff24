"""Whether a pipeline of a project can run: its wiring, its functions, its dates, and where its nodes run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.errors import PipeError
from pipe_core.project.compiled import selected_executor
from pipe_core.project.config.models import NodeConfig, PipelineConfig
from pipe_core.project.contracts import check_names
from pipe_core.project.dates import DateWindow
from pipe_core.project.dependencies import needed_by_each
from pipe_core.project.signature import Signature
from pipe_core.project.streaming.components import components
from pipe_core.project.validation.catalog_checks import check_schema
from pipe_core.project.validation.conflicts import find_conflicts
from pipe_core.project.validation.executor_checks import Places, unkept
from pipe_core.project.validation.format_policy import FormatPolicy
from pipe_core.project.validation.hybrid import validate_hybrid_pipeline
from pipe_core.project.validation.nodes_read import is_streaming
from pipe_core.project.validation.report import Findings
from pipe_core.project.wiring import Wiring, context_problem, count_problem, effective_nodes, wire

if TYPE_CHECKING:
    from pipe_core.project.project import Project


@dataclass(slots=True)
class PipelineChecks:
    """Looks at one pipeline after the other.

    Attributes:
        project: The project.
        findings: Is told what is wrong.
        executor: Where everything runs, if somebody says so.
        policy: Which formats batches and streams have.
        taken: The outputs that a node takes in any pipeline, as node and output.
        given: The outputs that are neither stored nor taken in the pipelines so far, as node and output.
    """

    project: Project
    findings: Findings
    executor: Any = None
    policy: FormatPolicy = field(default_factory=FormatPolicy)
    taken: set[tuple[str, str]] = field(default_factory=set)
    given: dict[tuple[str, str], str] = field(default_factory=dict)
    _places: Places = field(default_factory=Places)
    _takes: dict[str, Signature] = field(default_factory=dict)

    def check(self, name: str, pipeline: PipelineConfig) -> None:
        """Look at *pipeline*."""
        nodes = effective_nodes(self.project, pipeline)
        self._check_dates(name, pipeline, nodes)
        for node, config in nodes.items():
            self._check_place(node, config, pipeline)
            if config.contracts != self.project.nodes[node].contracts:  # the pipeline says others
                self.check_node(node, config)
        if wiring := self._wired(name, nodes):
            self._check_functions(wiring, pipeline)
            self._note_outputs(name, wiring)
            self._check_conflicts(name, nodes)
        streams = [node for node, config in nodes.items() if is_streaming(config, self.policy)]
        if streams or pipeline.type in ("streaming", "hybrid"):
            self._check_streams(name, pipeline, nodes, streams)

    # --- nodes ---

    def check_node(self, name: str, config: NodeConfig) -> None:
        """Look at what a node says, wherever it runs."""
        try:
            check_names(name, config)
        except PipeError as error:
            self.findings.error(str(error), "nodes", name, "contracts")
        for side in ("inputs", "outputs"):
            for one, contract in getattr(config.contracts, side).items():
                check_schema(contract.record_schema, self.findings, "nodes", name, "contracts", side, one)

    def _signature(self, name: str) -> Signature:
        if name not in self._takes:
            self._takes[name] = Signature.of(self.project.function(name))
        return self._takes[name]

    def _check_functions(self, wiring: Wiring, pipeline: PipelineConfig) -> None:
        for name, node in wiring.nodes.items():
            is_ml = "ml" in (pipeline.type, node.config.type)
            if not is_ml and (error := context_problem(name, self._signature(name))) is not None:
                self.findings.error(str(error), "nodes", name, "type")
            if (error := count_problem(node, self._signature(name))) is not None:
                key = "input" if node.config.input else "dependencies"
                self.findings.error(str(error), "nodes", name, key)

    def _check_place(self, name: str, config: NodeConfig, pipeline: PipelineConfig) -> None:
        usual = next((one for one in (self.executor, pipeline.executor, self.project.settings.executor) if one), None)
        place = self._places.of(selected_executor(config.executor or usual))
        if isinstance(place, PipeError):
            self.findings.error(str(place), *self._where_from(name, config, pipeline))
            return
        for key, text in unkept(name, config, place).items():
            own = getattr(self.project.nodes[name], key)
            where = ("nodes", name) if own else ("pipelines", pipeline.name)
            self.findings.error(text, *where, key)

    def _where_from(self, name: str, config: NodeConfig, pipeline: PipelineConfig) -> tuple[str, ...]:
        if config.executor:
            return ("nodes", name, "executor")
        return ("pipelines", pipeline.name, "executor") if pipeline.executor else ("project", "executor")

    # --- the whole ---

    def _wired(self, name: str, nodes: Mapping[str, NodeConfig]) -> Wiring | None:
        try:
            return wire(
                nodes,
                self.project.datasets,
                wrong=lambda node, error: self.findings.error(str(error), "nodes", node, "input"),
            )
        except PipeError as error:
            self.findings.error(str(error), "pipelines", name, "nodes")
            return None

    def _check_dates(self, name: str, pipeline: PipelineConfig, nodes: Mapping[str, NodeConfig]) -> None:
        settings = self.project.settings
        start, end = pipeline.start_date or settings.start_date, pipeline.end_date or settings.end_date
        try:
            window = DateWindow.of(start, end)
        except PipeError as error:
            self.findings.error(str(error), "pipelines", name, "end_date" if start else "start_date")
            return
        takers = [node for node in nodes if self._signature(node).needs_dates]
        if window is None and (takers or pipeline.requires_dates):
            who = f"node '{takers[0]}' takes them" if takers else "it says requires_dates"
            self.findings.warning(
                f"the pipeline '{name}' needs dates ({who}), and no file says them: give --start-date and --end-date "
                f"to each run, or write them under the pipeline or the project",
                *("pipelines", name),
            )

    def _note_outputs(self, name: str, wiring: Wiring) -> None:
        for node in wiring.nodes.values():
            for argument in node.arguments:
                if argument.node is not None and argument.node in wiring.nodes:
                    outputs = wiring.nodes[argument.node].outputs
                    which = outputs if argument.index is None else (outputs[argument.index],)
                    self.taken |= {(argument.node, one) for one in which}
            for output in node.outputs:
                if output not in node.stored:
                    self.given.setdefault((node.name, output), name)

    def _check_conflicts(self, name: str, nodes: Mapping[str, NodeConfig]) -> None:
        for conflict in find_conflicts(nodes, self.project.datasets, needed_by_each(list(nodes), nodes)):
            text = f"in the pipeline '{name}': {conflict}"
            if conflict.kind == "order":
                self.findings.warning(text, "nodes", conflict.nodes[-1], "input")
            elif not self._only_appends(conflict.nodes, nodes):
                self.findings.error(text, "nodes", conflict.nodes[-1], "output")

    def _only_appends(self, names: tuple[str, ...], nodes: Mapping[str, NodeConfig]) -> bool:
        outputs = [one for name in names for one in nodes[name].output]
        found = [self.project.datasets.get(one) if isinstance(one, str) else one for one in outputs]
        return all(one is not None and one.mode == "append" for one in found)

    def _check_streams(
        self, name: str, pipeline: PipelineConfig, nodes: Mapping[str, NodeConfig], streams: list[str]
    ) -> None:
        if streams and pipeline.type not in ("streaming", "hybrid"):
            self.findings.warning(
                f"the pipeline '{name}' is of the type {pipeline.type}, and '{streams[0]}' is a stream: write type: "
                f"{'streaming' if len(streams) == len(nodes) else 'hybrid'}",
                *("pipelines", name, "type"),
            )
        report = validate_hybrid_pipeline(pipeline, nodes, self.policy, catalog=self.project.datasets)
        for text in report["errors"] or self._misfits(nodes):
            self.findings.error(text, "pipelines", name, "nodes")
        conflicts = {str(one) for one in find_conflicts(nodes, self.project.datasets, {})}
        for text in report["warnings"]:
            if text not in conflicts:  # these are told of by themselves
                self.findings.warning(text, "pipelines", name, "nodes")

    def _misfits(self, nodes: Mapping[str, NodeConfig]) -> list[str]:
        """Why streams that go together with what they follow could not be started."""
        try:
            components(wire(nodes, self.project.datasets))
        except PipeError as error:
            return [str(error)]
        return []
