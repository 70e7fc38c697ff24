"""Pipelines inside of pipelines, once or for each of many items."""

from __future__ import annotations

from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node
from pipe_core.graph.errors import DuplicateOutputError, GraphError, InputError
from pipe_core.graph.items import MapError


@node
def scaled(value: int, factor: int) -> int:
    return value * factor


@node
def label(scaled: int, prefix: str = "n") -> str:
    return f"{prefix}{scaled}"


ITEM = Pipeline([label, scaled], name="item")


def test_a_pipeline_is_a_node_as_it_is(anywhere: Engine) -> None:
    last = node(output_name="last")(lambda label, scaled: label * scaled)
    for inner in (ITEM, ITEM.as_node(), ITEM.as_node(name="step")):
        outer = Pipeline([last, inner])
        assert outer.run({"value": 1, "factor": 2}, engine=anywhere) == {"label": "n2", "scaled": 2, "last": "n2n2"}
        assert outer.run({"value": 1, "factor": 2, "prefix": "x"}, "last", engine=anywhere) == {"last": "x2x2"}


def test_names_outside_may_be_others_than_inside(anywhere: Engine) -> None:
    left = ITEM.as_node({"a": "value", "k": "factor"}, {"label": "left"})
    right = ITEM.as_node({"b": "value", "k": "factor", "p": "prefix"}, {"label": "right", "scaled": "size"})
    pipeline = Pipeline([left, right, node(output_name="value")(lambda left, right: left + right)])
    assert set(pipeline.unfulfilled_args) == {"a", "b", "k"}
    found = pipeline.run({"a": 1, "b": 2, "k": 3, "p": "m"}, engine=anywhere)
    assert found == {"left": "n3", "right": "m6", "size": 6, "value": "n3m6"}


def test_what_is_not_exposed_is_not_computed(anywhere: Engine) -> None:
    def fails(value: int) -> int:
        raise AssertionError(value)

    inner = Pipeline([scaled, fails]).as_node(output_mapping={"scaled": "size"})
    assert Pipeline([inner]).run({"value": 1, "factor": 2}, engine=anywhere) == {"size": 2}


def test_what_is_mapped_over_gives_lists_and_the_rest_is_shared(anywhere: Engine) -> None:
    inner = ITEM.as_node({"values": "value"}, map_over="values")
    total = node(output_name="total")(lambda scaled: sum(scaled))
    pipeline = Pipeline([total, inner])
    found = pipeline.run({"values": (1, 2, 3), "factor": 10}, engine=anywhere)
    assert found == {"scaled": [10, 20, 30], "label": ["n10", "n20", "n30"], "total": 60}
    empty = pipeline.run({"values": [], "factor": 10}, engine=anywhere)
    assert empty == {"scaled": [], "label": [], "total": 0}
    result = pipeline.map({"values": [[1], [], [2, 3]], "factor": 2}, "values", engine=anywhere)
    assert result["label"] == [["n2"], [], ["n4", "n6"]]
    assert result["total"] == [2, 0, 10]


@pytest.mark.parametrize(
    ("mode", "found"), [("zip", [3, 8]), ("product", [3, 4, 6, 8])], ids=["equal places", "all combinations"]
)
def test_two_lists_are_mapped_over_inside(anywhere: Engine, mode: str, found: list[int]) -> None:
    inner = ITEM.as_node(map_over=["value", "factor"], map_mode=mode, output_mapping={"scaled": "all"})
    assert Pipeline([inner]).run({"value": [1, 2], "factor": [3, 4]}, engine=anywhere) == {"all": found}


def test_many_items_inside(anywhere: Engine) -> None:
    inner = ITEM.as_node(map_over="value", output_mapping={"scaled": "all"})
    pipeline = Pipeline([inner, node(output_name="total")(lambda all: sum(all))])
    found = pipeline.run({"value": list(range(1_000)), "factor": 2}, "total", engine=anywhere)
    assert found == {"total": 999_000}


