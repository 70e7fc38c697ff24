"""Types along edges: what is certainly wrong is refused when the pipeline is made, and nothing else is."""

from __future__ import annotations

import collections.abc
import functools
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict, TypeVar

import pytest

from pipe_core import Node, Pipeline, node
from pipe_core.graph.edge_types import can_be
from pipe_core.graph.errors import EdgeTypeError, GraphError

T = TypeVar("T")
UserId = NewType("UserId", int)


class Base: ...


class Derived(Base): ...


class Other: ...


class Closes(Protocol):
    def close(self) -> None: ...


class Row(TypedDict):
    id: int


@node(output_name="count")
def count(text: str) -> int:
    return len(text)


@node(output_name="half")
def half(count: float) -> float:
    return count / 2


@node(output_name="shout")
def shout(count: str) -> str:
    return count.upper()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, int),
        (bool, int),
        (int, float),
        (int, complex),
        (Derived, Base),
        (Base, Derived),  # it may be one
        (int | None, int),
        (int, str | float),
        (None, int | None),
        (Any, int),
        (int, Any),
        (T, int),
        (int, object),
        (Other, Closes),
        (list[int], collections.abc.Sequence[float]),
        (collections.abc.Iterable[int], list[int]),
        (collections.abc.Iterable[int], collections.abc.Sized),  # a list is both
        (list, list[int]),
        (list[Any], list[int]),
        (dict[str, int], collections.abc.Mapping[str, float]),
        (Row, dict[str, Any]),
        (tuple[int, ...], list[int] | tuple[float, ...]),
        (tuple[int, str], tuple[float, str]),
        (tuple[int, str], collections.abc.Sequence[int | str]),
        (UserId, int),
        (int, UserId),
        (Literal["a", "b"], str),
        (Annotated[int, "small"], Annotated[float, "large"]),
        (int, collections.abc.Hashable),
    ],
)
def test_what_may_be_is_let_through(given: Any, wanted: Any) -> None:
    assert can_be(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, str),
        (str, float),
        (float, int),
        (Base, Other),
        (int | None, str | bytes),
        (None, int),
        (int, list[int]),
        (int, collections.abc.Sequence),
        (list[int], list[str]),
        (list[int], tuple[int, ...]),
        (dict[str, int], dict[str, str]),
        (tuple[int, str], tuple[int, int]),
        (tuple[int, str], tuple[int, str, int]),
        (list[list[int]], list[list[str]]),
        (Row, list[Row]),
        (Literal["a"], int),
        (UserId, str),
    ],
)
def test_what_is_certainly_something_else_is_refused(given: Any, wanted: Any) -> None:
    assert not can_be(given, wanted)


def test_the_error_names_both_nodes_and_both_types() -> None:
    with pytest.raises(EdgeTypeError) as caught:
        Pipeline([count, shout], check_types=True)

    assert "The node 'count' gives 'count' as int, and the node 'shout' takes it as str." in str(caught.value)
    error = caught.value
    assert (error.output, error.giver, error.taker, error.given, error.wanted) == ("count", "count", "shout", int, str)
    assert isinstance(error, GraphError | TypeError)


def test_nothing_is_checked_unless_it_is_asked_for() -> None:
    assert Pipeline([count, shout]).outputs == ("count", "shout")


def test_types_that_fit_are_no_matter() -> None:
    assert Pipeline([count, half], check_types=True)(text="four")["half"] == 2.0


def test_several_outputs_have_a_type_each() -> None:
    @node(output_name=("first", "rest"))
    def split(text: str) -> tuple[str, list[str]]:
        return text[0], list(text[1:])

    def joined(first: str, rest: list[str]) -> str:
        return first.join(rest)

    def total(rest: int) -> int:
        return rest

    Pipeline([split, joined], check_types=True)
    with pytest.raises(EdgeTypeError, match=r"gives 'rest' as list\[str\]"):
        Pipeline([split, total], check_types=True)


def test_annotations_that_cannot_be_resolved_go_with_everything_and_hide_no_others() -> None:
    def unclear(count: NotThere, text: bytes) -> str:  # type: ignore[name-defined]  # noqa: F821
        return str(text)

    def text() -> str:
        return ""

    Pipeline([count, unclear], check_types=True)
    with pytest.raises(EdgeTypeError, match="'text' as str"):
        Pipeline([text, unclear], check_types=True)


def test_functions_without_annotations_go_with_everything() -> None:
    pipeline = Pipeline([count, node(output_name="x")(lambda count: count)], check_types=True)
    assert pipeline.outputs == ("count", "x")


def test_a_mapped_pipeline_takes_many_and_gives_lists() -> None:
    lengths = Pipeline([count], name="lengths").as_node(map_over="text")

    def texts() -> list[str]:
        return ["a"]

    def longest(count: list[int]) -> int:
        return max(count)

    def one(count: int) -> int:
        return count

    many = lengths.pipeline.as_node(input_mapping={"texts": "text"}, map_over="texts")
    Pipeline([texts, many, longest], check_types=True)
    with pytest.raises(EdgeTypeError, match=r"The node 'lengths' gives 'count' as list\[int\].*takes it as int"):
        Pipeline([lengths, one], check_types=True)


def test_what_is_mapped_over_has_items_of_the_right_type() -> None:
    many = Pipeline([count], name="lengths").as_node(map_over="text")

    def numbers() -> list[int]:
        return [1]

    def word() -> str:
        return "a"

    with pytest.raises(EdgeTypeError, match=r"'lengths.count' takes it as Iterable\[str\]"):
        Pipeline([node(output_name="text")(numbers), many], check_types=True)
    with pytest.raises(EdgeTypeError, match="'lengths' is mapped over it"):
        Pipeline([node(output_name="text")(word), many], check_types=True)


def test_pipelines_inside_are_checked_by_their_own_names() -> None:
    inner = Pipeline([shout], name="inner").as_node(input_mapping={"n": "count"})
    n = node(output_name="n")(lambda: 1)

    Pipeline([n, inner], check_types=True)  # nobody knows what it gives

    @node(output_name="n")
    def typed() -> int:
        return 1

    with pytest.raises(EdgeTypeError, match=r"'inner.shout' takes it as str"):
        Pipeline([typed, inner], check_types=True)
    with pytest.raises(EdgeTypeError, match="'shout'"):
        Pipeline([Pipeline([count, shout], name="wrong")], check_types=True)


def test_classes_and_coroutine_functions_are_nodes_with_types() -> None:
    class Model:
        def __init__(self, count: int) -> None:
            self.count = count

    def use(model: int) -> int:
        return model

    async def fetched(text: str) -> bytes:
        return text.encode()

    def decoded(fetched: str) -> str:
        return fetched

    with pytest.raises(EdgeTypeError, match="gives 'model' as Model"):
        Pipeline([count, node(output_name="model")(Model), use], check_types=True)
    with pytest.raises(EdgeTypeError, match="as bytes"):
        Pipeline([fetched, decoded], check_types=True)


def test_objects_that_can_be_called_say_their_types_where_they_are_called() -> None:
    class Scale:
        count: bytes = b""  # an attribute, and no parameter

        def __call__(self, count: int) -> bytes:
            return bytes(count)

    @functools.lru_cache
    def kept(scaled: str) -> str:
        return scaled

    scale = Node(Scale(), "scaled")
    with pytest.raises(EdgeTypeError, match="gives 'scaled' as bytes, and the node 'kept' takes it as str"):
        Pipeline([count, scale, kept], check_types=True)
    Pipeline([count, scale], check_types=True)
