from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments import Categorical, Float, Integer, Space

shares = st.floats(0, 1, exclude_max=True)
DIMENSIONS = [
    Float(-2.5, 4.0),
    Float(1e-6, 1.0, log=True),
    Integer(-3, 5),
    Integer(1, 1_000, log=True),
    Categorical(["a", None, 1, 1.0, True, (3, "x")]),
]


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=repr)
@given(share=shares)
def test_every_share_gives_a_value_that_a_file_gives_back(dimension: Any, share: float) -> None:
    value = dimension.at(share)

    assert dimension.holds(value)
    again = dimension.from_plain(json.loads(json.dumps(dimension.to_plain(value))))
    assert (again, type(again)) == (value, type(value))


def test_all_whole_numbers_and_choices_have_equal_parts_of_the_way() -> None:
    steps = [i / 900 for i in range(900)]

    numbers = [Integer(1, 3).at(share) for share in steps]
    letters = [Categorical("abc").at(share) for share in steps]

    assert [numbers.count(n) for n in (1, 2, 3)] == pytest.approx([300] * 3, abs=1)
    assert [letters.count(letter) for letter in "abc"] == pytest.approx([300] * 3, abs=1)


def test_a_logarithmic_range_is_halved_by_its_order_of_magnitude() -> None:
    assert Float(1e-4, 1.0, log=True).at(0.5) == pytest.approx(1e-2)
    assert Float(1e-4, 1.0, log=True).grid(5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert Integer(1, 100, log=True).grid(3) == [1, 10, 100]


def test_the_short_forms_of_scikit_optimize_mean_what_they_mean_there() -> None:
    space = Space.of([(0.0, 1.0), (1, 30), (1e-6, 1e-1, "log-uniform"), (0, 1.5), ["a", "b"], [16, 32, 64], ("x", "y")])

    assert list(space.dimensions.values()) == [
        Float(0.0, 1.0),
        Integer(1, 30),
        Float(1e-6, 1e-1, log=True),
        Float(0.0, 1.5),
        Categorical(["a", "b"]),
        Categorical([16, 32, 64]),
        Categorical(["x", "y"]),
    ]
    assert list(space.dimensions) == [f"x{i}" for i in range(7)]
    assert not space.named


def test_a_point_has_the_form_of_its_space() -> None:
    values = {"x0": 1, "x1": 2}

    assert Space.of([(0, 3), (0, 3)]).shaped(values) == [1, 2]
    assert Space.of({"x1": (0, 3), "x0": (0, 3)}).shaped(values) == {"x1": 2, "x0": 1}


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ([], "no parameters"),
        ("ab", "no space"),
        ({"a": (1.0, 0.0)}, "'a' is refused: The range from 1.0 to 0.0 is empty"),
        ({"a": (0.0, 1.0, "log-uniform")}, "must begin above 0"),
        ({"a": (0.0, 1.0, "log")}, "'log' is no scale"),
        ({"a": (0.0, float("inf"))}, "has no end"),
        ({"a": [0.0, 1.0]}, r"write Categorical\(\[0.0, 1.0\]\), or \(0.0, 1.0\)"),
        ({"a": []}, "no choices"),
        ({"a": ["x", "y", "x"]}, "'x' is there twice"),
        ({"a": "xyz"}, "is no parameter"),
        ({1: (0, 1)}, "1 cannot name"),
    ],
)
def test_what_is_no_space_is_refused_with_the_parameter_and_the_way_out(space: Any, says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        Space.of(space)


def test_a_point_is_checked_against_its_space() -> None:
    space = Space.of({"rate": (0.0, 1.0), "depth": (1, 9)})

    with pytest.raises(ValueError, match=r"rate = 2\.0 is not in Float"):
        space.check({"rate": 2.0, "depth": 3})
    with pytest.raises(ValueError, match="depth = True"):
        space.check({"rate": 0.5, "depth": True})
    with pytest.raises(ValueError, match="not just the parameters rate, depth"):
        space.check({"rate": 0.5})
