"""Pipelines: nodes that find each other by name."""

from __future__ import annotations

import pytest

from pipe_core import MapResult, Pipeline, node
from pipe_core.graph.errors import (
    CycleError,
    DuplicateOutputError,
    GraphError,
    InputError,
    NodeDefinitionError,
    OutputNotFoundError,
)


@node(output_name=("low", "high"))
def bounds(data: list[int]) -> tuple[int, int]:
    return min(data), max(data)


@node
def span(low: int, high: int, *, factor: int = 1) -> int:
    return (high - low) * factor


def test_nodes_find_each_other_whatever_their_order() -> None:
    assert Pipeline([span, bounds]).run({"data": [3, 1, 5]}) == {"span": 4, "low": 1, "high": 5}


def test_a_default_may_be_left_out_or_given() -> None:
    pipeline = Pipeline([bounds, span])
    assert pipeline(data=[1, 2])["span"] == 1
    assert pipeline(data=[1, 2], factor=10)["span"] == 10


def test_what_is_not_asked_for_does_not_run() -> None:
    def fails(low: int) -> int:
        raise AssertionError(low)

    assert Pipeline([bounds, span, fails]).run({"data": [1, 2]}, "span") == {"span": 1}


def test_a_map_gives_rows_and_columns() -> None:
    result = Pipeline([bounds, span]).map({"data": ([1, 2], [1, 5]), "factor": 2}, "data", output_name="span")
    assert isinstance(result, MapResult)
    assert result == [{"span": 2}, {"span": 8}]
    assert result["span"] == [2, 8]


def test_a_pipeline_inside_another_one_may_be_mapped() -> None:
    inner = Pipeline([bounds, span], name="inner")

    @node
    def total(spans: list[int]) -> int:
        return sum(spans)

    outer = Pipeline([inner.as_node(map_over="data", output_mapping={"span": "spans"}), total])
    assert outer.run({"data": [[1, 2], [1, 5]], "factor": 3}) == {"spans": [3, 12], "total": 15}


def test_a_circle_is_refused_and_shown() -> None:
    def a(c: int) -> int: ...
    def b(a: int) -> int: ...
    def c(b: int) -> int: ...

    with pytest.raises(CycleError, match=r"a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c") as caught:
        Pipeline([a, b, c])
    assert caught.value.path[0] == caught.value.path[-1]


def test_an_output_has_one_giver() -> None:
    with pytest.raises(DuplicateOutputError, match="'bounds' and 'again' both give 'low'"):
        Pipeline([bounds, node(output_name="low", name="again")(lambda: 1)])


@pytest.mark.parametrize(
    ("inputs", "output", "text"),
    [
        ({}, None, r"lacks an input: data \(for bounds\)"),
        ({"dato": 1}, None, "nothing takes the input 'dato'. Did you mean 'data'?"),
        ({"data": [1], "low": 2}, None, "'low' is an output of the node 'bounds'"),
    ],
)
def test_wrong_inputs_are_named(inputs: dict[str, object], output: str | None, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Pipeline([bounds, span]).run(inputs, output)


def test_an_unknown_output_is_named() -> None:
    with pytest.raises(OutputNotFoundError, match=r"'spam' not found in pipeline. Did you mean 'span'\?"):
        Pipeline([bounds, span]).run({"data": [1]}, "spam")


def test_arguments_without_names_cannot_be_wired() -> None:
    def total(*values: int) -> int:
        return sum(values)

    with pytest.raises(NodeDefinitionError, match=r"has the parameter \*values"):
        node(total)
    with pytest.raises(NodeDefinitionError, match=r"<lambda> has no name"):
        node(lambda value: value)


def test_an_error_says_where_it_was_raised() -> None:
    with pytest.raises(TypeError) as caught:
        Pipeline([bounds, span], name="ranges").map({"data": [[1], 5]}, "data")
    assert caught.value.__notes__ == ["In node 'bounds' of pipeline 'ranges', item 1, called with data=5"]


def test_what_is_no_engine_and_what_is_no_list_is_refused_at_once() -> None:
    @node
    def given(x: int) -> int:
        return x

    pipeline = Pipeline([given])
    for make in (
        lambda: Pipeline([given], engine="threads"),  # type: ignore[arg-type]  # a name, as everywhere else
        lambda: pipeline.with_engine("threads"),  # type: ignore[arg-type]  # the same
        lambda: pipeline.run({"x": 1}, engine="threads"),  # type: ignore[arg-type]  # the same
    ):
        with pytest.raises(GraphError, match=r"engine wants an Engine, such as Engine\(map_executor='threads'\)"):
            make()
    with pytest.raises(GraphError, match=r"wants a list of nodes, Pipeline\(\[...\]\)"):
        Pipeline(given)  # type: ignore[arg-type]  # without the list


def test_a_callback_that_would_hear_nothing_is_refused() -> None:
    pipeline = Pipeline([bounds])
    with pytest.raises(GraphError, match=r"not the name 'log': get_observer\('log'\)"):
        Pipeline([bounds], callbacks=["log"])
    for alone in ("log", object()):
        with pytest.raises(GraphError, match="callbacks wants a list of objects, not"):
            pipeline.with_callbacks(alone)  # type: ignore[arg-type]  # without the list
    assert pipeline.with_callbacks(()).callbacks == []
