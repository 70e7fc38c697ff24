"""Runs of projects in one process: order, values, statuses, selection, failures."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core.kernel.errors import OptionsError, PluginDependencyError
from pipe_core.project.catalog import DatasetRecordError
from pipe_core.project.errors import DependencyError, NodeNotFoundError, NodeResultError, RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.project.state import NodeStatus

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


class Number(BaseModel):
    n: int


def one() -> int:
    return 1


def double(value: int) -> int:
    return 2 * value


def add(*values: int) -> int:
    return sum(values)


class Failing:
    """Fails so many times, then gives its result."""

    def __init__(self, times: int, error: type[Exception] = ValueError) -> None:
        self.times, self.error, self.calls = times, error, 0

    def __call__(self, *given: Any) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error(f"attempt {self.calls}")
        return "done"


# --- values ---


def test_results_are_handed_over_in_the_order_of_dependencies(make: Make) -> None:
    def pair(left: int, right: int) -> tuple[int, int]:
        return left, right

    project = make(
        {
            "pair": {"function": pair, "dependencies": ["double", {"one": {}}]},
            "double": {"function": double, "dependencies": "one"},
            "one": {"function": one},
        }
    )
    with Runner(project) as runner:
        result = runner.run("main")
    assert result.ok
    assert result["pair"] == (2, 1)
    assert list(result.nodes) == ["one", "double", "pair"]
    assert result.statuses == {"one": "completed", "double": "completed", "pair": "completed"}


def test_a_name_among_inputs_is_an_output_or_a_data_set(make: Make, tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("n\n1\n2\n")
    project = make(
        {
            "total": {"function": lambda rows, extra: sum(rows) + len(extra), "input": ["numbers", "raw"]},
            "numbers": {"function": lambda rows: [int(row["n"]) for row in rows], "input": "raw", "output": "numbers"},
        },
        {"raw": {"path": "raw.csv"}},
    )
    assert Runner(project).run("main")["total"] == 5


def test_several_outputs_go_where_they_are_named(make: Make, tmp_path: Path) -> None:
    catalog = {"low": {"path": "low.json"}, "high": {"path": "high.json"}}
    nodes = {
        "split": {"function": lambda: ([{"n": 1}], [{"n": 9}]), "output": ["low", "high"]},
        "named": {"function": lambda: {"b": 2, "a": 1}, "output": ["a", "b"]},
        "take": {"function": lambda high, a: (high[0]["n"], a), "input": ["high", "a"]},
    }
    project = make(nodes, catalog)
    assert Runner(project).run("main")["take"] == (9, 1)
    assert json.loads((tmp_path / "low.json").read_text()) == [{"n": 1}]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "gave a NoneType"),
        (1, "gave a int"),
        ((1,), "gave 1 values"),
        ({"a": 1}, "the keys a"),
        ((1, None), "gave None for its output 'b'"),
    ],
)
def test_a_result_that_does_not_fit_its_outputs(make: Make, given: Any, text: str) -> None:
    project = make({"split": {"function": lambda: given, "output": ["a", "b"]}})
    with pytest.raises(RunFailedError) as raised:
        Runner(project).run("main")
    assert isinstance(raised.value.__cause__, NodeResultError)
    assert text in str(raised.value)


def test_descriptions_in_place_of_names(make: Make, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('[{"n": 3}]')
    nodes = {
        "copy": {"function": lambda rows: rows, "input": [{"path": "in.json"}], "output": [{"path": "copy.jsonl"}]},
        "after": {"function": lambda rows: rows[0]["n"], "dependencies": "copy"},
    }
    assert Runner(make(nodes)).run("main")["after"] == 3
    assert json.loads((tmp_path / "copy.jsonl").read_text()) == {"n": 3}


def test_values_are_let_go_when_the_last_consumer_is_done(make: Make) -> None:
    class Big:
        pass

    seen: list[weakref.ref[Big]] = []
    alive: list[bool] = []

    def big() -> Big:
        seen.append(weakref.ref(made := Big()))
        return made

    def look(*_: Any) -> None:
        gc.collect()
        alive.append(seen[0]() is not None)

    nodes = {
        "big": {"function": big},
        "uses": {"function": lambda value: alive.append(value is not None), "dependencies": "big"},
        "later": {"function": look, "dependencies": "uses"},
    }
    project = make(nodes)
    Runner(project).run("main")
    assert alive == [True, False]
    seen.clear()
    alive.clear()
    kept = Runner(project).run("main", keep=True)
    assert alive == [True, True]
    assert isinstance(kept["big"], Big)


def test_results_that_were_let_go_are_told_so(make: Make) -> None:
    project = make({"one": {"function": one}, "double": {"function": double, "dependencies": "one"}})
    result = Runner(project).run("main")
    with pytest.raises(KeyError, match="keep=True"):
        result["one"]
    with pytest.raises(NodeNotFoundError, match="Did you mean 'double'"):
        result["doubl"]


# --- dates ---


def test_dates_are_passed_as_functions_want_them(make: Make) -> None:
    def texts(*, start_date: str, end_date: str) -> tuple[str, str]:
        return start_date, end_date

    def days(start_date: date, end_date: date | None = None) -> Any:
        return start_date, end_date

    project = make({"texts": {"function": texts}, "days": {"function": days}, "none": {"function": one}})
    result = Runner(project).run("main", start_date="2025-01-01", end_date=date(2025, 1, 31), keep=True)
    assert result["texts"] == ("2025-01-01", "2025-01-31")
    assert result["days"] == (date(2025, 1, 1), date(2025, 1, 31))


def test_dates_come_from_the_call_the_pipeline_or_the_project(tmp_path: Path) -> None:
    def window(start_date: str, end_date: str) -> str:
        return f"{start_date} {end_date}"

    whole = {
        "project": {"start_date": "2025-01-01", "end_date": "2025-01-02"},
        "nodes": {"w": {"function": window}},
        "pipelines": {
            "own": {"nodes": ["w"], "start_date": "2025-03-01", "end_date": "2025-03-02"},
            "no": {"nodes": ["w"]},
        },
    }
    runner = Runner(Project.load(whole, folder=tmp_path))
    assert runner.run("no")["w"] == "2025-01-01 2025-01-02"
    assert runner.run("own")["w"] == "2025-03-01 2025-03-02"
    assert runner.run("own", end_date="2025-03-09")["w"] == "2025-03-01 2025-03-09"


def test_missing_and_wrong_dates_stop_everything_before_it_begins(make: Make, tmp_path: Path) -> None:
    ran: list[int] = []
    nodes = {
        "first": {"function": lambda: ran.append(1)},
        "w": {"function": lambda start_date, end_date: 1, "dependencies": []},
    }
    runner = Runner(make(nodes))
    with pytest.raises(OptionsError, match="needs dates"):
        runner.run("main")
    with pytest.raises(OptionsError, match="swapped"):
        runner.run("main", start_date="2025-02-01", end_date="2025-01-01")
    with pytest.raises(OptionsError, match="end_date is missing"):
        runner.run("main", start_date="2025-02-01")
    assert not ran
    assert not (tmp_path / "runs").exists()


# --- which nodes ---

CHAIN = {
    "a": {"function": one, "tags": ["x"]},
    "b": {"function": add, "dependencies": "a", "tags": ["y"]},
    "c": {"function": add, "dependencies": "b", "output": "c"},
    "d": {"function": add, "dependencies": "c", "tags": ["x", "y"]},
}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"nodes": "a"}, ["a"]),
        ({"up_to": "b"}, ["a", "b"]),
        ({"start_from": "d"}, ["d"]),
        ({"start_from": "a", "up_to": "c"}, ["a", "b", "c"]),
        ({"up_to": "b", "tags": "x"}, ["a"]),
        ({"tags": ["x", "y"], "up_to": ["b"]}, ["a", "b"]),
    ],
)
def test_some_of_the_nodes(make: Make, choice: dict[str, Any], names: list[str]) -> None:
    project = make(CHAIN, {"c": {"path": "c.json", "as": "value"}})
    project.catalog.save("c", 5)
    assert list(Runner(project).run("main", **choice).nodes) == names


def test_what_does_not_run_is_loaded_where_it_is_stored(make: Make) -> None:
    project = make(CHAIN, {"c": {"path": "c.json", "as": "value"}})
    project.catalog.save("c", 5)
    assert Runner(project).run("main", start_from="d")["d"] == 5
    with pytest.raises(DependencyError, match="handed the result of 'a', which does not run"):
        Runner(project).run("main", start_from="b")
    with pytest.raises(OptionsError, match="exclude each other"):
        Runner(project).run("main", start_from="c", up_to="b")


# --- failures ---


def test_a_failure_names_the_node_and_keeps_its_cause(make: Make) -> None:
    project = make(
        {
            "one": {"function": one},
            "bad": {"function": Failing(1), "dependencies": "one"},
            "after": {"function": add, "dependencies": "bad"},
            "last": {"function": add, "dependencies": "after"},
        }
    )
    runner = Runner(project)
    with pytest.raises(RunFailedError, match="Node 'bad' of 'main' has failed: ValueError: attempt 1") as raised:
        runner.run("main")
    error = raised.value
    assert type(error.__cause__) is ValueError
    assert error.node == "bad"
    assert error.result.statuses == {"one": "completed", "bad": "failed", "after": "skipped", "last": "skipped"}
    assert error.result.nodes["after"].error == "'bad' has failed"
    assert runner.state is not None
    assert runner.state.get_node_status("bad") is NodeStatus.FAILED


def test_independent_nodes_go_on_where_that_is_said(make: Make) -> None:
    nodes = {
        "bad": {"function": Failing(9)},
        "after": {"function": add, "dependencies": "bad"},
        "one": {"function": one},
        "double": {"function": double, "dependencies": "one"},
    }
    with pytest.raises(RunFailedError) as raised:
        Runner(make(nodes, on_failure="continue_independent")).run("main")
    expected = {"bad": "failed", "after": "skipped", "one": "completed", "double": "completed"}
    assert raised.value.result.statuses == expected
    assert raised.value.result["double"] == 2
    with pytest.raises(RunFailedError) as raised:
        Runner(make(nodes)).run("main")
    assert raised.value.result.statuses == {**expected, "one": "cancelled", "double": "cancelled"}


def test_a_node_is_called_once_for_each_attempt(make: Make) -> None:
    failing = Failing(2)
    nodes = {
        "shaky": {"function": failing, "retries": {"attempts": 3, "delay": 0.001, "on": ["LookupError", "ValueError"]}}
    }
    result = Runner(make(nodes)).run("main")
    assert failing.calls == 3
    assert result.nodes["shaky"].attempts == 3
    other = Failing(2, error=OSError)
    nodes["shaky"]["function"] = other
    with pytest.raises(RunFailedError):
        Runner(make(nodes)).run("main")
    assert other.calls == 1


def test_what_will_not_change_is_not_tried_again(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is not as its schema says, and a module that is not installed."""
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": "many"}\n')
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    rows = {"checked": {"path": "rows.jsonl", "schema": Number}, "table": {"path": "rows.jsonl", "as": "arrow"}}
    nodes = {f"take_{name}": {"function": double, "input": name} for name in rows}
    project = make(nodes, rows, on_failure="continue_independent", retries={"attempts": 2, "delay": 0.001})
    with pytest.raises(RunFailedError) as raised:
        Runner(project).run("main")
    ended = raised.value.result.nodes
    assert {name: type(node.error) for name, node in ended.items()} == {
        "take_checked": DatasetRecordError,
        "take_table": PluginDependencyError,
    }
    assert [node.attempts for node in ended.values()] == [1, 1]


