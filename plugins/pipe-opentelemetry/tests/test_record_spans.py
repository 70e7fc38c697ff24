from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from span_trees import Spans

from pipe_core import BaseHook, Pipe, TaskExecutor, get_observer
from pipe_core.runtime.trace import entered_by, traceparent
from pipe_core.runtime.wire import open_answer, pack_call, run_frame
from pipe_opentelemetry import carrying


class Says(BaseHook):
    def __init__(self, spans: Spans) -> None:
        self.spans = spans

    def execute(self, entries: list[Any], store: Any) -> list[Any]:
        with self.spans.tracer.start_as_current_span("own"):
            return entries


def records(count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(count)]


@pytest.mark.parametrize("threaded", [False, True])
def test_chunks_are_inside_of_their_run_and_hooks_inside_of_their_chunk(
    spans: Spans, tracing: Any, threaded: bool
) -> None:
    with ThreadPoolExecutor(2) as pool, spans.tracer.start_as_current_span("caller"):
        executor: Any = pool if threaded else "sync"
        pipe = Pipe(
            records(6), [], post_validation_hooks=[Says(spans)], chunk_size=3, executor=executor, observers=[tracing]
        )
        pipe.run()
        assert trace.get_current_span().name == "caller"  # type: ignore[attr-defined]  # a span of the SDK
    chunks = {"chunk": {"own": {}}, "chunk 2": {"own": {}}}
    assert spans.tree == {"caller": {"records": chunks}}
    said = dict(spans.one("records").attributes or {})
    assert (said["pipe.read"], said["pipe.valid"], said["pipe.status"]) == (6, 6, "completed")
    assert [one.attributes["pipe.chunk"] for one in spans.named("chunk")] == [0, 1]


def test_a_run_in_the_background_is_inside_of_whoever_started_it(spans: Spans, tracing: Any) -> None:
    with spans.tracer.start_as_current_span("caller"):
        report = Pipe(records(2), [], post_validation_hooks=[Says(spans)], observers=[tracing]).start()
    report.wait()
    assert spans.tree == {"caller": {"records": {"chunk": {"own": {}}}}}


def test_only_the_first_chunks_have_spans(spans: Spans) -> None:
    tracing = get_observer("opentelemetry", tracer_provider=spans.provider, items=1)
    Pipe(records(4), [], post_validation_hooks=[Says(spans)], chunk_size=2, observers=[tracing]).run()
    assert spans.tree == {"records": {"chunk": {"own": {}}, "own": {}}}


def test_a_run_that_fails_says_why(spans: Spans, tracing: Any) -> None:
    def source() -> Any:
        yield {"n": 1}
        raise OSError("no more")

    with pytest.raises(Exception, match="no more"):
        Pipe(source(), [], observers=[tracing]).run()
    run = spans.one("records")
    assert run.status.status_code is StatusCode.ERROR
    assert [one.name for one in run.events] == ["exception"]
    assert run.attributes["pipe.status"] == "failed"


# --- calls ---


def current() -> tuple[int, int, bool]:
    context = trace.get_current_span().get_span_context()
    return context.trace_id, context.span_id, context.is_remote


def test_the_current_span_travels_with_calls_that_leave_inside_of_the_block(spans: Spans) -> None:
    with spans.tracer.start_as_current_span("caller") as span:
        with carrying():
            carried = pack_call(current, (), {})
        plain = pack_call(current, (), {})
        with spans.tracer.start_as_current_span("other"), carrying():
            other = pack_call(current, (), {})
    context = span.get_span_context()
    from contextvars import Context

    assert Context().run(lambda: open_answer(run_frame(carried))).value == (context.trace_id, context.span_id, True)
    assert Context().run(lambda: open_answer(run_frame(plain))).value == (0, 0, False)
    assert Context().run(lambda: open_answer(run_frame(other))).value[1] == spans.one("other").context.span_id
    assert (traceparent.get(), entered_by.get()) == (None, None)
    with carrying():
        assert traceparent.get() is None


def test_tasks_of_this_process_have_the_current_span_anyway(spans: Spans) -> None:
    with TaskExecutor("sync") as tasks, spans.tracer.start_as_current_span("caller") as span:
        future = tasks.submit(current)
        assert future.result()[1] == span.get_span_context().span_id
