from __future__ import annotations

import itertools
from typing import Any

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments import Categorical, GridSearch, Integer, Optimizer, RandomSearch

SPACE: dict[str, Any] = {"rate": (1e-3, 1.0, "log-uniform"), "depth": (1, 4), "kind": ["a", "b", "c"]}


@pytest.mark.parametrize("kind", [RandomSearch, GridSearch])
def test_both_are_optimizers_that_know_their_best_point(kind: Any) -> None:
    optimizer: Optimizer = kind(SPACE, random_state=0)
    assert optimizer.best is None

    points = optimizer.ask(4)
    for point, value in zip(points, [3.0, None, 1.0, 1.0], strict=True):
        optimizer.tell(point, value)

    assert optimizer.best == (points[2], 1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_random_points_follow_from_the_seed_however_they_are_asked_for(seed: int) -> None:
    whole = RandomSearch(SPACE, random_state=seed).ask(6)
    parts = RandomSearch(SPACE, random_state=seed)

    assert [*parts.ask(), *parts.ask(3), *parts.ask(2)] == whole
    assert RandomSearch(SPACE, random_state=seed + 1).ask(6) != whole
    assert len({point["rate"] for point in whole}) == 6


def test_without_a_seed_others_come_each_time() -> None:
    assert RandomSearch(SPACE).ask(3) != RandomSearch(SPACE).ask(3)


def test_random_points_are_all_over_the_space() -> None:
    points = RandomSearch(SPACE, random_state=0).ask(400)

    assert {(point["depth"], point["kind"]) for point in points} == set(itertools.product(range(1, 5), "abc"))
    assert 0.4 < sum(point["rate"] < 0.0316 for point in points) / 400 < 0.6


def test_a_grid_has_every_combination_once_in_the_order_of_the_space() -> None:
    grid = GridSearch({"depth": Integer(1, 2), "kind": Categorical("ab"), "rate": (0.0, 1.0)}, n_calls=12)

    points = grid.ask(100)

    assert [tuple(point.values()) for point in points] == list(itertools.product([1, 2], "ab", [0.0, 0.5, 1.0]))
    assert grid.ask(1) == []


def test_a_seed_shuffles_a_grid_and_zero_is_one() -> None:
    plain, shuffled, again = (GridSearch(SPACE, random_state=seed, steps=3).ask(99) for seed in (None, 0, 0))

    key = str
    assert shuffled == again != plain
    assert sorted(shuffled, key=key) == sorted(plain, key=key)


@pytest.mark.parametrize(("n_calls", "points"), [(3, 3), (26, 12), (27, 27), (1_000, 4 * 3 * 83)])
def test_a_grid_is_as_fine_as_the_calls_allow(n_calls: int, points: int) -> None:
    assert len(GridSearch(SPACE, n_calls=n_calls)) == points


def test_a_grid_that_does_not_fit_says_what_would() -> None:
    with pytest.raises(OptionsError, match="n_calls=3, fewer steps"):
        GridSearch(SPACE, n_calls=2)
    with pytest.raises(OptionsError, match="steps=0"):
        GridSearch(SPACE, steps=0)


@pytest.mark.parametrize("kind", [RandomSearch, GridSearch])
def test_an_earlier_run_is_gone_on_with_at_the_next_point(kind: Any) -> None:
    points = kind(SPACE, random_state=0).ask(9)

    resumed = kind(SPACE, random_state=0)
    resumed.resume([(points[0], 3.0), (points[1], None), (points[3], 2.0)], [points[2]])

    assert resumed.best == (points[3], 2.0)
    assert resumed.ask(5) == points[4:]
