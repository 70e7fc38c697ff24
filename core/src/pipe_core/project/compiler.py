"""From the nodes of a pipeline to what runs: wired, with their functions, compiled once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipe_core.kernel.errors import PipeError
from pipe_core.project.compiled import Compiled, retry_of, selected_executor
from pipe_core.project.config.models import BreakerConfig, NodeConfig
from pipe_core.project.dependencies import get_node_dependencies, unknown_node
from pipe_core.project.errors import DependencyError
from pipe_core.project.runs.plan import check_streams, node_problem
from pipe_core.project.signature import Signature
from pipe_core.project.wiring import Choice, Wiring, effective_nodes, wire
from pipe_core.runtime.permits import CircuitBreaker

if TYPE_CHECKING:
    from pipe_core.project.config.models import PipelineConfig
    from pipe_core.project.project import Project


class Compiler:
    """Compiles nodes of one project. Safe under threads.

    Breakers are its own: what they saw in one run counts in the next.

    Args:
        project: The project.
        executor: Where nodes run, whatever the project says; None: as it says.
    """

    def __init__(self, project: Project, executor: Any) -> None:
        self._project = project
        self._executor = executor
        self._breakers: dict[str, CircuitBreaker] = {}
        self._known: dict[tuple[str, Choice], Compiled] = {}
        self._lock = threading.Lock()

    def pipeline(self, pipeline: PipelineConfig, choice: Choice) -> Compiled:
        """The chosen nodes of *pipeline*; those of one of the project's own are compiled once. Raises `PipeError`."""
        if self._project.pipelines.get(pipeline.name) is not pipeline:
            return self.nodes(effective_nodes(self._project, pipeline), pipeline, choice)
        key = pipeline.name, choice
        with self._lock:
            compiled = self._known.get(key)
        if compiled is None:
            compiled = self.nodes(effective_nodes(self._project, pipeline), pipeline, choice)
            with self._lock:
                self._known[key] = compiled
        return compiled

    def nodes(
        self,
        configs: Mapping[str, NodeConfig],
        pipeline: PipelineConfig,
        choice: Choice,
        selected: Sequence[str] | None = None,
        kept: Collection[str] = (),
    ) -> Compiled:
        """Nodes that are configured so. See `wire`. Raises `PipeError`, with the place of what is wrong."""
        wiring = self._wired(configs, pipeline, choice, selected, kept)
        functions = {name: self._function(name, node.config) for name, node in wiring.nodes.items()}
        takes = {name: Signature.of(function) for name, function in functions.items()}
        for name, node in wiring.nodes.items():
            if (problem := node_problem(node, takes[name])) is not None:
                key, error = problem
                raise self._placed(error, "nodes", name, key)
        retries = {name: retry_of(node.config) for name, node in wiring.nodes.items()}
        said = (self._executor, pipeline.executor, self._project.settings.executor)
        return Compiled(
            wiring=wiring,
            functions=functions,
            takes=takes,
            retries={name: retry for name, retry in retries.items() if retry is not None},
            breakers=self._breakers_of(wiring),
            executor=selected_executor(next((one for one in said if one), None)),
        )

    def configs(
        self, names: Sequence[str], given: Mapping[str, Any] | None, dag: Mapping[str, Iterable[str]]
    ) -> dict[str, NodeConfig]:
        """The configurations of *names*, as they are *given* or as the project has them, with the edges of *dag*.

        Raises:
            NodeNotFoundError: There is none of that name.
            pydantic.ValidationError: What is given is none.
        """
        there = self._project.nodes if given is None else given
        found = {}
        for name in names:
            one = there.get(name)
            if one is None:
                raise unknown_node(name, there)
            config = one if isinstance(one, NodeConfig) else NodeConfig.model_validate({"name": name, **one})
            more = [other for other in names if name in set(dag.get(other, ()))]
            if more:
                known = list(dict.fromkeys([*get_node_dependencies(config), *more]))
                config = config.model_copy(update={"dependencies": known})
            found[name] = config
        return found

    def _wired(
        self,
        configs: Mapping[str, NodeConfig],
        pipeline: PipelineConfig,
        choice: Choice,
        selected: Sequence[str] | None,
        kept: Collection[str],
    ) -> Wiring:
        wrong: list[tuple[str, DependencyError]] = []

        def note(node: str, error: DependencyError) -> None:
            wrong.append((node, error))

        try:
            wiring = wire(configs, self._project.datasets, choice, selected, kept, wrong=note)
            if not wrong:
                check_streams(wiring)
        except DependencyError as error:
            self._placed(error, "pipelines", pipeline.name, "nodes")
            raise
        for node, problem in wrong:
            raise self._placed(problem, "nodes", node, "input")
        return wiring

    def _placed(self, error: PipeError, *keys: str) -> PipeError:
        """*error*, which begins with the place of what *keys* lead to, where a file of the project has one."""
        kind, name, _ = keys
        known: Mapping[str, object] = self._project.nodes if kind == "nodes" else self._project.pipelines
        place = self._project.place(*keys) if name in known else ""
        if place.rpartition(":")[2].isdecimal():
            error.args = (f"{place}: {error}", *error.args[1:])
        return error

    def _function(self, name: str, config: NodeConfig) -> Callable[..., Any]:
        return config.function if callable(config.function) else self._project.function(name)

    def _breakers_of(self, wiring: Wiring) -> dict[str, CircuitBreaker]:
        found = {}
        for name, node in wiring.nodes.items():
            said = BreakerConfig() if node.config.breaker is True else node.config.breaker
            if isinstance(said, BreakerConfig):
                key = said.resource or f"node {name}"
                with self._lock:
                    if key not in self._breakers:
                        self._breakers[key] = CircuitBreaker(key, said.failures, said.reset_after, waits=True)
                    found[name] = self._breakers[key]
        return found
