from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import pipe_core
from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments import (
    ExperimentCommand,
    ExperimentError,
    OptimizerError,
    OptimizerMissingError,
    Point,
    RandomSearch,
)

SPACE = [(-5.0, 10.0), (0.0, 15.0)]


def bowl(point: Sequence[float]) -> float:
    return (point[0] - 1) ** 2 + (point[1] - 2) ** 2


def named_bowl(point: dict[str, float]) -> float:
    return bowl([point["x"], point["y"]])


def experiment(objective: Any = bowl, n_calls: int = 12, random_state: int | None = 0, **more: Any) -> Any:
    return ExperimentCommand(objective, SPACE, n_calls, random_state, **{"optimizer": "random", **more})


def told(result: Any) -> list[tuple[int, Any, float | None]]:
    return [(trial.number, trial.point, trial.value) for trial in result.trials]


def test_the_result_has_the_best_point_its_value_and_all_trials() -> None:
    result = pipe_core.ExperimentCommand(bowl, SPACE, n_calls=12, random_state=0, optimizer="random").execute()

    assert [trial.number for trial in result.trials] == list(range(12))
    assert all(trial.status == "completed" and trial.value == bowl(trial.point) for trial in result.trials)
    assert result.fun == min(trial.value for trial in result.trials) == bowl(result.x)
    assert (result.optimizer, result.random_state) == ("random", 0)


def test_a_space_by_names_gives_points_by_names() -> None:
    by_name = ExperimentCommand(named_bowl, {"x": SPACE[0], "y": SPACE[1]}, 12, 0, optimizer="random").execute()

    assert list(by_name.x.values()) == experiment().execute().x


def test_an_objective_cannot_change_the_point_that_is_kept() -> None:
    def spoils(point: list[float]) -> float:
        value = bowl(point)
        point[0] = 99.0
        return value

    assert told(experiment(spoils).execute()) == told(experiment().execute())


def test_the_seed_zero_is_one_and_no_seed_is_another_each_time() -> None:
    assert told(experiment().execute()) == told(experiment().execute())
    first, second = experiment(random_state=None).execute(), experiment(random_state=None).execute()

    assert told(first) != told(second)
    assert told(experiment(random_state=first.random_state).execute()) == told(first)


def test_trials_that_run_at_once_give_the_same_and_are_no_more_than_slots() -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=20)

    def counts(point: Sequence[float]) -> float:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        return bowl(point)

    with ThreadPoolExecutor(3) as pool:
        result = experiment(counts, executor=pool).execute()
        assert pool.submit(int, "1").result() == 1, "somebody's own executor stays open"

    assert most == 3
    assert told(result) == told(experiment().execute())


def test_max_parallel_bounds_what_an_optimizer_is_asked_for() -> None:
    asked: list[int] = []

    class Counts(RandomSearch):
        def ask(self, n: int = 1) -> list[Point]:
            asked.append(n)
            return super().ask(n)

    with ThreadPoolExecutor(4) as pool:
        experiment(executor=pool, max_parallel=2, optimizer=Counts).execute()

    assert max(asked) <= 2
    assert sum(asked) == 12


def test_an_asynchronous_objective_is_awaited() -> None:
    async def later(point: Sequence[float]) -> float:
        await asyncio.sleep(0)
        return bowl(point)

    assert told(experiment(later).execute()) == told(experiment().execute())


def fails_sometimes(point: Sequence[float]) -> float:
    if point[0] < 0:
        raise ArithmeticError("left of zero")
    return bowl(point)


def test_a_failing_trial_ends_the_experiment_with_its_own_exception_and_says_which_it_was() -> None:
    with pytest.raises(ArithmeticError, match="left of zero") as caught:
        experiment(fails_sometimes).execute()

    assert caught.value.args == ("left of zero",)
    assert "This was trial" in caught.value.__notes__[0]
    assert "'x0': -" in caught.value.__notes__[0]


def test_what_runs_beside_a_failing_trial_is_waited_for_and_nothing_new_begins() -> None:
    failed, begun = threading.Event(), []

    def one_fails(point: Sequence[float]) -> float:
        begun.append(point)
        if len(begun) == 1:
            failed.set()
            raise ArithmeticError("the first one")
        assert failed.wait(20)
        return bowl(point)

    with ThreadPoolExecutor(2) as pool, pytest.raises(ArithmeticError, match="the first one"):
        experiment(one_fails, executor=pool, n_calls=50).execute()

    assert len(begun) <= 4


def test_with_continue_a_failing_trial_is_kept_with_its_error() -> None:
    result = experiment(fails_sometimes, on_error="continue").execute()

    failed = [trial for trial in result.trials if trial.point[0] < 0]
    assert 0 < len(failed) < 12
    assert result.failed == failed
    assert {(trial.value, trial.error) for trial in failed} == {(None, "ArithmeticError: left of zero")}
    assert len(result.trials) == 12
    assert result.x[0] >= 0


