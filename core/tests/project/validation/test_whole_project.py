"""A whole project in one report: each problem with its severity, its place and its key."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pipe_core.project.project import Project
from pipe_core.project.validation import ValidationReport, validate_project

CODE = """
from pydantic import BaseModel

RAN = []

class Order(BaseModel):
    id: int

def give():
    RAN.append("give")
    return []

def take(rows):
    RAN.append("take")
    return rows

def many(*rows):
    return rows

def dated(rows, *, start_date, end_date):
    return rows
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "checked_steps.py").write_text(CODE, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("checked_steps", None)


@pytest.fixture
def check(folder: Path) -> Callable[..., ValidationReport]:
    def check(text: str, **options: Any) -> ValidationReport:
        (folder / "pipe.yaml").write_text(dedent(text).lstrip(), encoding="utf-8")
        return validate_project(Project.load(folder), **options)

    return check


Check = Callable[..., ValidationReport]


def told(report: ValidationReport) -> list[tuple[str, str, str]]:
    return [(one.severity, one.place, one.key) for one in report.problems]


def test_a_project_that_is_well(check: Check, folder: Path) -> None:
    (folder / "orders.csv").touch()
    report = check(
        """
        project: {executor: sync, start_date: 2025-01-01, end_date: 2025-01-31}
        catalog:
          orders: {path: orders.csv}
          done: {path: done.jsonl}
        nodes:
          first: {function: checked_steps.take, input: orders, output: rows}
          second: {function: checked_steps.dated, input: rows, output: done}
          last: {function: checked_steps.take, dependencies: second}
        pipelines:
          daily: [first, second, last]
        """
    )
    assert report.problems == ()
    assert (report.ok, str(report)) == (True, "Nothing is wrong.")
    assert report.to_dict() == {"ok": True, "errors": [], "warnings": []}
    assert sys.modules["checked_steps"].RAN == []
    assert not (folder / "runs").exists()
    assert not (folder / "done.jsonl").exists()


def test_everything_that_is_wrong_is_in_one_report(check: Check) -> None:
    report = check(
        """
        project: {executor: sync}
        catalog:
          orders: {path: orders.csv}
          lonely: {path: lonely.csv}
          one: {path: same.jsonl}
          two: {path: ./same.jsonl}
          bare: {path: bare.jsonl, contract: freeze}
        nodes:
          first: {function: checked_steps.take, input: orders, output: one}
          second: {function: checked_steps.take, input: orders, output: [two]}
          limited: {function: checked_steps.give, output: rows, timeout: 5}
          greedy:
            function: checked_steps.take
            input: bare
            resources: {GPU: 1}
            contracts: {inputs: {bar: checked_steps.Order}}
          many: {function: checked_steps.take, input: [orders, orders]}
          idle: {function: checked_steps.give}
        pipelines:
          daily:
            nodes: [first, second, limited, greedy, many]
          dated:
            nodes: [limited, first]
            requires_dates: true
            start_date: 2025-01-01
        """
    )
    problems = {(one.key, one.severity): one for one in report.problems}
    expected = {
        ("catalog.bare.contract", "error"): ("pipe.yaml:7", "a contract needs the schema that it is about"),
        ("nodes.second.output", "error"): ("pipe.yaml:10", "Nodes 'first' and 'second' write the same path same.jsonl"),
        ("nodes.limited.timeout", "error"): ("pipe.yaml:11", "the calling thread cannot end what runs"),
        ("nodes.greedy.resources", "error"): ("pipe.yaml:15", "needs GPU of its worker, and the calling thread"),
        ("nodes.greedy.contracts", "error"): ("pipe.yaml:16", "contract of the input 'bar', and no such input"),
        ("nodes.many.input", "error"): ("pipe.yaml:17", "takes 1 input, and it is given 2"),
        ("pipelines.dated.end_date", "error"): ("pipe.yaml:22", "end_date is missing"),
        ("catalog.lonely", "warning"): ("pipe.yaml:4", "no node uses the data set 'lonely'"),
        ("nodes.limited.output", "warning"): ("pipe.yaml:11", "neither in the catalog nor taken by another node"),
        ("nodes.idle", "warning"): ("pipe.yaml:18", "in no pipeline"),
        ("catalog.orders.path", "warning"): ("pipe.yaml:3", "reads 'orders.csv', which no node makes"),
        ("catalog.bare.path", "warning"): ("pipe.yaml:7", "reads 'bare.jsonl', which no node makes"),
    }
    assert problems.keys() == expected.keys()
    for key, (place, text) in expected.items():
        assert (key, problems[key].place) == (key, place)
        assert text in problems[key].text
    assert [one.severity for one in report.problems] == ["error"] * 7 + ["warning"] * 5
    assert not report.ok
    data = report.to_dict()
    assert (len(data["errors"]), len(data["warnings"])) == (7, 5)
    assert data["errors"][0].keys() == {"severity", "text", "place", "key"}
    first = report.errors[0]
    assert str(first) == f"{first.place}, {first.key}: error: {first.text}"


def test_inputs_that_no_node_of_the_pipeline_gives_are_all_told(check: Check) -> None:
    report = check(
        """
        nodes:
          give: {function: checked_steps.give, output: rows}
          one: {function: checked_steps.take, input: rows}
          two: {function: checked_steps.take, input: rows}
        pipelines:
          whole: [give, one, two]
          part: [one, two]
        """
    )
    assert told(report) == [
        ("error", "pipe.yaml:3", "nodes.one.input"),
        ("error", "pipe.yaml:4", "nodes.two.input"),
    ]
    assert "neither in the catalog nor an output of another node" in report.errors[0].text


def test_circles_and_outputs_of_two_nodes_are_errors_of_the_pipeline(check: Check) -> None:
    report = check(
        """
        nodes:
          a: {function: checked_steps.take, dependencies: b}
          b: {function: checked_steps.take, dependencies: a}
          c: {function: checked_steps.give, output: rows}
          d: {function: checked_steps.give, output: rows}
        pipelines:
          circle: {nodes: [a, b]}
          twice: {nodes: [c, d]}
        """
    )
    assert [(one.place, one.key) for one in report.errors] == [
        ("pipe.yaml:7", "pipelines.circle.nodes"),
        ("pipe.yaml:8", "pipelines.twice.nodes"),
    ]
    assert "a -> b -> a" in report.errors[0].text or "b -> a -> b" in report.errors[0].text


def test_dates_that_a_run_must_say_are_a_warning(check: Check, folder: Path) -> None:
    (folder / "orders.csv").touch()
    text = """
        catalog: {orders: {path: orders.csv}}
        nodes: {dated: {function: checked_steps.dated, input: orders}}
        pipelines: {daily: {nodes: [dated]%s}}
        """
    (warning,) = check(text % "").problems
    assert (warning.severity, warning.key) == ("warning", "pipelines.daily")
    assert "needs dates (node 'dated' takes them)" in warning.text
    assert check(text % ", start_date: 2025-01-01, end_date: 2025-01-02").problems == ()


def test_reversed_dates_of_a_pipeline_and_its_project_are_an_error(check: Check) -> None:
    report = check(
        """
        project: {end_date: 2025-01-31}
        nodes: {give: {function: checked_steps.give}}
        pipelines: {daily: {nodes: [give], start_date: 2025-02-01}}
        """
    )
    (error,) = report.errors
    assert "before it starts" in error.text
    assert error.key == "pipelines.daily.end_date"


@pytest.mark.parametrize(
    ("executor", "keys"),
    [("sync", {"timeout", "resources"}), ("threads", {"resources"}), ("dask", {"timeout"}), ("ray", set())],
)
def test_what_an_executor_cannot_keep_is_found_without_it(check: Check, executor: str, keys: set[str]) -> None:
    if executor != "sync":
        pytest.importorskip(f"pipe_{executor}")
    text = """
        project: {executor: %s}
        nodes: {give: {function: checked_steps.give, timeout: 5, resources: {GPU: 1}}}
        pipelines: {daily: [give]}
        """
    before = set(sys.modules)
    report = check(text % executor)
    assert {one.key.rpartition(".")[2] for one in report.errors} == keys
    assert {one.key.rpartition(".")[2] for one in check(text % "sync", executor=executor).errors} == keys
    assert not {"dask", "distributed", "ray"} & (set(sys.modules) - before)


def test_a_timeout_of_the_pipeline_is_told_there_and_that_of_its_own_executor_counts(check: Check) -> None:
    pytest.importorskip("pipe_threads")
    report = check(
        """
        nodes:
          here: {function: checked_steps.give}
          there: {function: checked_steps.give, executor: threads}
        pipelines:
          daily: {nodes: [here, there], timeout: 5}
        """
    )
    (error,) = report.errors
    assert (error.place, error.key) == ("pipe.yaml:5", "pipelines.daily.timeout")
    assert "'here'" in error.text


def test_an_executor_that_is_not_installed_names_the_command(check: Check) -> None:
    text = """
        nodes: {give: {function: checked_steps.give}}
        pipelines: {daily: [give]}
        """
    (error,) = check(text, executor="rai").errors
    assert "No executor named 'rai'" in error.text
    assert check(text, executor="sync").ok


def test_libraries_that_are_not_installed_name_the_command(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    gone = {"pandas"}
    monkeypatch.setattr(
        "pipe_core.project.validation.catalog_checks.find_spec",
        lambda name: None if name in gone else real("json"),
    )
    text = """
        catalog: {orders: {path: orders.csv, as: pandas}}
        nodes: {take: {function: checked_steps.take, input: orders}}
        pipelines: {daily: [take]}
        """
    (error,) = check(text).errors
    assert (error.key, error.place) == ("catalog.orders.as", "pipe.yaml:1")
    assert error.text.endswith("pip install pandas")
    gone.clear()
    assert check(text).ok


def test_a_read_without_an_order_is_a_warning_and_two_that_append_are_none(check: Check) -> None:
    report = check(
        """
        catalog:
          log: {path: log.jsonl, mode: append}
          same: {path: log.jsonl, mode: append}
          read: {path: log.jsonl}
        nodes:
          one: {function: checked_steps.give, output: log}
          two: {function: checked_steps.give, output: same}
          three: {function: checked_steps.take, input: read, dependencies: two}
        pipelines:
          daily: [one, two, three]
        """
    )
    assert report.ok
    assert told(report) == [("warning", "pipe.yaml:8", "nodes.three.input")]
    assert "Node 'three' reads path log.jsonl, which node 'one' writes" in report.warnings[0].text


def test_streams_are_looked_at_with_what_they_go_on_from(check: Check, folder: Path) -> None:
    (folder / "events.jsonl").touch()
    text = """
        catalog:
          events: {path: events.jsonl, mode: append}
          same: {path: events.jsonl, format: csv}
          sheet: {path: sheet.csv}
          out: {path: out.jsonl, mode: append}
        nodes:
          first: {function: checked_steps.give, output: %s}
          live: {function: checked_steps.take, input: %s, output: out, streaming: true, dependencies: first}
        pipelines:
          live: {nodes: [first, live], type: %s, inputs: [events, same, sheet]}
        """
    assert check(text % ("events", "events", "hybrid")).problems == ()
    assert check(text % ("sheet", "events", "hybrid")).problems == ()  # it is only done before
    (warning,) = check(text % ("sheet", "events", "batch")).problems
    assert (warning.key, warning.place) == ("pipelines.live.type", "pipe.yaml:10")
    assert "write type: hybrid" in warning.text
    (error,) = check(text % ("events", "same", "hybrid")).errors
    assert "Incompatible formats: batch node 'first' writes jsonl" in error.text
    policy = {"compatible": {"jsonl": ["csv"]}}
    assert check(text % ("events", "same", "hybrid"), format_policy=policy).ok


def test_what_a_stream_loads_beside_what_it_follows_may_be_of_any_format(check: Check, folder: Path) -> None:
    for name in ("log.jsonl", "prices.json"):
        (folder / name).touch()
    text = """
        catalog:
          log: {path: log.jsonl}
          prices: {path: prices.json}
          out: {path: out.jsonl, mode: append}
        nodes:
          live: {function: checked_steps.many, input: %s, output: rows, streaming: true}
          more: {function: checked_steps.many, input: [prices, rows], output: out, streaming: true}
        pipelines:
          live: {nodes: [live, more], type: streaming}
        """
    assert check(text % "[log, prices]").problems == ()
    (error,) = check(text % "[prices, log]").errors
    assert "Streaming node 'live' has the input 'prices' of the format 'json'" in error.text


def test_a_project_of_python_has_its_schemas_looked_at(tmp_path: Path) -> None:
    class Plain:
        pass

    def give() -> list[int]:
        return []

    project = Project.load(
        {
            "nodes": {"give": {"function": give, "output": "rows", "contracts": {"outputs": {"rows": Plain}}}},
            "pipelines": {"daily": ["give"]},
        },
        folder=tmp_path,
    )
    (error,) = validate_project(project).errors
    assert "pydantic cannot make a schema of Plain" in error.text
    assert error.key == "nodes.give.contracts.outputs.rows"


def test_what_a_pipeline_says_of_its_nodes_is_looked_at(check: Check) -> None:
    report = check(
        """
        nodes:
          give: {function: checked_steps.give, output: rows}
          take: {function: checked_steps.take, input: rows}
        pipelines:
          daily:
            - give
            - take: {contracts: {inputs: {row: checked_steps.Order}}}
        """
    )
    (error,) = report.errors
    assert "contract of the input 'row', and no such input. Did you mean 'rows'" in error.text


def test_a_stream_that_has_nothing_to_follow_is_an_error(check: Check, folder: Path) -> None:
    (folder / "log.jsonl").touch()
    text = """
        catalog:
          log: {path: log.jsonl}
          other: {path: other.jsonl}
          out: {path: out.jsonl, mode: %s}
        nodes:
          give: {function: checked_steps.give}
          live: {function: checked_steps.take, %s, output: out, streaming: true}
        pipelines:
          live: {nodes: [give, live], type: hybrid, inputs: [log, other]}
        """
    for mode, said, told in (
        ("append", "dependencies: give", "'give', which stores nothing"),
        ("overwrite", "input: log", "its output 'out' has the mode 'overwrite'"),
    ):
        (error,) = check(text % (mode, said)).errors
        assert (error.place, error.key) == ("pipe.yaml:9", "pipelines.live.nodes")
        assert told in error.text
    assert check(text % ("append", "input: log")).problems == ()


def test_what_is_read_and_is_not_there_is_a_warning_at_its_path(
    check: Check, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "nowhere")
    (folder / "there.csv").touch()
    report = check(
        """
        catalog:
          there: {path: there.csv}
          many: {path: "th*.csv"}
          made: {path: out/made.jsonl}
          days: {path: out, format: jsonl, partition_by: [day]}
          far: {path: "https://example.org/far.csv"}
          secret: {path: "${secret:PLACE}/x.csv"}
          gone:
            format: csv
            path: data/gone.csv
          none: {path: "data/*.csv"}
        nodes:
          give: {function: checked_steps.give, output: made}
          all:
            function: checked_steps.many
            input: [there, many, made, days, far, secret, gone, none, {path: here.csv}, gone]
        pipelines:
          daily: [all, give]
        """
    )
    assert report.ok
    assert told(report) == [
        ("warning", "pipe.yaml:10", "catalog.gone.path"),
        ("warning", "pipe.yaml:11", "catalog.none.path"),
        ("warning", "pipe.yaml:16", "nodes.all.input.8"),
    ]
    assert report.warnings[0].text.startswith("node 'all' reads 'data/gone.csv', which no node makes, and nothing is ")