def test_retrying_is_seen_while_it_lasts(make: Make) -> None:
    calls: list[int] = []

    def shaky() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError

    nodes = {"shaky": {"function": shaky, "retries": {"attempts": 2, "delay": 0.3, "jitter": 0}}}
    runner = Runner(make(nodes))
    thread = threading.Thread(target=runner.run, args=["main"])
    thread.start()
    until = time.monotonic() + 5
    while not (runner.state and runner.state.get_node_status("shaky") is NodeStatus.RETRYING):
        assert time.monotonic() < until
        time.sleep(0.01)
    thread.join()
    assert len(calls) == 2
    assert runner.state.get_node_status("shaky") is NodeStatus.COMPLETED


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ({"a": {"function": lambda a, b=0: a}}, "takes 1 to 2 inputs, and it is given none"),
        ({"a": {"function": lambda a, *more: a}}, "takes at least 1 input, and it is given none"),
        ({"a": {"function": double}}, "takes 1 input, and it is given none"),
        (
            {"a": {"function": one}, "b": {"function": one, "dependencies": "a"}},
            "takes no inputs, and it is given 1: node 'a'",
        ),
    ],
)
def test_functions_that_do_not_fit_are_found_before_anything_runs(make: Make, nodes: Any, text: str) -> None:
    with pytest.raises(OptionsError, match=text):
        Runner(make(nodes)).run("main")


