from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import skopt

from pipe_core import ExperimentCommand
from pipe_core.project.experiments import OptimizerMissingError, ResumableOptimizer, Space
from pipe_core.project.experiments.dimensions import Categorical, Float, Integer
from pipe_ml.skopt import SkoptOptimizer

BRANIN = [(-5.0, 10.0), (0.0, 15.0)]


def branin(point: Sequence[float]) -> float:
    x, y = point
    bend = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bend + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


@pytest.mark.parametrize("seed", [0])
def test_the_points_are_those_of_gp_minimize(seed: int) -> None:
    ours = ExperimentCommand(branin, BRANIN, 7, seed, optimizer=("skopt", {"n_initial_points": 4})).execute()

    theirs = skopt.gp_minimize(branin, BRANIN, n_calls=7, n_initial_points=4, random_state=seed)
    assert [trial.point for trial in ours.trials] == theirs.x_iters
    assert (ours.x, ours.fun) == (theirs.x, theirs.fun)


def test_running_trials_are_lied_about_so_that_no_point_is_asked_for_twice() -> None:
    space = {"rate": (1e-3, 1.0, "log-uniform"), "depth": (1, 9), "kind": [(1, 2), None]}
    optimizer = SkoptOptimizer(space, random_state=0, n_initial_points=3)
    assert isinstance(optimizer, ResumableOptimizer)
    first = optimizer.ask(3)
    for i, point in enumerate(first):
        optimizer.tell(point, float(i))

    asked = optimizer.ask(3)

    assert len({str(point) for point in [*first, *asked]}) == 6
    assert all(Space.of(space).check(point) == point for point in asked)
    assert len(optimizer._optimizer.yi) == 3, "lies are told to copies only"
    assert optimizer.best == (first[0], 0.0)


def test_a_failed_trial_counts_as_the_worst_one() -> None:
    optimizer = SkoptOptimizer(BRANIN, random_state=0)
    points = optimizer.ask(4)
    for point, value in zip(points, (None, 3.0, None, 1.0), strict=True):
        optimizer.tell(point, value)

    assert sorted(optimizer._optimizer.yi) == [1.0, 3.0, 3.0, 3.0]
    assert optimizer.best == (points[3], 1.0)


def test_an_earlier_run_is_gone_on_with_at_other_points() -> None:
    points = SkoptOptimizer(BRANIN, random_state=0).ask(6)
    resumed = SkoptOptimizer(BRANIN, random_state=0)
    resumed.resume([(points[0], 2.0), (points[1], None)], [points[2]])

    more = resumed.ask(3)
    resumed.tell(points[2], 1.0)

    assert not {str(point) for point in points} & {str(point) for point in more}
    assert resumed.best == (points[2], 1.0)
    assert sorted(resumed._optimizer.yi) == [1.0, 2.0, 2.0]


def test_a_space_that_is_soon_used_up_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ExperimentCommand(
            lambda point: point["depth"], {"depth": (1, 2)}, 6, 0, optimizer=("skopt", {"n_initial_points": 3})
        ).execute()

    assert (result.x, result.fun) == ({"depth": 1}, 1.0)


def test_dimensions_of_scikit_optimize_are_taken() -> None:
    from skopt.space import Categorical as Choice
    from skopt.space import Integer as Whole
    from skopt.space import Real

    space = Space.of([Real(1e-3, 1.0, prior="log-uniform", name="rate"), Whole(1, 9), Choice(["a", "b"])])

    assert dict(space.dimensions) == {
        "rate": Float(1e-3, 1.0, log=True),
        "x1": Integer(1, 9),
        "x2": Categorical(["a", "b"]),
    }


def test_its_absence_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pipe_ml.skopt")
    for name in [name for name in sys.modules if name.partition(".")[0] == "skopt"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skopt", None)
    calls: list[Any] = []

    with pytest.raises(OptimizerMissingError) as caught:
        ExperimentCommand(calls.append, BRANIN, optimizer="skopt").execute()

    assert (caught.value.missing, caught.value.install) == ("scikit-optimize", "pip install 'pipe-ml[skopt]'")
    assert "scikit-optimize" in str(caught.value)
    assert calls == []
