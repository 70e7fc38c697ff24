"""Nodes: functions with names for what they take and what they give."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, NamedTuple

import pytest

from pipe_core import Engine, Node, Pipeline, node
from pipe_core.graph.errors import NodeDefinitionError, OutputMismatchError


def both(low: int, high: int = 7, *, factor: int = 2) -> tuple[int, int]:
    """Two numbers."""
    return low * factor, high * factor


@pytest.mark.parametrize(
    ("made", "outputs"),
    [
        (node(both), ("both",)),
        (node()(both), ("both",)),
        (node(output_name="pair")(both), ("pair",)),
        (node(output_name=("first", "second"))(both), ("first", "second")),
        (node(name="other")(both), ("other",)),
        (Node(both, ["first"]), ("first",)),
    ],
    ids=repr,
)
def test_an_output_is_called_as_its_node_says(made: Node[..., Any], outputs: tuple[str, ...]) -> None:
    assert made.outputs == outputs


def test_calling_a_node_calls_its_function() -> None:
    made = node(output_name="pair")(both)
    assert made(1) == (2, 14)
    assert made(1, 2, factor=3) == (3, 6)
    assert made(high=1, low=2) == (4, 2)
    assert (made.__name__, made.__doc__) == ("both", "Two numbers.")
    assert repr(made) == "<node both(low, high, factor) -> pair>"


@pytest.mark.parametrize(
    ("inputs", "first", "second"),
    [({"low": 1}, 2, 14), ({"low": 1, "high": 2}, 2, 4), ({"low": 1, "factor": 5}, 5, 35)],
)
def test_a_tuple_is_taken_apart_and_defaults_are_defaults(
    anywhere: Engine, inputs: dict[str, int], first: int, second: int
) -> None:
    pipeline = Pipeline([node(output_name=("first", "second"))(both)])
    assert pipeline.run(inputs, engine=anywhere) == {"first": first, "second": second}
    assert pipeline.run(inputs, "second", engine=anywhere) == {"second": second}


class Pair(NamedTuple):
    first: int
    second: int


@pytest.mark.parametrize("given", [(1, 2), [1, 2], Pair(1, 2), range(1, 3)], ids=repr)
def test_several_outputs_come_in_any_sequence(anywhere: Engine, given: Any) -> None:
    pipeline = Pipeline([node(output_name=("first", "second"))(lambda: given)])
    assert pipeline.run(engine=anywhere) == {"first": 1, "second": 2}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((1,), "has 2 outputs (first, second), and gave 1 values"),
        ((1, 2, 3), "and gave 3 values"),
        (5, "gave one int"),
        (None, "gave one NoneType"),
        ("ab", "gave a str"),
        ({"first": 1, "second": 2}, "gave a dict"),
    ],
)
def test_another_number_of_values_is_an_error_that_names_the_node(anywhere: Engine, given: Any, text: str) -> None:
    pipeline = Pipeline([node(output_name=("first", "second"), name="both")(lambda: given)])
    with pytest.raises(OutputMismatchError) as caught:
        pipeline.run(engine=anywhere)
    assert text in str(caught.value)
    assert caught.value.__notes__[0].startswith("In node 'both'")


def test_a_tuple_of_a_node_with_one_output_stays_one(anywhere: Engine) -> None:
    assert Pipeline([both]).run({"low": 1}, engine=anywhere) == {"both": (2, 14)}


class Adder:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, value: int) -> int:
        return value + self.by

    async def later(self, value: int) -> int:
        await asyncio.sleep(0)
        return value + self.by


@pytest.mark.parametrize(
    "given",
    [
        Adder(2),
        Adder(2).__call__,
        Adder(2).later,
        functools.partial(lambda value, by: value + by, by=2),
        lambda value: Adder(2).later(value),
    ],
    ids=["object", "method", "coroutine", "partial", "coroutine of a plain function"],
)
def test_whatever_can_be_called_may_be_a_node(anywhere: Engine, given: Any) -> None:
    pipeline = Pipeline([node(output_name="more")(given)])
    assert pipeline.run({"value": 1}, engine=anywhere) == {"more": 3}
    assert pipeline.map({"value": [1, 2]}, "value", engine=anywhere)["more"] == [3, 4]


@pytest.mark.parametrize(
    ("fn", "options", "text"),
    [
        (lambda *values: values, {"output_name": "all"}, r"the parameter \*values"),
        (lambda **values: values, {"output_name": "all"}, r"the parameter \*\*values"),
        (lambda value: value, {}, "has no name by which its output"),
        (both, {"output_name": "not a name"}, "wants names as outputs"),
        (both, {"output_name": ()}, "wants names as outputs"),
        (both, {"output_name": ("same", "same")}, "the same output twice"),
        (5, {}, "wants a function, not 5"),
        (dict, {}, "cannot be read"),
    ],
)
def test_what_cannot_be_a_node_is_refused_where_it_is_made(fn: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(NodeDefinitionError, match=text):
        node(**options)(fn)


def test_what_a_node_gives_may_be_nothing_at_all(anywhere: Engine) -> None:
    pipeline = Pipeline(
        [node(output_name="nothing")(lambda: None), node(output_name="seen")(lambda nothing: [nothing])]
    )
    assert pipeline.run(engine=anywhere) == {"nothing": None, "seen": [None]}


def test_an_option_that_no_node_has_is_refused_with_the_nearest_one() -> None:
    options: dict[str, Any] = {"retrys": 3}
    with pytest.raises(NodeDefinitionError, match=r"A node has no option 'retrys'\. Did you mean 'retries'\? It has: "):
        node(**options)


@pytest.mark.parametrize("option", ["cache", "helpers"])
def test_a_switch_is_true_or_false(option: str) -> None:
    options: dict[str, Any] = {option: "yes"}
    with pytest.raises(NodeDefinitionError, match=f"The node 'both' wants True or False as {option}, not 'yes'"):
        node(**options)(both)


def test_options_beside_a_function_hold() -> None:
    made: Any = node
    assert made(both, output_name="pair").outputs == ("pair",)