def test_ctrl_c_ends_the_run_and_says_what_was_cancelled(make: Make) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    runner = Runner(make({"stop": {"function": stop}, "after": {"function": add, "dependencies": "stop"}}))
    with pytest.raises(KeyboardInterrupt):
        runner.run("main")
    assert runner.state is not None
    assert runner.state.get_node_status("after") is NodeStatus.CANCELLED
    assert runner.state.pipeline_status == "cancelled"


# --- async, machine learning, the seed's methods ---


def test_async_functions_are_awaited(make: Make, tmp_path: Path) -> None:
    import asyncio

    async def fetch(rows: Any) -> list[Any]:
        await asyncio.sleep(0)
        return [*rows, {"n": 2}]

    (tmp_path / "in.json").write_text('[{"n": 1}]')
    project = make(
        {"fetch": {"function": fetch, "input": "in", "output": "out"}},
        {"in": {"path": "in.json"}, "out": {"path": "o.jsonl"}},
    )
    assert Runner(project).run("main")["fetch"] == [{"n": 1}, {"n": 2}]
    assert (tmp_path / "o.jsonl").read_text().count("\n") == 2


def test_machine_learning_is_told_its_parameters(tmp_path: Path) -> None:
    def train(*, ml_context: dict[str, Any]) -> dict[str, Any]:
        return ml_context

    whole = {
        "project": {"name": "shop", "model_version": "0.1", "hyperparams": {"a": 1, "b": 1, "c": 1, "d": 1}},
        "nodes": {"train": {"function": train, "hyperparams": {"c": 3, "d": 3}, "metrics": ["auc"]}},
        "pipelines": {"learn": {"nodes": ["train"], "type": "ml", "hyperparams": {"b": 2, "c": 2}, "model_name": "m"}},
    }
    session = object()
    told = Runner(Project.load(whole, folder=tmp_path), session=session).run("learn", hyperparams={"d": 4})["train"]
    assert told["hyperparams"] == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert told["model_version"] == "0.1"
    assert told["session"] is session
    assert told["pipeline_config"]["model_name"] == "m"
    assert told["execution_metadata"]["status"] == "success"
    assert told["execution_metadata"]["metrics"] == ("auc",)


