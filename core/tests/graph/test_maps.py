"""Maps: a pipeline for each of many items."""

from __future__ import annotations

import copy
import pickle
from array import array
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from pipe_core import Engine, MapResult, Pipeline, node
from pipe_core.graph.errors import GraphError, OutputNotFoundError
from pipe_core.graph.items import MapError


@node
def double(value: int) -> int:
    return 2 * value


@node
def moved(double: int, by: int = 1) -> int:
    return double + by


MOVE = Pipeline([moved, double], name="move")


def generated() -> Iterator[int]:
    yield from (1, 2, 3)


@pytest.mark.parametrize(
    "values",
    [[1, 2, 3], (1, 2, 3), range(1, 4), array("i", [1, 2, 3]), deque([1, 2, 3]), {1: "", 2: "", 3: ""}.keys()],
    ids=lambda values: type(values).__name__,
)
def test_items_come_from_anything_that_can_be_iterated(anywhere: Engine, values: Any) -> None:
    result = MOVE.map({"value": values}, "value", engine=anywhere)
    assert result == [{"moved": 3, "double": 2}, {"moved": 5, "double": 4}, {"moved": 7, "double": 6}]


def test_items_come_from_a_generator(anywhere: Engine) -> None:
    assert MOVE.map({"value": generated()}, ["value"], engine=anywhere)["double"] == [2, 4, 6]
    many = MOVE.map({"value": (n for n in range(1_000)), "by": 0}, "value", engine=anywhere)
    assert many["moved"] == [2 * n for n in range(1_000)]


def test_text_is_no_list_of_items(anywhere: Engine) -> None:
    for value in ("abc", b"abc", {"a": 1}, 5):
        with pytest.raises(MapError, match="'value' is mapped over"):
            MOVE.map({"value": value}, "value", engine=anywhere)


def test_values_of_equal_place_go_together(anywhere: Engine) -> None:
    result = MOVE.map({"value": [1, 2], "by": (10, 20)}, ["by", "value"], output_name="moved", engine=anywhere)
    assert result == [{"moved": 12}, {"moved": 24}]


@pytest.mark.parametrize(
    ("over", "order"),
    [(["value", "by"], [12, 22, 14, 24]), (["by", "value"], [12, 14, 22, 24])],
    ids=["values outside", "values inside"],
)
def test_a_product_follows_the_order_of_its_names(anywhere: Engine, over: list[str], order: list[int]) -> None:
    for inputs in ({"value": [1, 2], "by": [10, 20]}, {"by": [10, 20], "value": iter([1, 2])}):
        found = MOVE.map(inputs, over, "product", "moved", engine=anywhere)
        assert found["moved"] == order


def test_other_lengths_and_modes_are_refused(anywhere: Engine) -> None:
    with pytest.raises(MapError, match="value: 2, by: 1") as caught:
        MOVE.map({"value": [1, 2], "by": [1]}, ["value", "by"], engine=anywhere)
    assert caught.value.lengths == {"value": 2, "by": 1}
    with pytest.raises(GraphError, match="not 'zap'"):
        MOVE.map({"value": [1]}, "value", "zap", engine=anywhere)


@pytest.mark.parametrize("mode", ["zip", "product"])
def test_no_items_give_empty_columns(anywhere: Engine, mode: str) -> None:
    for values in ([], iter(())):
        result = MOVE.map({"value": values, "by": []}, ["value", "by"], mode, engine=anywhere)
        assert (result, result["moved"], result.failed) == ([], [], [])
        assert result.columns() == {"moved": [], "double": []}


def test_a_result_is_rows_and_columns() -> None:
    result = MOVE.map({"value": [1, 2]}, "value")
    assert isinstance(result, MapResult)
    assert (result[1], result[-1]["double"], result[:1]) == ({"moved": 5, "double": 4}, 4, [{"moved": 3, "double": 2}])
    assert result.columns() == {"double": [2, 4], "moved": [3, 5]}
    with pytest.raises(OutputNotFoundError, match="Did you mean 'moved'"):
        result["move"]


def test_a_result_can_be_copied_and_kept() -> None:
    result = MOVE.map({"value": [1, "2"], "by": 1}, "value", on_error="continue")
    for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert (other, other.columns()) == (result, result.columns())
        assert [failure.index for failure in other.failed] == [1]
    assert copy.copy(result).retry_failed() == result
    with pytest.raises(GraphError, match="no longer knows what ran it"):
        pickle.loads(pickle.dumps(result)).retry_failed()


def test_items_are_independent(anywhere: Engine) -> None:
    @node
    def grown(value: int, seen: list[int] | None = None) -> list[int]:
        return [*(seen or []), value]

    result = Pipeline([grown]).map({"value": range(4), "seen": []}, "value", engine=anywhere)
    assert result["grown"] == [[0], [1], [2], [3]]
