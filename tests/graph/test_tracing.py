"""Spans of pipelines, and spans that nodes open themselves, have right parents wherever nodes run."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipe_opentelemetry")
pytest.importorskip("opentelemetry.sdk")

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "pipe-opentelemetry" / "tests"))

from opentelemetry import trace
from opentelemetry.trace import StatusCode
from span_trees import Spans
from starting import Started

from pipe_core import BaseHook, Engine, Executor, Pipe, Pipeline, TaskExecutor, get_observer, node
from pipe_opentelemetry import carrying

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def spans() -> Spans:
    return Spans()


def own(folder: str, name: str) -> None:
    """A span of the node's own, of a provider that its process has for itself, which writes it into a file."""
    import secrets

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    with open(f"{folder}/{secrets.token_hex(8)}.json", "w", encoding="utf-8") as file:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=file)))
        with provider.get_tracer("worker").start_as_current_span(name):
            trace.get_current_span().set_attribute("said", name)


class Written:
    """What nodes have written of their own spans: the parent of each, by its name."""

    def __init__(self, folder: Path) -> None:
        self.spans = {
            one["name"]: one for one in map(json.loads, (file.read_text("utf-8") for file in folder.iterdir()))
        }

    def check(self, name: str, parent: Any) -> None:
        """Make sure that it is inside of *parent*, in time as well."""
        assert self.spans[name]["context"]["trace_id"] == f"0x{parent.context.trace_id:032x}"
        assert self.spans[name]["parent_id"] == f"0x{parent.context.span_id:016x}"
        times = (datetime.fromisoformat(self.spans[name][which]) for which in ("start_time", "end_time"))
        began, ended = (round(time.timestamp() * 1e6) for time in times)
        assert parent.start_time // 1_000 - 1 <= began <= ended <= parent.end_time // 1_000 + 1


def pipelines(tracing: Any) -> Pipeline:
    """A map inside of a pipeline, and nodes beside it: functions and a coroutine function."""

    @node(output_name="scaled")
    def scale(value: int, folder: str) -> int:
        own(folder, f"scale {value}")
        trace.get_current_span().set_attribute("value", value)
        return 10 * value

    @node(output_name="label")
    async def name_it(scaled: int, folder: str) -> str:
        own(folder, f"name {scaled}")
        return str(scaled)

    @node(output_name="joined")
    def join(label: list[str], folder: str) -> str:
        own(folder, f"join {len(label)}")
        return "+".join(label)

    each = Pipeline([scale, name_it], name="each").as_node(map_over="value")
    return Pipeline([each, join], name="all", callbacks=[tracing])


def check_everything(spans: Spans, engine: Engine, folder: Path) -> None:
    """Run and map, and look at the parents of all spans."""
    tracing = get_observer("opentelemetry", tracer_provider=spans.provider)
    pipeline = pipelines(tracing)
    with spans.tracer.start_as_current_span("caller"):
        assert pipeline.run(inputs={"value": [1, 2], "folder": str(folder)}, engine=engine)["joined"] == "10+20"
    calls = {"scale": {}, "name_it": {}}
    inside = {"each map": {"each item": calls, "each item 2": calls}, "join": {}}
    assert spans.tree == {"caller": {"all": inside}}
    written = Written(folder)
    assert len(written.spans) == 5
    for index, value in enumerate([1, 2]):
        (scale,) = [one for one in spans.named("scale") if one.attributes["pipe.item"] == (index,)]
        (name_it,) = [one for one in spans.named("name_it") if one.attributes["pipe.item"] == (index,)]
        assert scale.attributes["value"] == value
        written.check(f"scale {value}", scale)
        written.check(f"name {10 * value}", name_it)
    written.check("join 2", spans.one("join"))

    spans.exporter.clear()
    found = pipeline.map({"value": [[3], [4, 5, 6]], "folder": str(folder)}, "value", engine=engine)
    assert found["joined"] == ["30", "40+50+60"]
    three = {"each item": calls, "each item 2": calls, "each item 3": calls}
    items = {
        "all item": {"each map": {"each item": calls}, "join": {}},
        "all item 2": {"each map": three, "join": {}},
    }
    assert spans.tree == {"all map": items}
    written = Written(folder)
    for place, value in zip([(0, 0), (1, 0), (1, 1), (1, 2)], [3, 4, 5, 6], strict=True):
        (scale,) = [one for one in spans.named("scale") if one.attributes["pipe.item"] == place]
        written.check(f"scale {value}", scale)
    for count, join in zip([1, 3], spans.named("join"), strict=True):
        written.check(f"join {count}", join)
    assert {one.status.status_code for one in spans.all} == {StatusCode.UNSET}
    first, last = min(one.start_time or 0 for one in spans.all), max(one.end_time or 0 for one in spans.all)
    root = spans.one("all map")
    assert (root.start_time or 0) <= first + 1_000_000
    assert last - 1_000_000 <= (root.end_time or 0)


def test_spans_have_the_same_parents_on_executors_of_this_machine(
    spans: Spans, combined: Engine, tmp_path: Path
) -> None:
    check_everything(spans, combined, tmp_path)


