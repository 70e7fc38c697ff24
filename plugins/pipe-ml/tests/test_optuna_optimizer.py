from __future__ import annotations

import logging
import math
import statistics
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest

from pipe_core import ExperimentCommand
from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments import Optimizer, ResumableOptimizer
from pipe_ml.optuna import OptunaOptimizer

MIXED = {"rate": (1e-4, 1.0, "log-uniform"), "depth": (1, 9), "kind": [(1, 2), None, "c"], "width": (0.5, 2.0)}
BRANIN = [(-5.0, 10.0), (0.0, 15.0)]


def branin(point: Sequence[float]) -> float:
    """The least value is 0.397887."""
    x, y = point
    bend = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bend + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def mixed(point: dict[str, Any]) -> float:
    return float(abs(math.log10(point["rate"]) + 2) + point["depth"] / 9 + (point["kind"] is None))


def told(result: Any) -> list[tuple[Any, float | None]]:
    return [(trial.point, trial.value) for trial in result.trials]


def test_it_beats_random_search_on_the_branin_function() -> None:
    def medians(optimizer: str) -> float:
        return statistics.median(
            ExperimentCommand(branin, BRANIN, 30, seed, optimizer=optimizer).execute().fun for seed in range(11)
        )

    assert medians("optuna") < 0.75 * medians("random")


def test_it_is_the_default_and_the_same_seed_gives_the_same_points() -> None:
    first, again, other = (ExperimentCommand(mixed, MIXED, 15, seed).execute() for seed in (0, 0, 1))

    assert first.optimizer == "optuna"
    assert told(first) == told(again) != told(other)
    assert isinstance(first.x["depth"], int)
    assert {str(trial.point["kind"]) for trial in first.trials} == {"(1, 2)", "None", "c"}


def test_it_keeps_the_contract_of_optimizers() -> None:
    optimizer: Optimizer = OptunaOptimizer(MIXED, random_state=0)
    assert isinstance(optimizer, ResumableOptimizer)
    assert optimizer.best is None

    points = optimizer.ask(3)
    optimizer.tell(points[2], 1.0)
    optimizer.tell(points[0], None)
    optimizer.tell(points[1], 2.0)
    assert optimizer.best == (points[2], 1.0)

    foreign = {"rate": 0.5, "depth": 2, "kind": None, "width": 1.0}
    optimizer.tell(foreign, 0.5)
    assert optimizer.best == (foreign, 0.5)


def test_two_trials_at_one_point_are_told_one_by_one() -> None:
    optimizer = OptunaOptimizer({"kind": ["only"]}, random_state=0)

    for point, value in zip(optimizer.ask(3), (3.0, 1.0, 2.0), strict=True):
        optimizer.tell(point, value)

    assert optimizer.best == ({"kind": "only"}, 1.0)
    assert len(optimizer._study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == 3


def test_trials_that_run_at_once_are_known_to_the_sampler() -> None:
    together = threading.Barrier(3, timeout=20)
    running: list[int] = []

    def sampler(seed: int | None) -> optuna.samplers.BaseSampler:
        class Looks(optuna.samplers.TPESampler):
            def sample_independent(self, study: Any, *more: Any) -> Any:
                running.append(len(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])))
                return super().sample_independent(study, *more)

        return Looks(seed=seed)

    def objective(point: Sequence[float]) -> float:
        together.wait()
        return branin(point)

    with ThreadPoolExecutor(3) as pool:
        chosen = ("optuna", {"sampler": sampler})
        result = ExperimentCommand(objective, BRANIN, 18, 0, optimizer=chosen, executor=pool).execute()

    assert len(result.trials) == 18
    assert max(running) == 3


def test_a_failed_trial_does_not_end_it() -> None:
    def fails(point: Sequence[float]) -> float:
        if point[0] < 0:
            raise ArithmeticError("left of zero")
        return branin(point)

    result = ExperimentCommand(fails, BRANIN, 20, 0, on_error="continue").execute()

    assert len(result.trials) == 20
    assert result.failed
    assert result.x[0] >= 0


def test_a_resumed_study_goes_on_with_what_is_known_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    calls: list[Any] = []

    def counted(point: Sequence[float]) -> float:
        calls.append(tuple(point))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return branin(point)

    with pytest.raises(KeyboardInterrupt):
        ExperimentCommand(counted, BRANIN, 15, 0, study=path).execute()
    interrupted = calls[5]
    result = ExperimentCommand(counted, BRANIN, 15, 0, study=path).execute()

    assert len(result.trials) == 15
    assert len(calls) == 16
    assert calls.count(interrupted) == 2, "the one that ran is run again"
    assert len(set(calls)) == 15
    assert result.fun == min(map(branin, set(calls)))


def test_what_no_sampler_is_is_refused() -> None:
    with pytest.raises(OptionsError, match="no sampler of Optuna"):
        ExperimentCommand(branin, BRANIN, optimizer=("optuna", {"sampler": lambda seed: seed})).execute()


def test_nothing_is_written_to_standard_error_and_no_logger_is_left_changed(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity(), logging.root.level, list(logging.root.handlers)

    ExperimentCommand(branin, BRANIN, 3, 0).execute()

    assert (optuna.logging.get_verbosity(), logging.root.level, list(logging.root.handlers)) == before
    assert capfd.readouterr().err == ""
