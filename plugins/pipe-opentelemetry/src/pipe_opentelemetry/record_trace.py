"""The spans of one run of records: of the run and of its chunks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from pipe_opentelemetry.propagation import make_current

if TYPE_CHECKING:
    from pipe_core.kernel.facts import RunInfo, TaskInfo
    from pipe_opentelemetry.spans import Spans

_COUNTS = ("read", "valid", "failed", "dropped", "expanded")


class RecordTrace:
    """Makes the spans of one run.

    Args:
        spans: Makes spans.
        chunks: So many chunks have spans; None for all.
        run: The run.
    """

    def __init__(self, spans: Spans, chunks: int | None, run: RunInfo) -> None:
        self._spans = spans
        self._chunks = chunks
        self._open: dict[int, list[trace.Span]] = {}
        said = {"pipe.kind": "records", "pipe.run": run.id, "pipe.source": run.name, "pipe.executor": run.executor}
        self._span = spans.start("records", said)
        self._bring(run, self._span)

    def _bring(self, run: RunInfo, span: trace.Span) -> None:
        """Make *span* the current one where chunks are processed that are handed over from now on."""
        if run.context is not None:
            run.context.run(make_current, span)

    def chunk_starts(self, run: RunInfo, task: TaskInfo) -> None:
        """A chunk is about to be handed over."""
        if self._chunks is not None and task.id >= self._chunks:
            self._bring(run, self._span)
            return
        said: dict[str, Any] = {"pipe.kind": "chunk", "pipe.chunk": task.id}
        if task.attempt > 1:
            said["pipe.attempt"] = task.attempt
        span = self._spans.start("chunk", said, trace.set_span_in_context(self._span))
        self._open.setdefault(task.id, []).append(span)
        self._bring(run, span)

    def chunk_ends(self, task: TaskInfo) -> None:
        """It has come back, or something else in its place."""
        found = self._open.get(task.id)
        if found:
            self._end(found.pop(0), task)
        if found == []:
            del self._open[task.id]

    def _end(self, span: trace.Span, task: TaskInfo) -> None:
        if task.status == "failed":
            span.set_status(Status(StatusCode.ERROR, "it did not come back"))
        ended = None if task.ended is None else time.time_ns() - int((time.perf_counter() - task.ended) * 1e9)
        span.end(ended)

    def ends(self, report: Any) -> None:
        """The run has ended."""
        for spans in self._open.values():
            for span in spans:  # nobody waits for them any more
                span.end()
        self._open.clear()
        counts = {f"pipe.{name}": getattr(report, name, None) for name in _COUNTS}
        self._span.set_attributes({name: value for name, value in counts.items() if value is not None})
        self._span.set_attribute("pipe.status", report.status.value)
        if report.exception is not None:
            self._span.record_exception(report.exception)
            text = f"{type(report.exception).__name__}: {report.exception}"
            self._span.set_status(Status(StatusCode.ERROR, text))
        self._span.end()