def test_spans_have_the_same_parents_on_clusters(spans: Spans, clustered: Engine, tmp_path: Path) -> None:
    check_everything(spans, clustered, tmp_path)


def test_errors_of_workers_are_told_with_their_calls(spans: Spans, executors: Started) -> None:
    @node(output_name="b")
    def fails(a: int) -> int:
        if a > 1:
            raise ValueError(f"not {a}")
        return a

    tracing = get_observer("opentelemetry", tracer_provider=spans.provider, items=3)
    pipeline = Pipeline([fails], name="one", callbacks=[tracing])
    for engine in (Engine("sync", executors["loky"]), Engine(executors["loky"])):
        found = pipeline.map({"a": [1, 2, 0, 3]}, "a", on_error="continue", engine=engine)
        assert [one.index for one in found.failed] == [1, 3]
        codes = [one.status.status_code for one in spans.named("fails")]
        assert codes == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.UNSET]
        assert spans.named("fails")[1].events[0].attributes["exception.message"] == "not 2"
        (event,) = spans.one("one map").events  # of the item that has no spans
        assert event.attributes["exception.message"] == "not 3"
        assert spans.one("one map").status.description == "2 items have failed"
        spans.exporter.clear()


@pytest.mark.parametrize("name", ["threads", "loky"])
def test_a_node_that_is_given_up_has_a_span_that_ends_then(spans: Spans, executors: Started, name: str) -> None:
    gate = threading.Event()

    def slow_there(a: int) -> int:
        import time

        time.sleep(60)
        return a

    def slow_here(a: int) -> int:
        gate.wait(30)
        return a

    slow = node(output_name="b", timeout=0.5)(slow_here if name == "threads" else slow_there)
    tracing = get_observer("opentelemetry", tracer_provider=spans.provider)
    try:
        with pytest.raises(TimeoutError):
            Pipeline([slow], name="one", callbacks=[tracing]).run({"a": 1}, engine=Engine(executors[name]))
    finally:
        gate.set()
    (below,) = spans.tree.values()
    assert list(below) == [slow.name]
    call = spans.one(slow.name)
    assert call.status.status_code is spans.one("one").status.status_code is StatusCode.ERROR
    assert 0.4e9 < (call.end_time or 0) - (call.start_time or 0) < 20e9


def test_workers_that_do_not_know_the_companion_run_nodes_all_the_same(
    spans: Spans, executors: Started, tmp_path: Path
) -> None:
    class Lost:
        """What cannot be opened there."""

        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return __import__, ("no_such_module_there",)

        def around(self, node_id: str, ctx: Any) -> Any:
            raise AssertionError("it is here")

    class Sends:
        def companion(self, ctx: Any) -> Lost:
            return Lost()

    @node(output_name="b")
    def first(a: int) -> int:
        return a + 1

    engine = Engine("sync", executors["loky"])
    found = Pipeline([first], callbacks=[Sends(), Heard(ends := [])]).map({"a": [1, 2]}, "a", engine=engine)
    assert found["b"] == [2, 3]
    assert ends == ["first", "first"]


class Heard:
    """A callback that writes down which nodes have ended."""

    def __init__(self, ends: list[str]) -> None:
        self.ends = ends

    def on_node_end(self, node_id: str, outputs: Any, duration: float, ctx: Any) -> None:
        self.ends.append(node_id)


# --- records and calls ---


class Opens(BaseHook):
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def execute(self, entries: list[Any], store: Any) -> list[Any]:
        own(self.folder, f"hook {entries[0]['raw_data']['n']}")
        return entries


@pytest.mark.parametrize("name", ["threads", "asyncio", "loky"])
def test_hooks_are_inside_of_their_chunk(spans: Spans, executors: Started, name: str, tmp_path: Path) -> None:
    tracing = get_observer("opentelemetry", tracer_provider=spans.provider)
    hooks = [Opens(str(tmp_path))]
    source = [{"n": n} for n in range(4)]
    with spans.tracer.start_as_current_span("caller"):
        pipe = Pipe(
            source, [], post_validation_hooks=hooks, chunk_size=2, executor=executors[name], observers=[tracing]
        )
        pipe.run()
    assert spans.tree == {"caller": {"records": {"chunk": {}, "chunk 2": {}}}}
    written = Written(tmp_path)
    for n, chunk in zip([0, 2], spans.named("chunk"), strict=True):
        written.check(f"hook {n}", chunk)


def current() -> int:
    return trace.get_current_span().get_span_context().span_id


def test_calls_in_other_processes_know_the_span_that_they_carry(spans: Spans, executors: Started) -> None:
    executor: Executor = executors["loky"]
    with spans.tracer.start_as_current_span("caller") as span:
        with carrying(), TaskExecutor(executor) as tasks:
            carried = [executor.submit(current), tasks.submit(current)]
        plain = executor.submit(current)
    assert [one.result() for one in carried] == [span.get_span_context().span_id] * 2
    assert plain.result() == 0
