from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.experiments import ExperimentCommand, RandomSearch, StudyError, StudyInUseError
from pipe_core.project.experiments.study import StoredTrial, Study, open_study

SPACE = {"x": (-5.0, 10.0), "n": (1, 9), "kind": [(1, 2), None, "c"]}
SUFFIXES = ["jsonl", "sqlite"]


def value(point: dict[str, Any]) -> float:
    return float(point["x"] ** 2 + point["n"])


def experiment(study: Path, objective: Any = value, n_calls: int = 8, random_state: int | None = 0, **more: Any) -> Any:
    return ExperimentCommand(objective, SPACE, n_calls, random_state, **{"optimizer": "random", "study": study, **more})


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "new folder" / f"study.{request.param}"


def told(result: Any) -> list[tuple[int, Any, float | None]]:
    return [(trial.number, trial.point, trial.value) for trial in result.trials]


def test_a_study_that_is_complete_gives_its_result_again_and_runs_nothing(path: Path) -> None:
    first = experiment(path).execute()

    again = experiment(path, lambda point: pytest.fail("run twice")).execute()

    assert again.trials == first.trials
    assert (again.x, again.fun) == (first.x, first.fun)


def test_a_study_goes_on_to_more_calls_as_if_it_had_never_stopped(path: Path, tmp_path: Path) -> None:
    calls: list[Any] = []
    experiment(path, n_calls=5).execute()

    more = experiment(path, lambda point: calls.append(point) or value(point), n_calls=8).execute()

    assert len(calls) == 3
    assert told(more) == told(experiment(tmp_path / "whole.jsonl").execute())


def test_a_seed_that_nobody_said_is_kept_in_the_study(path: Path, tmp_path: Path) -> None:
    first = experiment(path, n_calls=3, random_state=None).execute()

    more = experiment(path, n_calls=6, random_state=None).execute()

    assert more.random_state == first.random_state
    whole = experiment(tmp_path / "whole.jsonl", n_calls=6, random_state=first.random_state).execute()
    assert told(more) == told(whole)


def test_a_grid_goes_on_with_the_points_that_are_left(path: Path) -> None:
    experiment(path, fails_at(4), optimizer=("grid", {"steps": 2}), n_calls=12, on_error="continue").execute()
    with sqlite3.connect(path) if path.suffix == ".sqlite" else path.open("rb+") as file:
        if path.suffix == ".sqlite":
            file.execute("DELETE FROM trials WHERE number > 6")
        else:
            lines = path.read_bytes().splitlines(keepends=True)
            file.truncate(len(b"".join(lines[: 1 + 2 * 7])))
    if path.suffix == ".sqlite":
        file.close()

    result = experiment(path, optimizer=("grid", {"steps": 2}), n_calls=12, on_error="continue").execute()

    assert len({str(trial.point) for trial in result.trials}) == len(result.trials) == 12


def fails_at(*numbers: int) -> Any:
    calls: list[Any] = []

    def objective(point: dict[str, Any]) -> float:
        calls.append(point)
        if len(calls) - 1 in numbers:
            raise ArithmeticError("here")
        return value(point)

    return objective


def test_a_failed_trial_stays_failed_with_continue_and_runs_again_otherwise(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ArithmeticError):
        experiment(path, fails_at(2)).execute()
    assert [trial.status for trial in stored(path)] == ["completed", "completed", "failed"]

    kept = experiment(path, n_calls=4, on_error="continue").execute()
    assert [trial.error for trial in kept.trials] == [None, None, "ArithmeticError: here", None]

    mended = experiment(path).execute()
    assert told(mended) == told(experiment(tmp_path / "whole.jsonl").execute())


def stored(path: Path) -> list[StoredTrial]:
    study: Study = open_study(path)
    try:
        return study.trials()
    finally:
        study.close()


def test_what_came_of_a_trial_is_in_the_file_before_the_next_one_begins(path: Path) -> None:
    seen: list[Any] = []

    def looks(point: dict[str, Any]) -> float:
        if path.suffix == ".jsonl":
            seen.append([json.loads(line).get("status") for line in path.read_bytes().splitlines()[1:]])
        else:
            db = sqlite3.connect(path)
            seen.append([status for (status,) in db.execute("SELECT status FROM trials ORDER BY number")])
            db.close()
        return value(point)

    experiment(path, looks, n_calls=3).execute()

    begun = ["running", "completed"]
    expected = {
        ".jsonl": [["running"], [*begun, "running"], [*begun, *begun, "running"]],
        ".sqlite": [["running"], ["completed", "running"], ["completed", "completed", "running"]],
    }
    assert seen == expected[path.suffix]


def test_a_line_that_a_killed_process_left_unfinished_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    whole = experiment(path).execute()
    data = path.read_bytes()

    for length in (len(data) - 3, len(data) - len(data.splitlines()[-1]) - 1, 7):
        path.write_bytes(data[:length])
        assert told(experiment(path).execute()) == told(whole)
    assert len(path.read_bytes().splitlines()) == len(data.splitlines())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"random_state": 1}, "its random_state is 0, not 1"),
        ({"space": {**SPACE, "x": (-5.0, 11.0)}}, "what differs is x"),
        ({"space": {"x": (-5.0, 10.0)}}, "what differs is n, kind"),
    ],
)
def test_a_study_of_another_experiment_is_refused_and_left_alone(path: Path, more: Any, says: str) -> None:
    experiment(path).execute()
    before = path.read_bytes()

    with pytest.raises(StudyError, match=says):
        ExperimentCommand(
            value, **{"space": SPACE, "random_state": 0, "study": path, "optimizer": "random", **more}
        ).execute()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"number,value\n1,2\n", b"x", b'{"pipe_study":99}\n'])
