"""Priorities as people say them, and the numbers that schedulers sort by."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction
from typing import Any

import pytest

from pipe_core import OptionsError, TaskPriority
from pipe_core.kernel.priority import priority_key


def test_priorities_are_in_order() -> None:
    low, normal, high, urgent = TaskPriority
    assert sorted([urgent, low, high, normal]) == [low, normal, high, urgent]
    assert low < normal <= normal < high < urgent
    assert urgent > high >= high > normal > low
    assert max(TaskPriority) is TaskPriority.URGENT


def test_a_priority_is_compared_with_priorities_only() -> None:
    with pytest.raises(TypeError):
        assert TaskPriority.LOW < 1
    with pytest.raises(TypeError):
        assert TaskPriority.LOW >= 1.0
    assert TaskPriority.NORMAL != 1


def test_priorities_are_keys_and_travel() -> None:
    counts = {TaskPriority.HIGH: 2, TaskPriority.LOW: 1}
    assert counts[pickle.loads(pickle.dumps(TaskPriority.HIGH))] == 2


def test_names_as_other_libraries_write_them() -> None:
    assert TaskPriority.Low is TaskPriority.LOW
    assert TaskPriority.Normal is TaskPriority.NORMAL
    assert TaskPriority.High is TaskPriority.HIGH
    assert TaskPriority["Urgent"] is TaskPriority.URGENT
    assert len(TaskPriority) == 4


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (TaskPriority.LOW, (0, 0.0)),
        (TaskPriority.NORMAL, (1, 0.0)),
        (TaskPriority.HIGH, (2, 0.0)),
        (TaskPriority.URGENT, (3, 0.0)),
        (7, (1, 7.0)),
        (-2.5, (1, -2.5)),
        (0, (1, 0.0)),
    ],
)
def test_key(value: Any, key: tuple[int, float]) -> None:
    assert priority_key(value) == key
    assert [type(part) for part in priority_key(value)] == [int, float]


@pytest.mark.parametrize("value", [True, False, None, "high", (1, 2), 1j, Fraction(1, 2)])
def test_what_is_no_priority_is_refused_by_its_type(value: Any) -> None:
    with pytest.raises(TypeError, match=f"not a {type(value).__name__}") as caught:
        priority_key(value)
    assert isinstance(caught.value, OptionsError)
    assert list(caught.value.problems) == ["priority"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_numbers_that_are_not_finite_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="finite") as caught:
        priority_key(value)
    assert not isinstance(caught.value, TypeError)
    assert len(str(caught.value)) < 300
