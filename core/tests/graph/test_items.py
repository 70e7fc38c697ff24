"""What can be mapped over, and what is said where it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pipe_core import Pipeline, node
from pipe_core.graph.errors import InputError
from pipe_core.graph.items import MapError


@node
def added(a: int, b: int = 1) -> int:
    return a + b


def generated(count: int) -> Iterator[int]:
    yield from range(count)


@pytest.mark.parametrize(
    "values",
    [[0, 1], (0, 1), range(2), generated(2), {0: "", 1: ""}.keys()],
    ids=["list", "tuple", "range", "generator", "keys"],
)
def test_anything_that_can_be_iterated_is_mapped_over(values: Any) -> None:
    assert Pipeline([added]).map({"a": values}, "a")["added"] == [1, 2]


def test_a_name_may_be_given_twice() -> None:
    assert Pipeline([added]).map({"a": [1, 2]}, ["a", "a"])["added"] == [2, 3]


def test_generators_of_one_length_go_in_step() -> None:
    result = Pipeline([added]).map({"a": generated(3), "b": generated(3)}, ["a", "b"])
    assert result["added"] == [0, 2, 4]


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"a": generated(2), "b": generated(3)}, "here a ended after 2 values"),
        ({"a": [1, 2, 3], "b": generated(2)}, "here b ended after 2 values"),
        ({"a": [1, 2, 3], "b": [1]}, "lengths differ (a: 3, b: 1)"),
    ],
)
def test_what_has_another_length_is_named(inputs: Mapping[str, Any], text: str) -> None:
    with pytest.raises(MapError, match=re.escape(text)) as caught:
        Pipeline([added]).map(inputs, ["a", "b"])
    assert caught.value.lengths


@pytest.mark.parametrize(
    ("over", "text"),
    [
        ("b", "'b' is to be mapped over, and was not given. Given: a"),
        (["a", "aa"], "'aa' is to be mapped over, and was not given. Did you mean 'a'?"),
    ],
)
def test_what_is_mapped_over_must_be_given(over: str | list[str], text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        Pipeline([added]).map({"a": [1, 2]}, over)


def test_something_must_be_mapped_over() -> None:
    with pytest.raises(MapError, match="map_over names no input"):
        Pipeline([added]).map({"a": 1}, [])