def test_a_single_node_and_nodes_in_parallel(make: Make) -> None:
    project = make(
        {"one": {"function": one}, "double": {"function": double, "dependencies": "one"}, "x": {"function": one}}
    )
    runner = Runner(project, max_workers=4)
    assert runner.execute_single_node("x", "2025-01-01", "2025-01-31", {}).statuses == {"x": "completed"}
    result = runner.execute_nodes_parallel(
        ["one", "double"], project.nodes, {"one": {"double"}, "double": set()}, None, None, {}
    )
    assert (result["one"], result["double"]) == (1, 2)
    configs = {"p": {"function": one}, "q": {"function": double}}
    assert runner.execute_nodes_parallel(["p", "q"], configs, {"p": {"q"}, "q": set()})["q"] == 2
    with pytest.raises(NodeNotFoundError, match="Nodes that there are: one, double, x"):
        runner.execute_single_node("nothing")
    with pytest.raises(NodeNotFoundError):
        runner.run_node("nothing")


def test_a_run_is_logged_with_node_pipeline_run_and_duration(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "pipe_core.project"):
        result = Runner(make({"one": {"function": one}})).run("main")
    record: Any = next(record for record in caplog.records if "completed" in record.message)
    assert (record.node, record.pipeline, record.run_id) == ("one", "main", result.run)
    assert 0 <= record.duration < 5


def test_nothing_is_kept_without_a_journal(make: Make, tmp_path: Path) -> None:
    result = Runner(make({"one": {"function": one}})).run("main", journal=False)
    assert (result.run, result.folder) == ("", None)
    assert not (tmp_path / "runs").exists()


def test_the_manifest_tells_versions_and_timings(make: Make) -> None:
    result = Runner(make({"one": {"function": one}})).run("main", hyperparams={"depth": 3})
    assert result.folder is not None
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["run"] == result.run
    assert manifest["distributions"]["pipe-core"]
    assert manifest["nodes"]["one"]["status"] == "completed"
    assert manifest["parameters"]["hyperparams"] == {"depth": 3}
