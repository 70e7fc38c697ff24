from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, TraceFlags
from span_trees import Spans

from pipe_core import CallbackContext, CancelToken, Engine, MemoryCache, Pipeline, Retry, get_observer, node, using


@pytest.fixture(params=["sync", "pool"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One after the other, and in four threads."""
    if request.param == "sync":
        yield Engine("sync")
        return
    with ThreadPoolExecutor(4) as pool:
        yield Engine(pool, pool)


def own_span(spans: Spans, name: str) -> None:
    with spans.tracer.start_as_current_span(name):
        pass


def test_nodes_are_inside_of_their_pipeline_and_that_of_the_caller(spans: Spans, tracing: Any, engine: Engine) -> None:
    @node(output_name="b")
    def first(a: int) -> int:
        own_span(spans, "own")
        return a + 1

    @node(output_name="c")
    async def second(b: int) -> int:
        await asyncio.sleep(0)
        own_span(spans, "own async")
        return b + 1

    pipeline = Pipeline([first, second], name="two", callbacks=[tracing], engine=engine)
    with spans.tracer.start_as_current_span("caller"):
        assert pipeline.run(inputs={"a": 1}) == {"b": 2, "c": 3}
        own_span(spans, "behind")

    assert spans.tree == {"caller": {"two": {"first": {"own": {}}, "second": {"own async": {}}}, "behind": {}}}
    assert len({one.context.trace_id for one in spans.all}) == 1
    assert {one.status.status_code for one in spans.all} == {StatusCode.UNSET}
    assert dict(spans.one("first").attributes or {}) == {
        "pipe.kind": "node",
        "pipe.node": "first",
        "pipe.pipeline": "two",
    }
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_without_a_caller_each_run_is_a_trace_of_its_own(spans: Spans, tracing: Any) -> None:
    @node(output_name="b")
    def first(a: int) -> int:
        return a

    pipeline = Pipeline([first], callbacks=[tracing])
    pipeline.run(inputs={"a": 1})
    asyncio.run(pipeline.arun(inputs={"a": 2}))
    assert spans.tree == {"pipeline": {"first": {}}, "pipeline 2": {"first": {}}}
    assert len({one.context.trace_id for one in spans.all}) == 2


def test_items_of_maps_and_pipelines_inside_have_spans_with_their_nodes(
    spans: Spans, tracing: Any, engine: Engine
) -> None:
    @node(output_name="doubled")
    def double(one: int) -> int:
        own_span(spans, f"own {one}")
        return 2 * one

    @node(output_name="total")
    def add(doubled: list[int]) -> int:
        return sum(doubled)

    inner = Pipeline([double], name="inner")
    mapped = inner.as_node(input_mapping={"many": "one"}, map_over="many", name="each")
    pipeline = Pipeline([mapped, add], name="outer", callbacks=[tracing], engine=engine)

    assert pipeline.run(inputs={"many": [1, 2]})["total"] == 6
    items = {"inner item": {"double": {"own 1": {}}}, "inner item 2": {"double": {"own 2": {}}}}
    assert spans.tree == {"outer": {"inner map": items, "add": {}}}
    assert [one.attributes["pipe.item"] for one in spans.named("double")] == [(0,), (1,)]
    assert spans.one("inner map").attributes["pipe.items"] == 2

    spans.exporter.clear()
    result = pipeline.map(inputs={"many": [[1], [3]]}, map_over="many")
    assert [row["total"] for row in result] == [2, 6]
    inside = [{"inner map": {"inner item": {"double": {f"own {one}": {}}}}, "add": {}} for one in (1, 3)]
    assert spans.tree == {"outer map": {"outer item": inside[0], "outer item 2": inside[1]}}
    assert [one.attributes["pipe.item"] for one in spans.named("double")] == [(0, 0), (1, 0)]
    assert {one.status.status_code for one in spans.all} == {StatusCode.UNSET}


def test_a_pipeline_that_is_twice_in_another_has_each_its_own_nodes(spans: Spans, tracing: Any) -> None:
    meeting: list[str] = []

    @node(output_name="out")
    def work(one: str) -> str:
        meeting.append(one)
        while len(meeting) < 2:
            pass
        own_span(spans, f"own {one}")
        return one

    inner = Pipeline([work], name="inner")
    twice = [
        inner.as_node({"x": "one"}, {"out": "left"}, name="first"),
        inner.as_node({"y": "one"}, {"out": "right"}, name="second"),
    ]
    with ThreadPoolExecutor(2) as pool:
        pipeline = Pipeline(twice, name="outer", callbacks=[tracing], engine=Engine(pool))
        assert pipeline.run(inputs={"x": "X", "y": "Y"}) == {"left": "X", "right": "Y"}
    (outer,) = spans.tree.values()
    assert sorted(outer) == ["inner", "inner 2"]
    assert sorted(own for one in outer.values() for own in one["work"]) == ["own X", "own Y"]


def test_errors_are_recorded_where_they_were_raised_and_all_around_has_failed(
    spans: Spans, tracing: Any, engine: Engine
) -> None:
    @node(output_name="b")
    def fails(a: int) -> int:
        if a == 1:
            raise ValueError("not one")
        return a

    inner = Pipeline([fails], name="inner")
    outer = Pipeline([inner.as_node(name="inside")], name="outer", callbacks=[tracing], engine=engine)
    with pytest.raises(ValueError, match="not one"):
        outer.run(inputs={"a": 1})

    for name in ("fails", "inner", "outer"):
        assert spans.one(name).status.status_code is StatusCode.ERROR
        assert "ValueError: not one" in (spans.one(name).status.description or "")
    (event,) = spans.one("fails").events
    assert (event.name, event.attributes["exception.type"]) == ("exception", "ValueError")

    spans.exporter.clear()
    result = outer.map(inputs={"a": [0, 1, 2]}, map_over="a", on_error="continue")
    assert len(result.failed) == 1
    codes = [one.status.status_code for one in spans.named("outer item")]
    assert sorted(code.name for code in codes) == ["ERROR", "UNSET", "UNSET"]
    assert spans.one("outer map").status.description == "an item has failed"
    assert spans.one("outer map").attributes["pipe.failed"] == 1


def test_each_attempt_has_a_span_and_one_that_was_made_good_does_not_fail_the_run(
    spans: Spans, tracing: Any, engine: Engine
) -> None:
    tries: list[int] = []

    @node(output_name="b", retries=Retry(2, delay=0.001))
    def flaky(a: int) -> int:
        own_span(spans, "own")
        tries.append(a)
        if len(tries) < 3:
            raise OSError("again")
        return a

    Pipeline([flaky], name="one", callbacks=[tracing], engine=engine).run(inputs={"a": 1})
    assert spans.tree == {"one": {"flaky": {"own": {}}, "flaky 2": {"own": {}}, "flaky 3": {"own": {}}}}
    attempts = spans.named("flaky")
    assert [one.status.status_code.name for one in attempts] == ["ERROR", "ERROR", "UNSET"]
    assert [(one.attributes or {}).get("pipe.attempt", 1) for one in attempts] == [1, 2, 3]
    assert spans.one("one").status.status_code is StatusCode.UNSET


def test_what_is_cached_is_an_event_and_has_no_span(spans: Spans, tracing: Any, engine: Engine) -> None:
    @node(output_name="b")
    def first(a: int) -> int:
        return a

    @node(output_name="c", cache=False)
    def second(b: int) -> int:
        return b

    pipeline = Pipeline([first, second], name="two", callbacks=[tracing], engine=engine, cache=MemoryCache())
    pipeline.run(inputs={"a": 1})
    spans.exporter.clear()
    pipeline.run(inputs={"a": 1})
    assert spans.tree == {"two": {"second": {}}}
    (event,) = spans.one("two").events
    assert (event.name, dict(event.attributes or {})) == ("pipe.cached", {"pipe.node": "first"})
    assert spans.one("two").attributes["pipe.cached_nodes"] == 1

    whole = Pipeline([first], name="whole", callbacks=[tracing], engine=engine, cache=MemoryCache())
    whole.map(inputs={"a": [1, 2]}, map_over="a")
    spans.exporter.clear()
    whole.map(inputs={"a": [1, 2, 3]}, map_over="a")
    assert [(one.attributes or {}).get("pipe.cached", False) for one in spans.named("whole item")] == [
        True,
        True,
        False,
    ]
    assert spans.one("whole map").attributes["pipe.cached_items"] == 2


def test_what_a_node_says_to_the_current_span_is_said_of_its_call(spans: Spans, tracing: Any, engine: Engine) -> None:
    @node(output_name="b")
    def talks(a: int) -> int:
        current = trace.get_current_span()
        assert current.is_recording()
        current.set_attribute("rows", a)
        current.set_attributes({"kinds": ["x", "y"], "odd": object})
        current.add_event("half", {"done": 0.5})
        current.record_exception(KeyError("swallowed"))
        current.add_link(trace.SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)), {"why": "cause"})
        current.update_name("said")
        current.set_status(StatusCode.ERROR, "half of it")
        return a

    Pipeline([talks], name="one", callbacks=[tracing], engine=engine).run(inputs={"a": 5})
    assert spans.tree == {"one": {"said": {}}}
    said = spans.one("said")
    found = dict(said.attributes or {})
    assert (found["rows"], found["kinds"], found["odd"]) == (5, ("x", "y"), str(object))
    assert [one.name for one in said.events] == ["half", "exception"]
    assert said.events[1].attributes["exception.type"] == "KeyError"
    assert [(one.context.trace_id, one.context.span_id) for one in said.links] == [(1, 2)]
    assert (said.status.status_code, said.status.description) == (StatusCode.ERROR, "half of it")


def test_only_the_first_items_have_spans_and_failures_behind_them_are_told_by_the_map(
    spans: Spans, engine: Engine
) -> None:
    tracing = get_observer("opentelemetry", tracer_provider=spans.provider, items=2)

    @node(output_name="b")
    def work(a: int) -> int:
        own_span(spans, f"own {a}")
        if a == 3:
            raise ValueError("three")
        return a

    pipeline = Pipeline([work], name="one", callbacks=[tracing], engine=engine)
    pipeline.map(inputs={"a": [0, 1, 2, 3]}, map_over="a", on_error="continue")

    (inside,) = spans.tree.values()
    behind = {name: below for name, below in inside.items() if not name.startswith("one item")}
    assert behind == {"own 2": {}, "own 3": {}}
    assert [one.attributes["pipe.item"] for one in spans.named("work")] == [(0,), (1,)]
    (event,) = spans.one("one map").events
    said = event.attributes or {}
    assert (said["pipe.node"], said["pipe.item"], said["exception.message"]) == ("work", (3,), "three")
    assert spans.one("one map").status.status_code is StatusCode.ERROR

    spans.exporter.clear()
    pipeline.with_callbacks([get_observer("opentelemetry", tracer_provider=spans.provider, items=None)]).map(
        inputs={"a": [0] * 150}, map_over="a"
    )
    assert len(spans.named("one item")) == len(spans.named("work")) == 150


def test_a_run_that_is_ended_ends_its_spans(spans: Spans, tracing: Any, engine: Engine) -> None:
    token = CancelToken()

    @node(output_name="b")
    def first(a: int) -> int:
        token.cancel()
        return a

    @node(output_name="c")
    def second(b: int) -> int:
        raise AssertionError("it has begun")

    with pytest.raises(Exception, match="cancelled"):
        Pipeline([first, second], name="two", callbacks=[tracing], engine=engine).map(
            inputs={"a": [1]}, map_over="a", token=token
        )
    assert set(spans.tree) == {"two map"}
    assert {"two map", "two item", "first"} == {one.name for one in spans.all}
    assert spans.one("first").status.status_code is StatusCode.UNSET
    assert spans.one("two item").status.description == "ended before all of it had run"
    assert spans.one("two map").status.description == "an item has failed"


def test_what_is_not_sampled_makes_no_spans_and_nobody_else_samples_it(engine: Engine) -> None:
    spans = Spans(sampler=ALWAYS_OFF)
    seen: list[Any] = []

    @node(output_name="b")
    def first(a: int) -> int:
        seen.append(trace.get_current_span().get_span_context())
        return a

    tracing = get_observer("opentelemetry", tracer_provider=spans.provider)
    Pipeline([first], callbacks=[tracing], engine=engine).run(inputs={"a": 1})
    assert spans.tree == {}
    assert seen[0].is_valid
    assert not seen[0].trace_flags.sampled


def test_where_no_provider_is_set_nothing_is_traced_and_nothing_fails(engine: Engine) -> None:
    @node(output_name="b")
    def first(a: int) -> int:
        assert trace.get_current_span() is trace.INVALID_SPAN
        return a

    tracing = get_observer("opentelemetry")
    assert Pipeline([first], callbacks=[tracing], engine=engine).run(inputs={"a": 1}) == {"b": 1}


def test_a_tracer_behind_another_one_gives_ids_too(spans: Spans, engine: Engine) -> None:
    class Around(trace.Tracer):
        def __init__(self) -> None:
            self.anew()

        def anew(self) -> None:
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(spans.exporter))
            self.tracer = provider.get_tracer("behind")

        def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
            return self.tracer.start_span(*args, **kwargs)

        def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError

    class Provider(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            return around

    @node(output_name="b")
    def first(a: int) -> int:
        own_span(spans, "own")
        return a

    around = Around()
    tracing = get_observer("opentelemetry", tracer_provider=Provider())
    pipeline = Pipeline([first], name="one", callbacks=[tracing], engine=engine)
    pipeline.run(inputs={"a": 1})
    around.anew()
    pipeline.run(inputs={"a": 1})
    assert spans.tree == {"one": {"first": {"own": {}}}, "one 2": {"first": {"own": {}}}}


def test_a_tracer_that_gives_no_ids_has_spans_of_its_own_inside_of_the_run(spans: Spans, engine: Engine) -> None:
    class Strange(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            return StrangeTracer()

    class StrangeTracer(trace.Tracer):
        def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
            return spans.tracer.start_span(*args, **kwargs)

        def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError

    @node(output_name="b")
    def first(a: int) -> int:
        own_span(spans, "own")
        return a

    tracing = get_observer("opentelemetry", tracer_provider=Strange())
    Pipeline([first], name="one", callbacks=[tracing], engine=engine).run(inputs={"a": 1})
    (inside,) = spans.tree.values()
    assert inside == {"first": {}, "own": {}}


def test_what_fails_in_tracing_is_logged_once_and_runs_go_on(caplog: pytest.LogCaptureFixture, engine: Engine) -> None:
    class Broken(SpanProcessor):
        def on_end(self, span: Any) -> None:
            raise OSError("no network")

    provider = TracerProvider()
    provider.add_span_processor(Broken())

    @node(output_name="b")
    def first(a: int) -> int:
        return a

    tracing = get_observer("opentelemetry", tracer_provider=provider)
    with caplog.at_level(logging.WARNING):
        pipeline = Pipeline([first], callbacks=[tracing], engine=engine)
        assert [row["b"] for row in pipeline.map(inputs={"a": [1, 2, 3]}, map_over="a")] == [1, 2, 3]
        assert pipeline.run(inputs={"a": 4}) == {"b": 4}
    (record,) = caplog.records
    assert "no network" in record.getMessage()


def test_the_observer_of_the_settings_hears_of_pipelines_too(spans: Spans, tracing: Any) -> None:
    @node(output_name="b")
    def first(a: int) -> int:
        return a

    pipeline = Pipeline([first], name="one")
    with using(observers=[("opentelemetry", {"tracer_provider": spans.provider})]):
        pipeline.run(inputs={"a": 1})
        pipeline.map(inputs={"a": [1]}, map_over="a")
        assert list(pipeline.imap(inputs={"a": [1]}, map_over="a")) == [{"b": 1}]
        pipeline.with_callbacks([]).run(inputs={"a": 1})
    pipeline.run(inputs={"a": 1})
    mapped = {"one item": {"first": {}}}
    assert spans.tree == {"one": {"first": {}}, "one map": mapped, "one map 2": mapped}


def test_a_run_inside_of_a_node_is_inside_of_its_span(spans: Spans, tracing: Any, engine: Engine) -> None:
    @node(output_name="b")
    def first(a: int) -> int:
        return a

    @node(output_name="c")
    def runs(a: int) -> Any:
        return Pipeline([first], name="inner", callbacks=[tracing]).run(inputs={"a": a})["b"]

    Pipeline([runs], name="outer", callbacks=[tracing], engine=engine).run(inputs={"a": 1})
    assert spans.tree == {"outer": {"runs": {"inner": {"first": {}}}}}


def test_what_happened_elsewhere_has_the_times_of_there(spans: Spans, tracing: Any) -> None:
    remembered: dict[str, Any] = {}

    def context(item: tuple[int, ...], at: float, behind: float | None = None) -> CallbackContext:
        made = CallbackContext(("one",), item, remembered, {})
        made.time, made.behind = at, behind
        return made

    now = time.monotonic()
    tracing.companion(context((), now))
    tracing.on_map_start(1, context((), now))
    tracing.on_map_item_start(0, context((0,), now))
    tracing.on_pipeline_start("one", {}, context((0,), 7.0, 1_000.0))
    tracing.on_error("first", ValueError("no"), context((0,), 9.0, 1_000.0))
    tracing.on_node_end("first", {}, 0.5, context((0,), 9.0, 1_000.0))
    tracing.on_pipeline_end("one", {}, 2.0, context((0,), 9.25, 1_000.0))
    tracing.on_map_item_end(0, 0.1, context((0,), now))
    tracing.on_map_end(0.1, context((), now))
    call = spans.one("first")
    assert (call.start_time, call.end_time) == (1_008_500_000_000, 1_009_000_000_000)
    assert abs((spans.one("pipeline item").start_time or 0) - time.time_ns()) < 60e9
    assert set(remembered.values()) == {None}


def test_describing_the_plugin_imports_nothing_of_opentelemetry() -> None:
    code = (
        "import sys, pipe_core.graph, pipe_opentelemetry.plugin; print([m for m in sys.modules if 'telemetry.' in m])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPE_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, env=environment)
    assert done.stdout.strip() == "['pipe_opentelemetry.plugin']", done.stderr
