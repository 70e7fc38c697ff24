"""Runs of projects on every executor: the same results, statuses and stored bytes; killed workers, limits of time."""

from __future__ import annotations

import os
import random
import runpy
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import PipeError
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner

pytestmark = pytest.mark.timeout(120)

HOME = Path(__file__).parents[2] / "core" / "tests" / "project" / "runs"
KILLING: Any = runpy.run_path(str(HOME / "killing.py"))
LOCAL = ["sync", "threads", "asyncio", "loky"]
Make = Callable[..., Project]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(nodes: Mapping[str, Any], catalog: Mapping[str, Any] | None = None, **pipeline: Any) -> Project:
        whole = {
            "nodes": dict(nodes),
            "catalog": dict(catalog or {}),
            "pipelines": {"main": {"nodes": list(nodes), **pipeline}},
        }
        return Project.load(whole, folder=tmp_path)

    return made


def numbers() -> list[dict[str, int]]:
    return [{"n": n} for n in range(5)]


def squares(rows: list[dict[str, int]]) -> tuple[list[dict[str, int]], int]:
    return [{"n": row["n"] ** 2} for row in rows], sum(row["n"] for row in rows)


async def both(rows: list[dict[str, int]], total: int) -> dict[str, int]:
    return {"rows": len(rows), "total": total}


def fails(found: Any) -> None:
    raise LookupError(f"nothing for {found['total']}")


NODES = {
    "numbers": {"function": numbers, "output": "numbers"},
    "squares": {"function": squares, "input": "numbers", "output": ["squares", "total"]},
    "both": {"function": both, "input": ["squares", "total"]},
    "fails": {"function": fails, "dependencies": "both", "retries": {"attempts": 2, "delay": 0.001}},
    "never": {"function": fails, "dependencies": "fails"},
}
CATALOG = {"numbers": {"path": "numbers.csv"}, "squares": {"path": "squares.jsonl"}}


@pytest.fixture(params=["sync", "threads", "asyncio", "loky", "dask", "ray"])
def runner_on(request: pytest.FixtureRequest) -> Iterator[Callable[[Project], Runner]]:
    runners: list[Runner] = []

    def made(project: Project) -> Runner:
        runners.append(Runner(project, request.param, 2))
        return runners[-1]

    yield made
    for runner in runners:
        runner.close()


def test_the_same_everywhere(make: Make, runner_on: Callable[[Project], Runner], tmp_path: Path) -> None:
    runner = runner_on(make(NODES, CATALOG))
    with pytest.raises(
        RunFailedError, match="Node 'fails' of 'main' has failed: LookupError: nothing for 10"
    ) as raised:
        runner.run("main", keep=True)
    result = raised.value.result
    assert result.statuses == {
        "numbers": "completed",
        "squares": "completed",
        "both": "completed",
        "fails": "failed",
        "never": "skipped",
    }
    assert result.nodes["fails"].attempts == 2
    assert isinstance(raised.value.__cause__, LookupError)
    assert result["both"] == {"rows": 5, "total": 10}
    assert (tmp_path / "numbers.csv").read_text() == "n\n0\n1\n2\n3\n4\n"
    assert (tmp_path / "squares.jsonl").read_text().split() == [f'{{"n":{n * n}}}' for n in range(5)]


def test_a_run_goes_on_on_another_executor(make: Make, runner_on: Callable[[Project], Runner], tmp_path: Path) -> None:
    with Runner(make(NODES, CATALOG)) as first, pytest.raises(RunFailedError) as raised:
        first.run("main")
    repaired = {**NODES, "fails": {"function": lambda found: found["total"], "dependencies": "both"}}
    repaired["never"] = {"function": lambda found: found + 1, "dependencies": "fails"}
    (tmp_path / "numbers.csv").write_text("n\n")  # nobody reads it again
    result = runner_on(make(repaired, CATALOG)).resume(raised.value.result.run)
    assert result["never"] == 11
    restored = [name for name, node in result.nodes.items() if node.restored]
    assert "numbers" in restored or "squares" in restored