def test_a_file_with_something_else_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"other.{suffix}"
        path.write_bytes(content)
        with pytest.raises(StudyError, match="holds no study"):
            experiment(path).execute()
        assert path.read_bytes() == content


def test_a_database_with_other_tables_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE orders (id INTEGER)")
    db.close()

    with pytest.raises(StudyError, match="its tables are others"):
        experiment(path).execute()


def test_a_damaged_line_is_told_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    experiment(path).execute()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{,\n", *lines[4:]]))

    with pytest.raises(StudyError, match="damaged in line 4"):
        experiment(path).execute()


def test_of_a_damaged_study_only_the_trial_without_lines_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    whole = experiment(path).execute()
    lines = path.read_bytes().splitlines(keepends=True)

    path.write_bytes(b"".join(line for line in lines if b'"number":3' not in line))
    mended = experiment(path).execute()
    assert sorted(map(str, (trial.point for trial in mended.trials))) == sorted(str(one.point) for one in whole.trials)

    path.write_bytes(b"".join(line for line in lines if b'"number":3,"status":"running"' not in line))
    with pytest.raises(StudyError, match="trial 3 has no point"):
        experiment(path).execute()


def test_an_optimizer_that_cannot_resume_is_told_what_ended(path: Path) -> None:
    class Told:
        def __init__(self, space: Any, *, random_state: int | None) -> None:
            self.search = RandomSearch(space, random_state=random_state)

        def ask(self, n: int = 1) -> list[Any]:
            return self.search.ask(n)

        def tell(self, point: Any, value: float | None) -> None:
            all_told.append((point, value))

        best = None

    experiment(path, n_calls=3).execute()
    all_told: list[Any] = []

    result = experiment(path, n_calls=4, optimizer=Told).execute()

    assert all_told == [(trial.point, trial.value) for trial in result.trials]


def test_a_grid_of_other_steps_is_refused_where_it_would_be_left_unfinished(path: Path) -> None:
    numbers = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    ExperimentCommand(lambda p: p["x"], numbers, 9, 0, optimizer="grid", study=path).execute()

    with pytest.raises(OptionsError, match="The grid has 21 points"):
        ExperimentCommand(lambda p: p["x"], numbers, 16, 0, optimizer="grid", study=path).execute()
    steps = ("grid", {"steps": 3})
    assert len(ExperimentCommand(lambda p: p["x"], numbers, 16, 0, optimizer=steps, study=path).execute().trials) == 9


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_two_experiments_cannot_write_to_one_study(path: Path) -> None:
    def second(point: dict[str, Any]) -> float:
        experiment(path).execute()
        return 0.0

    with pytest.raises(StudyInUseError, match="is in use"):
        experiment(path, second).execute()
    assert len(experiment(path).execute().trials) == 8


KILLED = """
import pathlib, sys, time
from concurrent.futures import ThreadPoolExecutor
from pipe_core import ExperimentCommand

def objective(point):
    with open(sys.argv[2], "a") as log:
        log.write(f"begin {point['x']!r}\\n")
    number = len(pathlib.Path(sys.argv[2]).read_text().splitlines())
    time.sleep(60 if number > int(sys.argv[3]) else 0.01)
    with open(sys.argv[2], "a") as log:
        log.write(f"end {point['x']!r}\\n")
    return point["x"] ** 2

space = {"x": (-5.0, 10.0)}
with ThreadPoolExecutor(2) as pool:
    ExperimentCommand(objective, space, 12, 0, optimizer="random", study=sys.argv[1], executor=pool).execute()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_study_goes_on_and_no_completed_trial_is_run_twice(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.touch()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(log), "12"])
    try:
        deadline = time.monotonic() + 40
        while not hangs(log) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    before = stored(path)
    completed = {trial.number for trial in before if trial.status == "completed"}
    assert 0 < len(completed) < len(before) < 12, "it was killed in the middle, with trials running"

    calls: list[float] = []
    space = {"x": (-5.0, 10.0)}

    def objective(point: dict[str, float]) -> float:
        calls.append(point["x"])
        return point["x"] ** 2

    result = ExperimentCommand(objective, space, 12, 0, optimizer="random", study=path).execute()

    assert len(result.trials) == 12
    assert len(calls) == 12 - len(completed)
    assert not set(calls) & {trial.point["x"] for trial in before if trial.status == "completed"}
    assert told(result) == told(ExperimentCommand(objective, space, 12, 0, optimizer="random").execute())


def hangs(log: Path) -> bool:
    """Whether both of the workers are in a trial that does not end."""
    lines: Sequence[str] = log.read_text().splitlines()
    begun = sum(line.startswith("begin") for line in lines)
    return len(lines) >= 13 and begun - (len(lines) - begun) == 2
