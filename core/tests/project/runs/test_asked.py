"""What a run is asked for, before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner

PROJECT = {
    "nodes": {"first": {"function": lambda: 1}, "second": {"function": lambda one: one + 1, "dependencies": "first"}},
    "pipelines": {"daily": {"nodes": ["first", "second"], "end_date": "2025-01-31"}},
}


def test_what_is_asked_for_can_be_prepared_without_a_run(tmp_path: Path) -> None:
    runner = Runner(Project.load(PROJECT, folder=tmp_path))

    asked = runner.asked("daily", up_to="first", start_date="2025-01-01", hyperparams={"depth": 3})

    assert asked.window is not None
    assert (asked.window.start, asked.window.end) == ("2025-01-01", "2025-01-31")
    assert asked.hyperparams == {"depth": 3}
    assert list(runner.prepare(asked).wiring.nodes) == ["first"]
    assert not (tmp_path / "runs").exists()
    with pytest.raises(OptionsError, match="before it starts"):
        runner.asked("daily", start_date="2025-02-01")


def test_the_id_of_a_run_is_known_while_it_runs_and_after_it_has_failed(tmp_path: Path) -> None:
    seen: list[str] = []
    project = {
        "nodes": {"only": {"function": lambda: seen.append(runner.run_id) or 1 / 0}},
        "pipelines": {"daily": ["only"]},
    }
    runner = Runner(Project.load(project, folder=tmp_path))
    assert runner.run_id == ""

    with pytest.raises(RunFailedError) as raised:
        runner.run("daily")

    assert seen == [runner.run_id] == [raised.value.result.run]
