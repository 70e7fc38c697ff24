"""`Runner`: runs pipelines of a project on any executor, on the graph's engine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pipe_core.graph.engine import Engine
from pipe_core.kernel.errors import OptionsError
from pipe_core.project.catalog import Catalog
from pipe_core.project.catalog.installed import check_datasets
from pipe_core.project.compiler import Compiler
from pipe_core.project.config.models import NodeConfig, PipelineConfig
from pipe_core.project.config.secrets import conceal, reveal
from pipe_core.project.dates import DateWindow
from pipe_core.project.dependencies import unknown_node
from pipe_core.project.ml_info import MLInfo, prepare_ml_info
from pipe_core.project.runs.ending import failed_nodes, failure, result_of
from pipe_core.project.runs.folder import ProjectRunFolder, receipts
from pipe_core.project.runs.manifest import Commit
from pipe_core.project.runs.opened import OpenRun
from pipe_core.project.runs.plan import Asked, RunPlan
from pipe_core.project.runs.result import RunResult, RunStatus
from pipe_core.project.runs.resuming import asked_of, check_unchanged, left_of, settled
from pipe_core.project.runs.running import RunningRun
from pipe_core.project.runs.step import Around
from pipe_core.project.runs.watch import Watch
from pipe_core.project.state import RunState
from pipe_core.project.wiring import Choice, WiredNode, effective_nodes
from pipe_core.runs.journal import read_journal

if TYPE_CHECKING:
    from datetime import date

    from pipe_core.project.model_registry import ModelRegistry
    from pipe_core.project.project import Project
    from pipe_core.runs.lease import Lease

logger: Final = logging.getLogger("pipe_core.project")


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
        run_id: The id of that run; empty where nothing is kept of it.
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
        self.run_id = ""
        self._engines: dict[tuple[str, int | None], Engine] = {}
        self._compiler = Compiler(project, executor)
        self._commit = Commit(project.folder)
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
        stopping: threading.Event | None = None,
    ) -> RunResult:
        """Run a pipeline, or some of its nodes. Streams go on until they are stopped: see `start`.

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
            stopping: Set by whoever wants streams to stop.

        Raises:
            RunFailedError: A node has failed; its error is the cause, and `result` has all that is known of the run.
            PipeError: The pipeline cannot run as it was asked for. Nothing has run.
        """
        asked = self.asked(
            pipeline,
            nodes=nodes,
            start_from=start_from,
            up_to=up_to,
            tags=tags,
            start_date=start_date,
            end_date=end_date,
            model_version=model_version,
            hyperparams=hyperparams,
        )
        plan = self.prepare(asked)
        if start_date or end_date:
            plan.warn_of_dates()
        taken = ProjectRunFolder.new(self.runs) if journal else None
        return self._drive(plan, taken, keep=keep, callbacks=callbacks, stopping=stopping)

    def start(self, pipeline: str | PipelineConfig, **options: Any) -> RunningRun:
        """Run a pipeline in a thread, and give what stops it.

        Args:
            pipeline: Its name.
            **options: As `run`.
        """
        return RunningRun(self, pipeline, options)

    def asked(
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
    ) -> Asked:
        """What `run` is asked for with these arguments, for `prepare`. Nothing runs.

        Raises:
            PipeError: There is no such pipeline, or the dates are none.
        """
        config = self.project.get_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
        return Asked(
            config,
            Choice(_names(nodes), _names(start_from), _names(up_to), _names(tags)),
            self._window(config, start_date, end_date),
            model_version,
            dict(hyperparams or {}),
        )

    def resume(self, run: str, *, force: bool = False, keep: bool = False, callbacks: Sequence[Any] = ()) -> RunResult:
        """Go on with a run that failed, was stopped or was killed. Nodes that were done do not run again.

        What such a node stored is loaded where another one needs it. One whose result is stored nowhere runs again if
        it is needed. The executor may be another one than that of the run.

        Args:
            run: Its id, or the beginning of it.
            force: Go on also where the settings of what is done have changed since.
            keep: As `run`.
            callbacks: As `run`.

        Raises:
            RunNotFoundError: There is none.
            RunLockedError: It goes on in another process.
            ResumeError: The project is not what it was, or what was staged is gone.
            RunFailedError: As `run`.
        """
        taken = ProjectRunFolder.take_up(self.runs, run)
        try:
            plan = self._rest_of(taken[0], force=force)
        except BaseException:
            taken[1].release()
            raise
        return self._drive(plan, taken, keep=keep, callbacks=callbacks)

    def _rest_of(self, folder: ProjectRunFolder, *, force: bool) -> RunPlan:
        events = read_journal(folder.journal)
        asked = asked_of(events, self.project, folder.run)
        whole = self.prepare(asked)
        done = settled(events, folder, self._catalog(whole), whole.wiring)
        left = left_of(whole.wiring, done, folder.kept_values())
        kept = [name for name in whole.wiring.nodes if name not in left]
        if not force:
            check_unchanged(events, whole.wiring, kept)
        restored = tuple(whole.wiring.nodes[name] for name in kept)
        return self.prepare(asked, selected=left, restored=restored, kept=folder.kept_values())

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
        names = _names(names)
        if not names:
            raise OptionsError("No node is named that should run: name one.", problems={"names": "none"})
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
        if not execution_order:
            raise OptionsError("No node is named that should run: name one.", problems={"execution_order": "empty"})
        told = dict(ml_info or {})
        configs = self._compiler.configs(execution_order, node_configs, dag or {})
        whole = {**self.project.nodes, **configs} if node_configs is None else configs
        said = dict(told.get("pipeline_config") or {})
        fields = {key: value for key, value in said.items() if key in ("model_name", "metrics", "hyperparams")}
        asked = Asked(
            PipelineConfig(name=",".join(execution_order), nodes=tuple(whole), **fields),
            Choice(nodes=tuple(execution_order)),
            DateWindow.of(start_date, end_date),
            told.get("model_version"),
            dict(told.get("hyperparams") or {}),
        )
        return self._drive(self.prepare(asked, whole, said=said if told else None), None, keep=True)

    def prepare(
        self,
        asked: Asked,
        configs: Mapping[str, NodeConfig] | None = None,
        *,
        selected: Sequence[str] | None = None,
        restored: tuple[WiredNode, ...] = (),
        kept: Collection[str] = (),
        said: Mapping[str, Any] | None = None,
    ) -> RunPlan:
        """All that is known of a run before it begins: what runs, in which order, on what. Nothing runs.

        Args:
            asked: What was asked for.
            configs: The configurations of the pipeline's nodes. Default: as the project has them.
            selected: The nodes that run. Default: as the choice says.
            restored: Nodes that were done before.
            kept: Those of them whose results were kept.
            said: The settings of the pipeline, for nodes that are all told of them. Default: its own, for those of
                machine learning.

        Raises:
            PipeError: It cannot run so.
        """
        settings, pipeline = self.project.settings, asked.pipeline
        if configs is None and selected is None:
            compiled = self._compiler.pipeline(pipeline, asked.choice)
        else:
            configs = effective_nodes(self.project, pipeline) if configs is None else configs
            compiled = self._compiler.nodes(configs, pipeline, asked.choice, selected, kept)
        facts = pipeline.model_dump(exclude_none=True) if said is None else said
        is_ml = said is not None or pipeline.type == "ml"
        plan = RunPlan(
            asked=asked,
            compiled=compiled,
            ml={
                name: self._ml(facts, node.config, asked)
                for name, node in compiled.wiring.nodes.items()
                if is_ml or node.config.type == "ml"
            },
            said=facts,
            executor=compiled.executor,
            max_workers=self.max_workers or pipeline.max_workers or settings.max_workers,
            restored=restored,
        )
        plan.check_dates()
        plan.check_context()
        plan.check_places()
        check_datasets(plan.used)
        return plan

    @property
    def runs(self) -> Path:
        """The folder of what is kept of runs."""
        return self.project.folder / self.project.settings.runs

    def close(self) -> None:
        """Shut down the executors that runs have started."""
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.close()

    def terminate(self) -> None:
        """Shut them down, and end by force what runs there, where that can be: for a process that must end."""
        with self._lock:
            engines = list(self._engines.values())
        for engine in engines:
            engine.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # --- before a run ---

    def _ml(self, pipeline: Mapping[str, Any], node: NodeConfig, asked: Asked) -> MLInfo:
        settings = self.project.settings
        return prepare_ml_info(
            project_name=self.project.name,
            pipeline=pipeline,
            node=node.model_dump(exclude={"function"}),
            model_version=asked.model_version,
            default_model_version=settings.model_version,
            hyperparams=asked.hyperparams,
            defaults=settings.hyperparams,
            registry=self.registry,
        )

    def _window(
        self, config: PipelineConfig, start_date: str | date | None, end_date: str | date | None
    ) -> DateWindow | None:
        settings = self.project.settings
        return DateWindow.of(
            start_date or config.start_date or settings.start_date, end_date or config.end_date or settings.end_date
        )

    def _catalog(self, plan: RunPlan) -> Catalog:
        settings = self.project.settings
        return Catalog(plan.wiring.datasets, folder=self.project.folder, allow_pickle=settings.allow_pickle)

    # --- a run ---

    def _drive(
        self,
        plan: RunPlan,
        taken: tuple[ProjectRunFolder, Lease] | None,
        *,
        keep: bool,
        callbacks: Sequence[Any] = (),
        stopping: threading.Event | None = None,
    ) -> RunResult:
        is_storing = any(node.stored for node in plan.wiring.nodes.values())
        with OpenRun(plan, self.project, taken, self._commit) as opened, receipts(opened.folder, is_storing) as folder:
            self.state = state = plan.state()
            self.run_id = opened.run
            facts = {"run_id": opened.run, "pipeline": plan.pipeline.name}
            kept = plan.wiring.nodes if keep else ()
            watch = Watch(plan.wiring, state, opened.journal, plan.retries, kept, facts, plan.executors)
            catalog = self._catalog(plan)
            taken_by = plan.wiring.consumers() if opened.folder is not None else {}
            handed_on = frozenset(name for name, count in taken_by.items() if count)
            home = self.project.folder
            around = Around(catalog, plan.window, folder, plan.said, handed_on, home, plan.ml, self.session)
            began = monotonic()
            error: Exception | None = None
            status: RunStatus = "cancelled"
            state.set_pipeline_status("running")
            try:
                error = self._raised(plan, around, [watch, *callbacks])
                if error is None and plan.streams:
                    error = self._streamed(plan, around, opened, state, stopping, callbacks)
                status = "failed" if error is not None or failed_nodes(state) else "completed"
            finally:
                watch.end("the run was stopped" if status == "cancelled" else "the run has failed")
                state.set_pipeline_status(status)
                result = result_of(plan, opened, state, watch.values, monotonic() - began, status, catalog)
                opened.end(result)
                catalog.close()
        if status == "failed":
            raise failure(result, error) from (result.error or error)
        return result

    def _raised(self, plan: RunPlan, around: Around, callbacks: Sequence[Any]) -> Exception | None:
        """Run it. What it raised, if that is no reason to stop at once."""
        if not (ending := plan.ending):
            return None
        try:
            with plan.compiled.lent(ending, plan.pipeline.name) as graph:
                self._engine(plan).run(graph.of(around, callbacks), {}, on_error=plan.on_error)
        except Exception as error:
            conceal(error, plan.executors)
            return error
        return None

    def _streamed(
        self,
        plan: RunPlan,
        around: Around,
        opened: OpenRun,
        state: RunState,
        stopping: threading.Event | None,
        callbacks: Sequence[Any],
    ) -> Exception | None:
        """Run its streams. What the first one raised that failed."""
        from pipe_core.project.streaming.phase import StreamPhase

        phase = StreamPhase(
            plan, around, self._engine(plan), self.runs, state, opened.journal, stopping or threading.Event(), callbacks
        )
        try:
            phase.run()
        except Exception as error:
            conceal(error, plan.executors)
            return error
        return None

    def _engine(self, plan: RunPlan) -> Engine:
        key = repr(plan.executor), plan.max_workers
        with self._lock:
            if key not in self._engines:
                self._engines[key] = Engine(reveal(plan.executor), max_workers=plan.max_workers)
            return self._engines[key]


def _names(said: str | Iterable[str]) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)
