"""An experiment gives the same trials on every installed executor, and its study the same on a page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pipe_core import Executor, ExperimentCommand

SPACE = {"rate": (1e-3, 1.0, "log-uniform"), "depth": (1, 9), "kind": [(1, 2), None, "c"]}


def objective(point: dict[str, Any]) -> float:
    if point["kind"] is None and point["depth"] > 5:
        raise ArithmeticError(f"no model of depth {point['depth']}")
    return float(point["rate"] + point["depth"])


async def later(point: dict[str, Any]) -> float:
    await asyncio.sleep(0)
    return objective(point)


def told(result: Any) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.point, trial.value, trial.status, trial.error) for trial in result.trials]


@pytest.mark.parametrize("fn", [objective, later])
def test_trials_errors_and_the_best_point_are_those_of_sync(started: Executor, fn: Any, tmp_path: Path) -> None:
    def run(**more: Any) -> Any:
        return ExperimentCommand(fn, SPACE, 14, 0, optimizer="random", on_error="continue", **more).execute()

    expected = run(executor="sync")
    study = tmp_path / "study.jsonl"

    result = run(executor=started, study=study)

    assert told(result) == told(expected)
    assert (result.x, result.fun) == (expected.x, expected.fun)
    assert result.failed, "the seed has points that fail"
    assert run(executor=started, study=study).trials == result.trials
    assert started.submit(int, "7").result(30) == 7, "it is left open"