@pytest.mark.parametrize("value", [None, "1.0", float("nan"), float("inf"), [1.0]])
def test_what_is_no_finite_number_fails_its_trial(value: Any) -> None:
    with pytest.raises(TypeError, match="the objective returned"):
        experiment(lambda point: value).execute()


def test_numbers_of_other_kinds_are_values() -> None:
    from decimal import Decimal
    from fractions import Fraction

    assert experiment(lambda point: Fraction(1, 2)).execute().fun == 0.5
    assert experiment(lambda point: Decimal("0.25")).execute().fun == 0.25
    assert experiment(lambda point: True).execute().fun == 1.0


def test_of_equal_values_the_earliest_point_is_the_best() -> None:
    result = experiment(lambda point: 1.0).execute()

    assert result.x == result.trials[0].point


def test_where_all_trials_fail_the_error_has_them() -> None:
    with pytest.raises(ExperimentError, match=r"All 12 trials failed.*ZeroDivisionError") as caught:
        experiment(lambda point: 1 / 0, on_error="continue").execute()

    assert len(caught.value.trials) == 12


def test_a_grid_ends_with_its_points() -> None:
    result = experiment(optimizer="grid", n_calls=10).execute()

    assert sorted(trial.point for trial in result.trials) == [
        [x, y] for x in (-5.0, 2.5, 10.0) for y in (0.0, 7.5, 15.0)
    ]


def test_ctrl_c_is_no_failed_trial() -> None:
    def interrupted(point: Sequence[float]) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment(interrupted, on_error="continue").execute()


# --- which optimizer ---


class Corners:
    """An optimizer of somebody's own, with nothing but the protocol."""

    def __init__(self, space: Any, *, random_state: int | None, upper: bool = False) -> None:
        self.told: list[tuple[Point, float | None]] = []
        self._x = 10.0 if upper else -5.0

    def ask(self, n: int = 1) -> list[Point]:
        return [{"x0": self._x, "x1": 0.0}] * n

    def tell(self, point: Point, value: float | None) -> None:
        self.told.append((point, value))

    @property
    def best(self) -> None:
        return None


def test_any_optimizer_does_by_path_by_class_with_options_or_made() -> None:
    made = Corners(SPACE, random_state=None)
    by_class = experiment(optimizer=Corners, n_calls=2).execute()
    with_options = experiment(optimizer=(Corners, {"upper": True}), n_calls=2).execute()
    by_path = experiment(optimizer="pipe_core.project.experiments:RandomSearch").execute()

    assert experiment(optimizer=made, n_calls=2, random_state=None).execute().x == [-5.0, 0.0]
    assert made.told == [({"x0": -5.0, "x1": 0.0}, bowl([-5.0, 0.0]))] * 2
    assert by_class.x == [-5.0, 0.0]
    assert with_options.x == [10.0, 0.0]
    assert told(by_path) == told(experiment().execute())


def test_without_pipe_ml_the_default_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pipe_ml", "pipe_ml.optuna"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(OptimizerMissingError) as caught:
        experiment(lambda point: pytest.fail("nothing runs"), optimizer=None).execute()

    assert str(caught.value) == (
        "The optimizer 'optuna', which is the default, needs the package pipe-ml, which is not installed. Install it "
        "with: pip install pipe-ml. Core's own need nothing: optimizer='random' or optimizer='grid'."
    )
    assert (caught.value.missing, caught.value.install) == ("pipe-ml", "pip install pipe-ml")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(
    ("optimizer", "says"),
    [
        ("randm", "Did you mean 'random'"),
        ("pipe_core.project.experiments:Nothing", "no 'Nothing' in pipe_core.project.experiments"),
        (3, "3 is no optimizer"),
        (dict, "dict is no optimizer"),
        (("random", {"n_points": 3}), "does not take what it would be given"),
        (("random", {"random_state": 3}), "random_state belongs to the experiment"),
    ],
)
def test_what_is_no_optimizer_is_refused(optimizer: Any, says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        experiment(optimizer=optimizer).execute()


def test_an_optimizer_that_leaves_the_space_is_told_of() -> None:
    class Lost(RandomSearch):
        def ask(self, n: int = 1) -> list[Point]:
            return [{"x0": 99.0, "x1": 0.0}]

    with pytest.raises(OptimizerError, match=r"Lost cannot be used on this space: x0 = 99\.0"):
        experiment(optimizer=Lost).execute()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"n_calls": 0}, "n_calls=0"),
        ({"n_calls": True}, "n_calls=True"),
        ({"random_state": -1}, "random_state=-1"),
        ({"random_state": 1.5}, "random_state=1.5"),
        ({"on_error": "ignore"}, "on_error='ignore'"),
        ({"max_parallel": 0}, "max_parallel=0"),
        ({"study": "trials.csv"}, "ends in .jsonl, .sqlite or .db"),
        ({"objective": 3}, "3 cannot be called"),
        ({"optimizer": RandomSearch(SPACE)}, "has its own seed"),
    ],
)
def test_arguments_are_checked_when_the_command_is_made(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        experiment(**wrong)
