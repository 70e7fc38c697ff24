"""`Runner`: runs pipelines of a project on any executor, on the graph's engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pipe_core.graph.engine import Engine
from pipe_core.project.catalog import Catalog
from pipe_core.project.config.models import NodeConfig, PipelineConfig
from pipe_core.project.dates import DateWindow
from pipe_core.project.dependencies import build_dependency_graph, unknown_node
from pipe_core.project.errors import RunFailedError
from pipe_core.project.ml_info import MLInfo, prepare_ml_info
from pipe_core.project.open_run import OpenRun
from pipe_core.project.run_plan import Choice, RunPlan, selected_executor
from pipe_core.project.run_result import NodeResult, RunResult, RunStatus, error_text
from pipe_core.project.state import NodeStatus, RunState
from pipe_core.project.step import Around
from pipe_core.project.watch import Watch
from pipe_core.project.wiring import effective_nodes, select_nodes, wire

if TYPE_CHECKING:
    from datetime import date

    from pipe_core.graph.scope import OnError
    from pipe_core.project.model_registry import ModelRegistry
    from pipe_core.project.project import Project

logger: Final = logging.getLogger("pipe_core.project")

_ON_ERROR: Final[Mapping[str, OnError]] = {
    "fail_fast": "raise",
    "drain": "raise",
    "continue_independent": "continue",
}


class Runner:
    """Runs the pipelines of a project, and nodes of it by themselves.

    A node runs as soon as what it needs is done. Its executors are started with the first run, and shut down by `close`
    or at the end of a ``with`` block.

    Args:
        project: The project.
        executor: Where nodes run: anything that `get_executor` takes. Default: as the pipeline, then the project, then
            the settings say.
        max_workers: How many run at once. Default: alike, and then as the executor has it.
        session: Anything; it is handed to functions that take ``ml_context``, as its ``session``.
        registry: Where models are kept, for the version ``latest``.

    Attributes:
        state: The state of the last run, or of the one that goes on. None before the first.
    """

    def __init__(
        self,
        project: Project,
        executor: Any = None,
        max_workers: int | None = None,
        *,
        session: Any = None,
        registry: ModelRegistry | None = None,
    ) -> None:
        self.project = project
        self.executor = executor
        self.max_workers = max_workers
        self.session = session
        self.registry = registry
        self.state: RunState | None = None
        self._engines: dict[tuple[str, int | None], Engine] = {}
        self._lock = threading.Lock()

    # --- what users call ---

    def run(
        self,
        pipeline: str | PipelineConfig,
        *,
        nodes: str | Iterable[str] = (),
        start_from: str | Iterable[str] = (),
        up_to: str | Iterable[str] = (),
        tags: str | Iterable[str] = (),
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        model_version: str | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        journal: bool = True,
        keep: bool = False,
        callbacks: Sequence[Any] = (),
    ) -> RunResult:
        """Run a pipeline, or some of its nodes.

        Args:
            pipeline: Its name.
            nodes: Only these.
            start_from: These, and whatever needs them.
            up_to: These, and whatever they need.
            tags: Those that have one of these tags.
            start_date: The first day of the window. Default: the pipeline's, then the project's.
            end_date: The last day of it, alike.
            model_version: The version of models.
            hyperparams: They win over those of the files.
            journal: Whether the run is kept in the project's folder of runs, so that it can be resumed.
            keep: Whether the result of every node is kept to the end.
            callbacks: Hear what happens; see `pipe_core.graph.callbacks.PipelineCallback`.

        Raises:
            RunFailedError: A node has failed; its error is the cause, and `result` has all that is known of the run.
            PipeError: The pipeline cannot run as it was asked for. Nothing has run.
        """
        config = self.project.get_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
        configs = effective_nodes(self.project, config)
        choice = Choice(_names(nodes), _names(start_from), _names(up_to), _names(tags))
        plan = self.prepare(
            config,
            configs,
            choice,
            window=self._window(config, configs, start_date, end_date),
            model_version=model_version,
            hyperparams=hyperparams,
        )
        with OpenRun(plan, self._runs() if journal else None) as opened:
            return self._drive(plan, opened, keep=keep, callbacks=callbacks)

    def run_node(self, name: str, **options: Any) -> RunResult:
        """Run one node of the project. What it takes from others is loaded from the catalog.

        Args:
            name: The node.
            **options: As `run`.
        """
        return self.run_nodes([name], **options)

    def run_nodes(self, names: Iterable[str], **options: Any) -> RunResult:
        """Run some nodes of the project, those that need each other in order.

        Args:
            names: The nodes.
            **options: As `run`.
        """
        names = list(names)
        for name in names:
            if name not in self.project.nodes:
                raise unknown_node(name, self.project.nodes)
        around = PipelineConfig(name=",".join(names), nodes=tuple(self.project.nodes))
        return self.run(around, nodes=names, **options)

    def execute_single_node(
        self,
        node_name: str,
        start_date: str | None = None,
        end_date: str | None = None,
        ml_info: Mapping[str, Any] | None = None,
    ) -> RunResult:
        """Run one node with what machine learning tells it, if *ml_info* says something. Nothing is kept of the run.

        Args:
            node_name: The node.
            start_date: The first day of the window.
            end_date: The last day of it.
            ml_info: `model_version`, `hyperparams` and `pipeline_config`, each of which may be missing.
        """
        return self.execute_nodes_parallel([node_name], None, None, start_date, end_date, ml_info)

    def execute_nodes_parallel(
        self,
        execution_order: Sequence[str],
        node_configs: Mapping[str, Any] | None,
        dag: Mapping[str, Iterable[str]] | None,
        start_date: str | None = None,
        end_date: str | None = None,
        ml_info: Mapping[str, Any] | None = None,
    ) -> RunResult:
        """Run nodes, each as soon as those that it needs are done. Nothing is kept of the run; all results are.

        Args:
            execution_order: The nodes.
            node_configs: The configuration of each: a `NodeConfig`, or its keys. Default: the project's.
            dag: For each node those that need it, beside what configurations say. Default: as they say.
            start_date: The first day of the window.
            end_date: The last day of it.
            ml_info: As `execute_single_node`.
        """
        told = dict(ml_info or {})
        configs = self._configs(execution_order, node_configs, dag or {})
        whole = {**self.project.nodes, **configs} if node_configs is None else configs
        said = dict(told.get("pipeline_config") or {})
        fields = {key: value for key, value in said.items() if key in ("model_name", "metrics", "hyperparams")}
        around = PipelineConfig(name=",".join(execution_order), nodes=tuple(whole), **fields)
        plan = self.prepare(
            around,
            whole,
            Choice(nodes=tuple(execution_order)),
            window=DateWindow.of(start_date, end_date),
            model_version=told.get("model_version"),
            hyperparams=told.get("hyperparams"),
            is_ml=bool(told),
            pipeline_said=said,
        )
        with OpenRun(plan, None) as opened:
            return self._drive(plan, opened, keep=True)

    def prepare(
        self,
        config: PipelineConfig,
        configs: Mapping[str, NodeConfig],
        choice: Choice,
        *,
        window: DateWindow | None,
        model_version: str | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        is_ml: bool = False,
        pipeline_said: Mapping[str, Any] | None = None,
    ) -> RunPlan:
        """All that is known of a run before it begins: what runs, in which order, on what. Nothing runs.

        Raises:
            PipeError: It cannot run so.
        """
        graph = build_dependency_graph(list(configs), configs)
        selected = select_nodes(
            graph, configs, only=choice.nodes, start_from=choice.start_from, up_to=choice.up_to, tags=choice.tags
        )
        wiring = wire(configs, self.project.datasets, selected)
        functions = {name: self._function(name, node.config) for name, node in wiring.nodes.items()}
        said = dict(pipeline_said) if pipeline_said is not None else _plain(config)
        mls = {
            name: self._ml(said, node.config, model_version, hyperparams)
            for name, node in wiring.nodes.items()
            if is_ml or config.type == "ml" or node.config.type == "ml"
        }
        executor = next((one for one in (self.executor, config.executor, self.project.settings.executor) if one), None)
        plan = RunPlan(
            pipeline=config,
            choice=choice,
            wiring=wiring,
            functions=functions,
            window=window,
            ml=mls,
            said=said,
            executor=selected_executor(executor),
            max_workers=self.max_workers or config.max_workers or self.project.settings.max_workers,
            model_version=model_version,
            hyperparams=dict(hyperparams or {}),
        )
        plan.check()
        return plan

    def close(self) -> None:
        """Shut down the executors that runs have started."""
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- before a run ---

    def _runs(self) -> Path:
        return self.project.folder / self.project.settings.runs

    def _configs(
        self, names: Sequence[str], given: Mapping[str, Any] | None, dag: Mapping[str, Iterable[str]]
    ) -> dict[str, NodeConfig]:
        found = {}
        for name in names:
            one = (self.project.nodes if given is None else given).get(name)
            if one is None:
                raise unknown_node(name, self.project.nodes if given is None else given)
            config = one if isinstance(one, NodeConfig) else NodeConfig.model_validate({"name": name, **one})
            more = [other for other in names if name in set(dag.get(other, ()))]
            known = config.dependencies
            if more:
                from pipe_core.project.dependencies import get_node_dependencies

                known = list(dict.fromkeys([*get_node_dependencies(config), *more]))
            found[name] = config.model_copy(update={"dependencies": known})
        return found

    def _function(self, name: str, config: NodeConfig) -> Callable[..., Any]:
        if callable(config.function):
            return config.function
        return self.project.function(name)

    def _ml(
        self,
        pipeline: Mapping[str, Any],
        node: NodeConfig,
        model_version: str | None,
        hyperparams: Mapping[str, Any] | None,
    ) -> MLInfo:
        settings = self.project.settings
        return prepare_ml_info(
            project_name=self.project.name,
            pipeline=pipeline,
            node=node.model_dump(exclude={"function"}),
            model_version=model_version,
            default_model_version=settings.model_version,
            hyperparams=hyperparams,
            defaults=settings.hyperparams,
            registry=self.registry,
        )

    def _window(
        self,
        config: PipelineConfig,
        configs: Mapping[str, NodeConfig],
        start_date: str | date | None,
        end_date: str | date | None,
    ) -> DateWindow | None:
        settings = self.project.settings
        return DateWindow.of(
            start_date or config.start_date or settings.start_date, end_date or config.end_date or settings.end_date
        )

    # --- a run ---

    def _drive(
        self,
        plan: RunPlan,
        opened: OpenRun,
        *,
        keep: bool,
        callbacks: Sequence[Any] = (),
    ) -> RunResult:
        catalog = Catalog(
            plan.wiring.datasets, folder=self.project.folder, allow_pickle=self.project.settings.allow_pickle
        )
        around = Around(catalog, plan.window, opened.folder, plan.said, self.session)
        self.state = state = plan.state()
        facts = {"run_id": opened.run, "pipeline": plan.pipeline.name}
        watch = Watch(plan.wiring, state, opened.journal, plan.retries, plan.wiring.nodes if keep else (), facts)
        began = monotonic()
        state.set_pipeline_status("running")
        status: RunStatus = "failed"
        error: BaseException | None = None
        try:
            self._engine(plan).run(
                plan.as_graph(around, [watch, *callbacks]), {}, on_error=_ON_ERROR[plan.pipeline.on_failure]
            )
        except Exception as raised:
            error = raised
        except BaseException:
            status = "cancelled"
            raise
        finally:
            failed = [name for name, node in state.nodes.items() if node.word is NodeStatus.FAILED]
            watch.end("the run was stopped" if error is None and not failed else _why(failed))
            if status != "cancelled" and error is None and not failed:
                status = "completed"
            state.set_pipeline_status(status)
            result = _result(plan, opened, state, watch.values, monotonic() - began, status, catalog)
            opened.end(result)
            catalog.close()
        if error is not None and not failed:
            raise error  # of the run as a whole, not of a node
        if failed:
            first = state.node(failed[0]).error
            raise RunFailedError(_failure(plan, result, failed), node=failed[0], result=result) from (
                first if isinstance(first, BaseException) else error
            )
        return result

    def _engine(self, plan: RunPlan) -> Engine:
        key = repr(plan.executor), plan.max_workers
        with self._lock:
            if key not in self._engines:
                self._engines[key] = Engine(plan.executor, max_workers=plan.max_workers)
            return self._engines[key]


def _result(
    plan: RunPlan,
    opened: OpenRun,
    state: RunState,
    values: Mapping[str, Any],
    duration: float,
    status: RunStatus,
    catalog: Catalog,
) -> RunResult:
    nodes = {}
    for name, node in state.nodes.items():
        attempts = 0 if node.started is None else node.attempt
        stored = plan.wiring.nodes[name].stored if node.word is NodeStatus.COMPLETED else ()
        nodes[name] = NodeResult(name, node.word, attempts, node.duration, node.error, stored)
    folder = None if opened.folder is None else opened.folder.path
    return RunResult(
        opened.run, plan.pipeline.name, status, nodes, dict(values), plan.window, duration, folder, state, catalog
    )


def _failure(plan: RunPlan, result: RunResult, failed: Sequence[str]) -> str:
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    done = sum(node.status is NodeStatus.COMPLETED for node in result.nodes.values())
    text = (
        f"Node '{failed[0]}'{more} of '{plan.pipeline.name}' has failed: {error_text(result.nodes[failed[0]].error)}. "
        f"{done} of {len(result.nodes)} nodes completed"
    )
    skipped = f", {len(result.skipped)} were skipped" if result.skipped else ""
    return text + skipped + (f". Correct it and go on: pipe resume {result.run}" if result.run else ".")


def _why(failed: Sequence[str]) -> str:
    return f"'{failed[0]}' has failed" if failed else "the run has failed"


def _plain(config: PipelineConfig) -> dict[str, Any]:
    return config.model_dump(exclude_none=True)


def _names(said: str | Iterable[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)