@pytest.mark.parametrize("executor", ["threads", "asyncio"])
def test_a_node_starts_the_moment_its_dependencies_are_done(make: Make, executor: str) -> None:
    at: dict[str, float] = {}

    def sleeping(name: str, seconds: float) -> Callable[..., None]:
        def node(*_: Any) -> None:
            at[f"{name} begins"] = time.monotonic()
            time.sleep(seconds)
            at[f"{name} ends"] = time.monotonic()

        return node

    nodes = {
        "a": {"function": sleeping("a", 0.05)},
        "b": {"function": sleeping("b", 1.0)},
        "c": {"function": sleeping("c", 0.0), "dependencies": "a"},
    }
    with Runner(make(nodes), executor, 4) as runner:
        runner.run("main")
    assert at["c begins"] - at["a ends"] < 0.3
    assert at["c ends"] < at["b ends"]


def test_time_limits_hold_where_they_can_and_are_refused_elsewhere(make: Make) -> None:
    nodes = {"slow": {"function": lambda: time.sleep(30), "timeout": 0.3}}
    for executor in ("threads", "loky"):
        with Runner(make(nodes), executor, 1) as runner, pytest.raises(RunFailedError) as raised:
            runner.run("main")
        assert isinstance(raised.value.__cause__, TimeoutError)
    with pytest.raises(PipeError, match="timeout"):
        Runner(make(nodes), "sync").run("main")


def test_a_worker_that_dies_is_a_failed_attempt(make: Make, tmp_path: Path) -> None:
    def dies_once(mark: str) -> list[dict[str, int]]:
        if not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [{"n": 1}]

    mark = str(tmp_path / "died")
    nodes = {"dies": {"function": lambda: dies_once(mark), "output": "rows", "retries": {"attempts": 2, "delay": 0.01}}}
    with Runner(make(nodes, {"rows": {"path": "rows.jsonl", "mode": "append"}}), "loky", 2) as runner:
        result = runner.run("main")
    assert result.nodes["dies"].attempts == 2
    assert (tmp_path / "rows.jsonl").read_text() == '{"n":1}\n'


def test_nodes_of_one_run_on_several_executors(make: Make) -> None:
    nodes = {
        "here": {"function": os.getpid},
        "there": {"function": lambda here: os.getpid() != here, "dependencies": "here", "executor": "loky"},
        "back": {"function": lambda there: (there, os.getpid()), "dependencies": "there"},
    }
    with Runner(make(nodes), "threads", 2) as runner:
        assert runner.run("main")["back"] == (True, os.getpid())


def test_what_runs_comes_to_its_end_where_a_pipeline_drains(make: Make) -> None:
    def bad() -> None:
        time.sleep(0.1)
        raise ValueError

    nodes = {
        "bad": {"function": bad},
        "slow": {"function": lambda: time.sleep(1.5), "output": []},
        "after": {"function": lambda _: None, "dependencies": "slow"},
    }
    with Runner(make(nodes, on_failure="drain"), "threads", 2) as runner, pytest.raises(RunFailedError) as raised:
        runner.run("main")
    assert raised.value.result.statuses == {"bad": "failed", "slow": "completed", "after": "cancelled"}


def test_kills_on_every_local_executor_change_nothing(tmp_path: Path) -> None:
    KILLING["run_once"](tmp_path / "whole", "sync")
    kills = KILLING["run_with_kills"](
        tmp_path / "killed", ["threads", "asyncio", "sync"], random.Random(3), longest=0.3
    )
    kills += KILLING["run_with_kills"](tmp_path / "loky", ["loky"], random.Random(4), longest=2.5)
    expected = KILLING["stored"](tmp_path / "whole")
    assert KILLING["stored"](tmp_path / "killed") == expected
    assert KILLING["stored"](tmp_path / "loky") == expected
    assert kills


@pytest.mark.chaos
def test_a_hundred_kills(tmp_path: Path) -> None:
    KILLING["run_once"](tmp_path / "whole", "sync")
    expected = KILLING["stored"](tmp_path / "whole")
    chance = random.Random()
    kills = number = 0
    while kills < 100:
        folder = tmp_path / str(number)
        executors = LOCAL if number % 3 == 0 else LOCAL[:3]
        kills += KILLING["run_with_kills"](folder, executors, chance, longest=2.5 if number % 3 == 0 else 0.15)
        assert KILLING["stored"](folder) == expected
        number += 1
