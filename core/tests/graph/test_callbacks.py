"""Callbacks: who is told what, in which order, and by whom."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any

import pytest
from graph_events import Recording, check_order

from pipe_core import CallbackContext, Engine, Pipeline, PipelineCallback, node


@node
def scaled(value: int, factor: int = 2) -> int:
    return value * factor


@node
def label(scaled: int) -> str:
    if scaled > 100:
        raise OverflowError(scaled)
    return f"n{scaled}"


@node
def joined(label: list[str]) -> str:
    return "".join(label)


ITEM = Pipeline([scaled, label], name="item")
OUTER = Pipeline([ITEM.as_node(map_over="value"), joined], name="outer")


def heard(pipeline: Pipeline, engine: Engine, call: str, *args: Any, **options: Any) -> Recording:
    """What a callback of *pipeline* hears of a call, whatever comes of that."""
    recording = Recording()
    try:
        getattr(pipeline.with_callbacks([recording]), call)(*args, engine=engine, **options)
    except OverflowError:
        pass
    check_order(recording.told)
    assert recording.threads == {threading.current_thread()}
    return recording


def test_the_order_in_line_is_that_of_the_graph() -> None:
    told = heard(OUTER, Engine("sync"), "run", {"value": [1, 2]}).told
    item = ["on_pipeline_start", "on_node_start", "on_node_end", "on_node_start", "on_node_end", "on_pipeline_end"]
    assert [one.event for one in told] == [
        "on_pipeline_start",
        "on_nested_pipeline_start",
        "on_map_start",
        *["on_map_item_start", *item, "on_map_item_end"],
        *["on_map_item_start", *item, "on_map_item_end"],
        "on_map_end",
        "on_nested_pipeline_end",
        "on_node_start",
        "on_node_end",
        "on_pipeline_end",
    ]
    assert [one.item for one in told if one.event == "on_node_start"] == [(0,), (0,), (1,), (1,), ()]
    assert {one.path for one in told if one.subject in ("scaled", "label")} == {("outer", "item")}


def test_the_same_is_told_wherever_it_runs(anywhere: Engine) -> None:
    for call in (
        ("run", {"value": [1, 2, 3]}),
        ("map", {"value": [[1], [], [2, 3]]}, "value"),
        ("map", {"value": []}, "value"),
    ):
        assert heard(OUTER, anywhere, *call).counted() == heard(OUTER, Engine("sync"), *call).counted()


def test_what_is_told_of_nodes_and_pipelines(anywhere: Engine) -> None:
    told = heard(ITEM, anywhere, "map", {"value": [4]}, "value").told
    facts = {(one.event, one.subject): one.facts for one in told}
    assert facts == {
        ("on_map_start", ""): "[1]",
        ("on_map_item_start", "0"): "[0]",
        ("on_pipeline_start", ""): "['item', {'value': 4}]",
        ("on_node_start", "scaled"): "['scaled', {'value': 4, 'factor': 2}]",
        ("on_node_end", "scaled"): "['scaled', {'scaled': 8}]",
        ("on_node_start", "label"): "['label', {'scaled': 8}]",
        ("on_node_end", "label"): "['label', {'label': 'n8'}]",
        ("on_pipeline_end", ""): "['item', {'scaled': 8, 'label': 'n8'}]",
        ("on_map_item_end", "0"): "[0]",
        ("on_map_end", ""): "[]",
    }


@pytest.mark.parametrize("on_error", ["raise", "continue"])
def test_what_has_started_ends_also_where_something_fails(anywhere: Engine, on_error: str) -> None:
    for call in (("run", {"value": [1, 60, 2, 70]}), ("map", {"value": [[1], [2, 60, 3], [4]]}, "value")):
        recording = heard(OUTER, anywhere, *call, on_error=on_error)
        errors = [one for one in recording.told if one.event == "on_error"]
        assert errors
        assert {one.subject for one in errors} == {"label"}
        assert "OverflowError(120)" in errors[0].facts


def test_no_item_is_told_twice(anywhere: Engine) -> None:
    recording = heard(ITEM, anywhere, "map", {"value": range(300)}, "value", output_name="scaled")
    assert Counter(recording.named("on_map_item_start")) == Counter(map(str, range(300)))
    assert Counter(recording.named("on_map_item_end")) == Counter(map(str, range(300)))


def test_the_place_of_an_event_is_told_and_what_is_kept_there_is_found_again(anywhere: Engine) -> None:
    class Places(PipelineCallback):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
            ctx.set(pipeline_id, len(inputs))
            self.seen.append((ctx.depth, ctx.current_pipeline_id, ctx.parent_pipeline_id))

        def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
            assert duration >= 0
            if node_id == "joined":
                self.seen.append((ctx.get("outer"), ctx.get("other"), ctx.get("other", 5)))
                self.seen.append(ctx.get_pipeline_metadata("item"))
                self.seen.append(ctx.get_pipeline_metadata("none"))

    places = Places()
    OUTER.with_callbacks([places]).run({"value": [1]}, engine=anywhere)
    assert places.seen[:2] == [(0, "outer", None), (1, "item", "outer")]
    assert places.seen[2] == (1, None, 5)
    assert places.seen[3].items() >= {"node_ids": ["scaled", "label"], "pipeline_name": "item"}.items()
    assert places.seen[4] == {}


def test_what_is_kept_is_of_one_run(anywhere: Engine) -> None:
    class Keeps:
        def __init__(self) -> None:
            self.found: list[Any] = []

        def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
            self.found.append(ctx.get("before"))
            ctx.set("before", node_id)

    keeps = Keeps()
    for _ in range(2):
        ITEM.with_callbacks([keeps]).run({"value": 1}, engine=anywhere)
    assert keeps.found == [None, "scaled", None, "scaled"]


def test_callbacks_of_a_pipeline_inside_take_the_place_of_those_around_it(anywhere: Engine) -> None:
    around, inside = Recording(), Recording()
    child = ITEM.with_callbacks([inside]).as_node(map_over="value")
    Pipeline([child, joined], name="outer", callbacks=[around]).run({"value": [1, 2]}, engine=anywhere)
    assert around.named("on_node_start") == ["joined"]
    assert Counter(inside.named("on_node_start")) == {"scaled": 2, "label": 2}
    assert {one.path for one in inside.told} == {("outer", "item")}
    assert Counter(inside.named("on_map_item_end")) == {"0": 1, "1": 1}
    assert [one.event for one in around.told if "nested" in one.event] == [
        "on_nested_pipeline_start",
        "on_nested_pipeline_end",
    ]


def test_callbacks_of_a_pipeline_inside_know_where_they_are_though_nobody_else_listens(anywhere: Engine) -> None:
    for nobody in (None, []):
        inside = Recording()
        child = ITEM.with_callbacks([inside]).as_node(map_over="value")
        middle = Pipeline([child], name="middle", callbacks=nobody)
        Pipeline([middle], name="outer").run({"value": [1]}, engine=anywhere)
        assert {one.path for one in inside.told} == {("outer", "middle", "item")}


def test_a_callback_that_raises_changes_nothing(anywhere: Engine, caplog: pytest.LogCaptureFixture) -> None:
    class Fails:
        def on_node_start(self, *facts: Any) -> None:
            raise RuntimeError("callback")

    recording = Recording()
    with caplog.at_level(logging.ERROR, "pipe_core"):
        found = ITEM.with_callbacks([Fails(), recording]).run({"value": 1}, engine=anywhere)
    assert found == {"scaled": 2, "label": "n2"}
    assert recording.named("on_node_start") == ["scaled", "label"]
    assert "a callback failed in on_node_start" in caplog.text


def test_a_callback_may_run_a_pipeline(anywhere: Engine) -> None:
    class Runs:
        def __init__(self) -> None:
            self.found: list[Any] = []

        def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
            self.found.append(ITEM.run({"value": 3}, "scaled", engine=anywhere))

    runs = Runs()
    ITEM.with_callbacks([runs]).run({"value": 1}, engine=anywhere)
    assert runs.found == [{"scaled": 6}, {"scaled": 6}]
