"""`OpenTelemetryObserver`: hears what happens in runs, and has spans made of it."""

from __future__ import annotations

import functools
import logging
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

from opentelemetry import trace

from pipe_core import hookimpl
from pipe_core.graph.callbacks import PipelineCallback
from pipe_opentelemetry.graph_trace import GraphTrace
from pipe_opentelemetry.record_trace import RecordTrace
from pipe_opentelemetry.spans import Spans

if TYPE_CHECKING:
    from pipe_core.graph.callbacks import CallbackContext
    from pipe_core.graph.companions import Companion
    from pipe_core.kernel.facts import RunInfo, TaskInfo

P = ParamSpec("P")

logger = logging.getLogger("pipe_opentelemetry")


def _safe(method: Callable[P, None]) -> Callable[P, None]:
    """*method*, which complains once where it fails: spans are made of thousands of events."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:
            observer: Any = args[0]
            observer.complain(error)

    return guarded


class OpenTelemetryObserver(PipelineCallback):
    """Makes spans: of pipelines that have it as a callback, and of runs of records that have it as an observer.

    The current span of whoever runs something is the parent of the run's span.

    Args:
        items: Of each map so many items have spans, and of each run of records so many chunks: the first ones. None for
            all of them.
        tracer_provider: Whose spans they are. Default: the provider that OpenTelemetry is set to when a run begins.
    """

    def __init__(self, items: int | None = 100, tracer_provider: trace.TracerProvider | None = None) -> None:
        self._items = items
        self._provider = tracer_provider
        self._key = f"pipe_opentelemetry {id(self)}"
        self._lock = threading.Lock()
        self._spans: tuple[trace.TracerProvider, Spans] | None = None
        self._runs: dict[str, RecordTrace] = {}
        self._has_complained = False

    def complain(self, error: BaseException) -> None:
        """Log *error*, if it is the first one: runs go on whatever happens here."""
        if not self._has_complained:
            self._has_complained = True
            text = "making spans has failed; runs go on, and this is not said again: %s"
            logger.error(text, error, exc_info=error)

    def _made_spans(self) -> Spans:
        provider = trace.get_tracer_provider() if self._provider is None else self._provider
        if self._spans is None or self._spans[0] is not provider:
            self._spans = provider, Spans(provider)
        return self._spans[1]

    # --- pipelines ---

    def companion(self, ctx: CallbackContext) -> Companion | None:
        """What goes along to calls of nodes. Begins the span of the run, if there is none yet."""
        try:
            with self._lock:
                found: GraphTrace | None = ctx.get(self._key)
                if found is None:
                    found = GraphTrace(self._made_spans(), self._items, ctx, uuid.uuid4().hex)
                    ctx.set(self._key, found)
            return found.companion
        except Exception as error:
            self.complain(error)
            return None

    def _of(self, ctx: CallbackContext) -> GraphTrace | None:
        found: GraphTrace | None = ctx.get(self._key)
        return found

    def _ended(self, run: GraphTrace, ctx: CallbackContext) -> None:
        if run.is_over:
            ctx.set(self._key, None)

    @_safe
    def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A pipeline begins."""
        if (run := self._of(ctx)) is not None:
            run.pipeline_starts(ctx)

    @_safe
    def on_pipeline_end(self, pipeline_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It has ended."""
        if (run := self._of(ctx)) is not None:
            run.pipeline_ends(ctx)
            self._ended(run, ctx)

    @_safe
    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """A node has ended."""
        if (run := self._of(ctx)) is not None:
            run.node_ends(node_id, duration, ctx)

    @_safe
    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None:
        """A node does not run."""
        if (run := self._of(ctx)) is not None:
            run.node_is_cached(node_id, ctx)

    @_safe
    def on_error(self, node_id: str, error: BaseException, ctx: CallbackContext) -> None:
        """A node has raised *error*."""
        if (run := self._of(ctx)) is not None:
            run.node_fails(node_id, error, ctx)

    @_safe
    def on_nested_pipeline_end(self, parent_id: str, child_id: str, duration: float, ctx: CallbackContext) -> None:
        """A pipeline inside of another one has ended."""
        if (run := self._of(ctx)) is not None:
            run.nested_ends(ctx)

    @_safe
    def on_map_start(self, total_items: int | None, ctx: CallbackContext) -> None:
        """A map begins."""
        if (run := self._of(ctx)) is not None:
            run.map_starts(total_items, ctx)

    @_safe
    def on_map_item_start(self, idx: int, ctx: CallbackContext) -> None:
        """An item begins."""
        if (run := self._of(ctx)) is not None:
            run.item_starts(idx, ctx)

    @_safe
    def on_map_item_end(self, idx: int, duration: float, ctx: CallbackContext) -> None:
        """It has ended."""
        if (run := self._of(ctx)) is not None:
            run.item_ends(ctx)
            self._ended(run, ctx)

    @_safe
    def on_map_item_cached(self, idx: int, signature: str, ctx: CallbackContext) -> None:
        """An item does not run."""
        if (run := self._of(ctx)) is not None:
            run.item_is_cached(ctx)

    @_safe
    def on_map_end(self, total_duration: float, ctx: CallbackContext) -> None:
        """A map has ended."""
        if (run := self._of(ctx)) is not None:
            run.map_ends(ctx)
            self._ended(run, ctx)

    # --- runs of records ---

    @hookimpl
    @_safe
    def pipe_run_started(self, run: RunInfo) -> None:
        """A run has started."""
        self._runs[run.id] = RecordTrace(self._made_spans(), self._items, run)

    @hookimpl
    @_safe
    def pipe_task_submitted(self, run: RunInfo, task: TaskInfo) -> None:
        """A chunk is handed over."""
        if (found := self._runs.get(run.id)) is not None:
            found.chunk_starts(run, task)

    @hookimpl
    @_safe
    def pipe_task_finished(self, run: RunInfo, task: TaskInfo) -> None:
        """A chunk has come back."""
        if (found := self._runs.get(run.id)) is not None:
            found.chunk_ends(task)

    @hookimpl
    @_safe
    def pipe_run_finished(self, run: RunInfo, report: Any) -> None:
        """A run has ended."""
        if (found := self._runs.pop(run.id, None)) is not None:
            found.ends(report)