def deep(levels: int, mapped: bool) -> Pipeline:
    """As many levels, each with a node before and one behind what is inside; the names are the same on every level."""
    before = node(output_name="inside")(lambda value: [value, value + 1] if mapped else value + 1)
    after = node(output_name="result")(lambda found, value: [value, found])
    if not levels:
        return Pipeline([node(output_name="result")(lambda value, shared: value * shared)], name="level-0")
    inner = deep(levels - 1, mapped).as_node(
        {"inside": "value"}, {"result": "found"}, map_over="inside" if mapped else None
    )
    return Pipeline([after, inner, before], name=f"level-{levels}")


def nested(levels: int, mapped: bool, value: int, shared: int) -> Any:
    """What `deep` gives."""
    if not levels:
        return value * shared
    if mapped:
        return [value, [nested(levels - 1, mapped, one, shared) for one in (value, value + 1)]]
    return [value, nested(levels - 1, mapped, value + 1, shared)]


@pytest.mark.parametrize("mapped", [False, True], ids=["once", "mapped"])
@pytest.mark.parametrize("levels", [1, 3, 5])
def test_levels_do_not_meet_though_their_names_are_the_same(anywhere: Engine, levels: int, mapped: bool) -> None:
    pipeline = deep(levels, mapped)
    found = pipeline.run({"value": 1, "shared": 10}, "result", engine=anywhere)
    assert found == {"result": nested(levels, mapped, 1, 10)}
    result = pipeline.map({"value": range(3), "shared": 10}, "value", output_name="result", engine=anywhere)
    assert result["result"] == [nested(levels, mapped, value, 10) for value in range(3)]


def test_each_function_inside_keeps_its_own_default(anywhere: Engine) -> None:
    inner = Pipeline([node(output_name="one")(lambda at=1: at), node(output_name="two")(lambda at=2: at)])
    for pipeline in (inner, Pipeline([inner]), Pipeline([Pipeline([inner])])):
        assert pipeline.run({}, engine=anywhere) == {"one": 1, "two": 2}
        assert pipeline.run({"at": 1}, engine=anywhere) == {"one": 1, "two": 1}


def test_what_is_mapped_over_has_no_default_outside(anywhere: Engine) -> None:
    inner = Pipeline([node(output_name="more")(lambda value=3: value + 1)])
    pipeline = Pipeline([inner.as_node(map_over="value")])
    with pytest.raises(InputError, match="lacks an input: value"):
        pipeline.run({}, engine=anywhere)
    assert pipeline.run({"value": [1]}, engine=anywhere) == {"more": [2]}


def test_what_is_bound_inside_need_not_be_given_outside(anywhere: Engine) -> None:
    pipeline = Pipeline([ITEM.bind(factor=3)])
    assert pipeline.unfulfilled_args == ("value",)
    assert pipeline.run({"value": 2}, "scaled", engine=anywhere) == {"scaled": 6}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"input_mapping": {"x": "valeu"}}, "names the inner input 'valeu', and there is none. Did you mean 'value'?"),
        ({"output_mapping": {"lable": "x"}}, "names the inner output 'lable', and there is none. Did you mean 'label'"),
        ({"input_mapping": {"x": "value", "y": "value"}}, "'value'"),
        ({"input_mapping": {"factor": "value"}}, "gives 'factor' to two inner inputs"),
        ({"map_over": "values"}, "cannot map over 'values', which it does not take. Did you mean 'value'?"),
        ({"map_mode": "zap"}, "not 'zap'"),
    ],
)
def test_what_there_is_not_inside_cannot_be_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(GraphError) as caught:
        ITEM.as_node(**options)
    assert text in str(caught.value)


def test_two_pipelines_cannot_give_the_same(anywhere: Engine) -> None:
    with pytest.raises(DuplicateOutputError, match="both give 'label'"):
        Pipeline([ITEM, ITEM.as_node({"other": "value"}, name="again")])


def test_lists_inside_that_differ_are_an_error_of_their_node(anywhere: Engine) -> None:
    inner = ITEM.as_node(map_over=["value", "factor"], name="inside")
    with pytest.raises(MapError, match="value: 2, factor: 1") as caught:
        Pipeline([inner], name="outside").run({"value": [1, 2], "factor": [1]}, engine=anywhere)
    text = "In node 'inside' of pipeline 'outside', called with value=[1, 2], factor=[1], prefix='n'"
    assert caught.value.__notes__ == [text]
