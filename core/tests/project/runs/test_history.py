"""Runs that were kept, and backfills that go on where they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, create_model

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.dates import DateWindow
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.backfill import backfill
from pipe_core.project.runs.folder import ProjectRunFolder
from pipe_core.project.runs.history import past_run, past_runs
from pipe_core.project.runs.runner import Runner
from pipe_core.runs.errors import ResumeError, RunLockedError, RunNotFoundError
from pipe_core.runs.lease import Lease

CALLS: list[str] = []
BAD: set[str] = set()


def extract(*, start_date: str, end_date: str) -> list[dict[str, str]]:
    CALLS.append(f"extract {start_date} {end_date}")
    return [{"day": start_date}]


def load(rows: list[dict[str, str]], start_date: str) -> str:
    CALLS.append(f"load {start_date}")
    if start_date in BAD:
        raise ValueError(f"{start_date} is bad")
    return rows[0]["day"] if isinstance(rows[0], dict) else rows[0].day


@pytest.fixture
def whole() -> dict[str, Any]:
    CALLS.clear()
    BAD.clear()
    return {
        "nodes": {
            "extract": {"function": extract, "output": "days"},
            "load": {"function": load, "dependencies": "extract"},
        },
        "catalog": {"days": {"path": "days.jsonl"}},
        "pipelines": {"daily": {"nodes": ["extract", "load"]}},
    }


class Row(BaseModel):
    day: str


class Other(BaseModel):
    day: str


def test_a_run_that_stores_records_of_a_model_is_resumed(whole: Any, tmp_path: Path) -> None:
    whole["catalog"]["days"]["schema"] = Row
    BAD.add("2025-01-01")
    runner = Runner(Project.load(whole, folder=tmp_path))
    with pytest.raises(RunFailedError) as raised:
        runner.run("daily", start_date="2025-01-01", end_date="2025-01-01")
    BAD.clear()
    whole["catalog"]["days"]["schema"] = Other
    with pytest.raises(ResumeError, match="have changed"):
        Runner(Project.load(whole, folder=tmp_path)).resume(raised.value.result.run)
    assert runner.resume(raised.value.result.run).statuses == {"extract": "completed", "load": "completed"}


def test_runs_are_listed_with_their_ends(whole: Any, tmp_path: Path) -> None:
    runner = Runner(Project.load(whole, folder=tmp_path))
    good = runner.run("daily", start_date="2025-01-01", end_date="2025-01-01")
    BAD.add("2025-01-02")
    with pytest.raises(RunFailedError) as raised:
        runner.run("daily", start_date="2025-01-02", end_date="2025-01-02")
    rows = {row.run: row for row in past_runs(runner.runs)}
    assert list(rows) == [good.run, raised.value.result.run]  # whatever chance has put behind the second in their ids
    assert rows[good.run].status == "completed"
    assert rows[raised.value.result.run].status == "failed"
    assert rows[raised.value.result.run].nodes == {"extract": "completed", "load": "failed"}
    assert set(rows[good.run].to_dict()) == {"run", "pipeline", "status", "started", "ended"}
    assert past_run(runner.runs, good.run[:-2]).run == good.run
    with pytest.raises(RunNotFoundError, match="begin with '2'"):
        past_run(runner.runs, "2")


def test_a_run_goes_on_where_it_failed(whole: Any, tmp_path: Path) -> None:
    runner = Runner(Project.load(whole, folder=tmp_path))
    BAD.add("2025-01-02")
    with pytest.raises(RunFailedError, match="pipe resume") as raised:
        runner.run("daily", start_date="2025-01-02", end_date="2025-01-02")
    run = raised.value.result.run
    BAD.clear()
    result = runner.resume(run)
    assert CALLS == ["extract 2025-01-02 2025-01-02", "load 2025-01-02", "load 2025-01-02"]
    assert result["load"] == "2025-01-02"
    assert result.nodes["extract"].restored
    assert not result.nodes["load"].restored
    assert past_run(runner.runs, run).status == "completed"
    assert runner.resume(run).statuses == {"extract": "completed", "load": "completed"}
    assert len(CALLS) == 3


def test_what_is_stored_nowhere_runs_again_if_it_is_needed(whole: Any, tmp_path: Path) -> None:
    del whole["nodes"]["extract"]["output"]
    runner = Runner(Project.load(whole, folder=tmp_path))
    BAD.add("2025-01-02")
    with pytest.raises(RunFailedError) as raised:
        runner.run("daily", start_date="2025-01-02", end_date="2025-01-02")
    BAD.clear()
    assert runner.resume(raised.value.result.run)["load"] == "2025-01-02"
    assert [call.split()[0] for call in CALLS] == ["extract", "load", "extract", "load"]


def test_a_project_that_changed_is_refused_unless_forced(whole: Any, tmp_path: Path) -> None:
    BAD.add("2025-01-02")
    with pytest.raises(RunFailedError) as raised:
        Runner(Project.load(whole, folder=tmp_path)).run("daily", start_date="2025-01-02", end_date="2025-01-02")
    BAD.clear()
    run = raised.value.result.run
    whole["nodes"]["load"]["retries"] = 2  # what is not done may change
    whole["catalog"]["days"]["mode"] = "append"
    changed = Runner(Project.load(whole, folder=tmp_path))
    with pytest.raises(ResumeError, match="Node 'extract' was done"):
        changed.resume(run)
    assert changed.resume(run, force=True)["load"] == "2025-01-02"


def model(**fields: Any) -> type[BaseModel]:
    """Each time another class of the same name."""
    return create_model("Made", **fields)


def arrow_schema(**fields: str) -> Any:
    return pytest.importorskip("pyarrow").schema(list(fields.items()))


@pytest.mark.parametrize("place", ["catalog", "contracts"])
@pytest.mark.parametrize(
    ("make", "same", "others"),
    [
        (model, {"day": str}, [{"day": str, "more": (int, 1)}, {"day": (str, Field(min_length=2))}]),
        (model, {"day": str, "of": (Callable[[], int] | None, None)}, [{"day": str, "of": (Callable | None, None)}]),
        (arrow_schema, {"day": "string"}, [{"day": "large_string"}]),
    ],
)
def test_a_schema_whose_fields_changed_is_noticed(
    make: Callable[..., Any], same: Any, others: list[Any], place: str, whole: Any, tmp_path: Path
) -> None:
    def runner(fields: Any) -> Runner:
        if place == "catalog":
            whole["catalog"]["days"]["schema"] = make(**fields)
        else:
            whole["nodes"]["extract"]["contracts"] = {"outputs": {"days": {"schema": make(**fields)}}}
        return Runner(Project.load(whole, folder=tmp_path))

    BAD.add("2025-01-02")
    with pytest.raises(RunFailedError) as raised:
        runner(same).run("daily", start_date="2025-01-02", end_date="2025-01-02")
    BAD.clear()
    for other in others:
        with pytest.raises(ResumeError, match="Node 'extract' was done"):
            runner(other).resume(raised.value.result.run)
    assert CALLS == ["extract 2025-01-02 2025-01-02", "load 2025-01-02"]
    runner(same).resume(raised.value.result.run)
    assert CALLS[2:] == ["load 2025-01-02"]


def test_a_run_that_goes_on_cannot_be_resumed(whole: Any, tmp_path: Path) -> None:
    runner = Runner(Project.load(whole, folder=tmp_path))
    run = runner.run("daily", start_date="2025-01-02", end_date="2025-01-02").run
    lease = Lease(runner.runs / run)
    with pytest.raises(RunLockedError, match=r"goes on in process \d+ on"):
        runner.resume(run)
    lease.release()
    runner.resume(run)


def test_workers_of_a_run_that_was_taken_up_save_nothing(whole: Any, tmp_path: Path) -> None:
    from pipe_core.runs.errors import RunSupersededError

    runner = Runner(Project.load(whole, folder=tmp_path))
    run = runner.run("daily", start_date="2025-01-02", end_date="2025-01-02").run
    old = ProjectRunFolder(runner.runs / run, 1)
    _, lease = ProjectRunFolder.take_up(runner.runs, run)
    lease.release()
    with pytest.raises(RunSupersededError, match="'extract' still ran"):
        old.write_receipt("extract", {})


def test_a_backfill_goes_on_where_it_was(whole: Any, tmp_path: Path) -> None:
    runner = Runner(Project.load(whole, folder=tmp_path))
    BAD.add("2025-01-03")
    window = DateWindow("2025-01-01", "2025-01-04")
    pieces = list(backfill(runner, "daily", window, "1d"))
    assert [piece.status for piece in pieces] == ["completed", "completed", "failed", "completed"]
    assert "2025-01-03 is bad" in str(pieces[2].error)
    BAD.clear()
    CALLS.clear()
    again = list(backfill(runner, "daily", window, "1d"))
    assert [piece.status for piece in again] == ["done before", "done before", "completed", "done before"]
    assert again[2].resumed
    assert again[2].run == pieces[2].run
    assert CALLS == ["load 2025-01-03"]
    whole_again = list(backfill(runner, "daily", window, "2d", again=True))
    assert [(str(piece.window), piece.status) for piece in whole_again] == [
        ("2025-01-01..2025-01-02", "completed"),
        ("2025-01-03..2025-01-04", "completed"),
    ]


def test_a_backfill_stops_at_a_failure_where_that_is_said(whole: Any, tmp_path: Path) -> None:
    runner = Runner(Project.load(whole, folder=tmp_path))
    BAD.add("2025-01-01")
    window = DateWindow("2025-01-01", "2025-01-04")
    assert len(list(backfill(runner, "daily", window, "1d", stop_at_failure=True))) == 1
    with pytest.raises(OptionsError, match="no length of time"):
        list(backfill(runner, "daily", window, "every day"))


def test_a_backfill_of_what_does_not_depend_on_dates_is_refused(tmp_path: Path) -> None:
    whole = {"nodes": {"one": {"function": lambda: 1}}, "pipelines": {"all": ["one"]}}
    runner = Runner(Project.load(whole, folder=tmp_path))
    with pytest.raises(OptionsError, match="Nothing that runs of the pipeline 'all' depends on dates"):
        next(backfill(runner, "all", DateWindow("2025-01-01", "2025-01-04"), "1d", nodes="one"))
    assert not runner.runs.exists()


def test_what_comes_back_otherwise_is_handed_on_as_it_was(tmp_path: Path) -> None:
    """A CSV file gives texts, and one output of the node is stored nowhere: a run that is resumed does not show it."""
    good: list[bool] = []

    def make() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        CALLS.append("make")
        return [{"n": 1, "x": 0.5}], {"when": DateWindow("2025-01-01", "2025-01-02").start, "rows": (1, 2)}

    def use(rows: list[dict[str, Any]], other: dict[str, Any]) -> Any:
        if not good:
            raise ValueError
        return rows, other

    whole = {
        "nodes": {
            "make": {"function": make, "output": ["rows", "other"]},
            "use": {"function": use, "input": ["rows", "other"]},
        },
        "catalog": {"rows": {"path": "rows.csv"}},
        "pipelines": {"main": {"nodes": ["make", "use"]}},
    }
    runner = Runner(Project.load(whole, folder=tmp_path))
    CALLS.clear()
    with pytest.raises(RunFailedError) as raised:
        runner.run("main")
    good.append(True)
    result = runner.resume(raised.value.result.run)
    assert result["use"] == ([{"n": 1, "x": 0.5}], {"when": "2025-01-01", "rows": (1, 2)})
    assert CALLS == ["make"]
    assert result.folder is not None
    assert not (result.folder / "values").exists()  # nobody needs them any more


def test_an_iterator_is_stored_as_it_comes_and_loaded_by_whoever_takes_it(tmp_path: Path) -> None:
    def rows() -> Any:
        yield from ({"n": n} for n in range(3))

    whole: dict[str, Any] = {
        "nodes": {
            "rows": {"function": rows, "output": "rows"},
            "free": {"function": lambda: iter([1, 2]), "output": "free"},
            "count": {"function": lambda one, two: (len(one), len(two)), "input": ["rows", "free"]},
            "again": {"function": lambda one: one[-1], "input": "rows"},
            "bare": {"function": lambda: iter([3, 4])},
            "first": {"function": list, "dependencies": "bare"},
            "second": {"function": list, "dependencies": "bare"},
        },
        "catalog": {"rows": {"path": "rows.jsonl"}},
    }
    whole["pipelines"] = {"main": {"nodes": list(whole["nodes"])}}
    result = Runner(Project.load(whole, folder=tmp_path)).run("main", keep=True)
    assert result["count"] == (3, 2)
    assert result["again"] == {"n": 2}
    assert result["rows"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert result["first"] == result["second"] == [3, 4]


class Reading(BaseModel):
    at: datetime
    degrees: float


def test_objects_of_a_schema_are_handed_on_as_they_were(tmp_path: Path) -> None:
    def make() -> list[Reading]:
        CALLS.append("make")
        return [Reading(at=datetime(2025, 1, 1, tzinfo=UTC), degrees=20.5)]

    def use(readings: list[Reading], rows: list[Any]) -> float:
        if len(CALLS) < 2:
            CALLS.append("use")
            raise ValueError
        return readings[0].degrees + len(rows)

    whole = {
        "nodes": {
            "make": {"function": lambda: (make(), [1, 2]), "output": ["readings", "rows"]},
            "use": {"function": use, "input": ["readings", "rows"]},
        },
        "catalog": {"readings": {"path": "readings.csv", "schema": Reading}},
        "pipelines": {"main": {"nodes": ["make", "use"]}},
    }
    CALLS.clear()
    runner = Runner(Project.load(whole, folder=tmp_path))
    with pytest.raises(RunFailedError) as raised:
        runner.run("main")
    assert runner.resume(raised.value.result.run)["use"] == 22.5
    assert CALLS == ["make", "use"]
