"""`RunRecorder` writes down what ran when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import pytest

from pipe_core import Engine, MemoryCache, Pipeline, Retry, RunRecorder, node
from pipe_core.graph.callbacks import CallbackContext, Teller
from pipe_core.graph.pictures import PictureError
from pipe_core.graph.recording import NodeTimes
from pipe_core.graph.relay import Heard, relay


@node
def load(value: int) -> int:
    sleep(0.002)
    return value


@node
def half(load: int) -> float:
    return load / 2


def test_each_call_is_written_down_after_what_it_needs(anywhere: Engine) -> None:
    recorder = RunRecorder()
    pipeline = Pipeline([half, load], callbacks=[recorder], engine=anywhere)
    began = monotonic()
    pipeline.map({"value": range(4)}, "value")
    lasted = monotonic() - began
    found = {(call.node, call.item): call for call in recorder.calls}
    assert set(found) == {(name, (item,)) for name in ("load", "half") for item in range(4)}
    for item in range(4):
        first, second = found["load", (item,)], found["half", (item,)]
        assert 0 <= first.start < first.end <= second.start <= second.end <= lasted


def test_calls_at_once_overlap() -> None:
    both = threading.Barrier(2)
    recorder = RunRecorder()
    left, right = (node(output_name=name)(lambda value: both.wait(10)) for name in ("left", "right"))
    with ThreadPoolExecutor(2) as pool:
        Pipeline([left, right], callbacks=[recorder]).run({"value": 1}, engine=Engine(pool))
    one, other = recorder.calls
    assert one.start < other.end
    assert other.start < one.end
    assert one.item == other.item == ()


def test_a_time_is_that_of_the_event_however_late_it_is_told() -> None:
    """The waiting thread runs a node itself, and hears of the one in the pool when it is done with it."""
    quick_is_over = threading.Event()
    recorder = RunRecorder()

    @node
    def quick(value: int) -> int:
        return value

    @node(executor="sync")
    def slow(value: int) -> int:
        quick_is_over.wait(10)
        sleep(0.1)
        return value

    @node
    def after(quick: int) -> None:
        quick_is_over.set()

    with ThreadPoolExecutor(2) as pool:
        Pipeline([quick, after, slow], callbacks=[recorder]).run({"value": 1}, engine=Engine(pool))
    ends = {call.node: call.end for call in recorder.calls}
    assert ends["quick"] <= ends["after"] < ends["slow"] - 0.09


def test_what_fails_is_a_call_and_so_is_each_attempt() -> None:
    attempts = iter([ConnectionError(1), ConnectionError(2)])
    recorder = RunRecorder()

    @node(retries=Retry(2, delay=0))
    def flaky(value: int) -> int:
        for error in attempts:
            raise error
        return value

    @node
    def fails(flaky: int) -> int:
        raise ValueError(flaky)

    with pytest.raises(ValueError, match="1"):
        Pipeline([flaky, fails], callbacks=[recorder]).run({"value": 1})
    seen = [(call.node, call.failed) for call in recorder.calls]
    assert seen == [("flaky", True), ("flaky", True), ("flaky", False), ("fails", True)]
    assert recorder.summary()["flaky"].failed == 2


def test_what_was_kept_is_counted_and_not_drawn() -> None:
    recorder = RunRecorder()
    pipeline = Pipeline([load], callbacks=[recorder], cache=MemoryCache())
    pipeline.map({"value": [1, 2]}, "value")
    pipeline.map({"value": [1, 2, 3]}, "value")
    assert [call.cached for call in recorder.calls] == [True, True, False]
    assert (recorder.summary()["load"].cached, recorder.summary()["load"].count) == (2, 1)
    assert len(recorder.gantt().timings) == 1
    pipeline.run({"value": 3})
    assert recorder.summary() == {"load": NodeTimes(0, 0.0, 0.0, cached=1)}
    assert recorder.summary()["load"].mean == 0
    assert "Nothing has run." in recorder.gantt().svg


def test_nodes_of_pipelines_inside_are_told_apart(anywhere: Engine) -> None:
    recorder = RunRecorder()
    inner = Pipeline([load], name="inner").as_node(
        input_mapping={"values": "value"}, output_mapping={"load": "loaded"}, map_over="values"
    )
    outer = Pipeline([load, inner], name="outer", callbacks=[recorder], engine=anywhere)
    outer.run({"value": 1, "values": [2, 3]})
    assert {(call.node, call.item) for call in recorder.calls} == {
        ("load", ()),
        ("inner/load", (0,)),
        ("inner/load", (1,)),
    }


def test_it_holds_the_last_run_and_adds_up_its_calls() -> None:
    recorder = RunRecorder()
    assert (recorder.calls, recorder.summary(), repr(recorder)) == ([], {}, "<RunRecorder: no run yet>")
    pipeline = Pipeline([load, half], name="numbers", callbacks=[recorder])
    pipeline.run({"value": 1})
    assert repr(recorder) == "<RunRecorder of 'numbers': 2 calls>"
    pipeline.map({"value": range(3)}, "value")
    summary = recorder.summary()
    lasted = [call.end - call.start for call in recorder.calls if call.node == "load"]
    assert list(summary) == ["load", "half"]
    assert (summary["load"].count, summary["load"].longest) == (3, max(lasted))
    assert summary["load"].total == pytest.approx(sum(lasted))
    assert summary["load"].mean == pytest.approx(sum(lasted) / 3)
    assert list(pipeline.imap({"value": [1]}, "value")) == [{"load": 1, "half": 0.5}]
    assert len(recorder.calls) == 2


def test_it_draws_the_run(tmp_path: Path) -> None:
    recorder = RunRecorder()
    Pipeline([load, half], name="numbers", callbacks=[recorder]).map({"value": range(2)}, "value")
    drawn = recorder.gantt(tmp_path / "run.svg", style="dark")
    assert (tmp_path / "run.svg").read_text("utf-8") == drawn.svg
    assert drawn.svg.count('class="bar"') == 4
    assert "Timings of numbers" in drawn.svg
    assert recorder._repr_svg_().count('class="bar"') == 4
    with pytest.raises(PictureError, match="No picture can be written as 'gif'"):
        recorder.gantt(tmp_path / "run.gif")


def test_events_of_another_process_keep_the_time_between_them() -> None:
    told: list[float] = []
    listener = SimpleNamespace(on_node_end=lambda name, outputs, duration, ctx: told.append(ctx.time))
    scope: Any = SimpleNamespace(
        teller=Teller([listener], lambda call: call()),
        path=("outer",),
        steps=(),
        run=SimpleNamespace(remembered={}, pipelines={}),
    )
    heard: list[Heard] = [
        Heard("on_node_end", ("load", {}, 0.5), ("outer",), (item,), (), None, (), None, 1_000_000.0 + item)
        for item in range(3)
    ]
    before = monotonic()
    relay(heard, scope, 0.0)
    assert before <= told[-1] <= monotonic()
    assert [told[-1] - one for one in told] == pytest.approx([2.0, 1.0, 0.0])
    relay([], scope, 0.0)
    assert len(told) == 3


def test_a_context_knows_when_the_event_was_though_several_share_it() -> None:
    kept: list[tuple[CallbackContext, float]] = []
    listener = SimpleNamespace(
        on_node_start=lambda name, inputs, ctx: kept.append((ctx, ctx.time)),
        on_node_end=lambda name, outputs, duration, ctx: kept.append((ctx, ctx.time)),
    )
    before = monotonic()
    Pipeline([load], callbacks=[listener]).run({"value": 1})
    (_, start), (_, end) = kept
    assert before <= start < end <= monotonic()
