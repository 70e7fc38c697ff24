"""What is shown of a project: its pipelines, what is in it, what is wrong with it, what a run would do, its graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]


def test_pipelines_are_listed(pipe: Pipe, shop: Path) -> None:
    shown = pipe("list")
    told = json.loads(pipe("list", "--json").stdout)

    assert shown.stdout.splitlines()[1].split(maxsplit=2) == [
        "daily",
        "batch",
        "keep_paid, total, find_best  what was sold",
    ]
    assert told == [{"name": "daily", "type": "batch", "nodes": ["keep_paid", "total", "find_best"]}]


def test_a_project_without_pipelines_says_where_they_would_be(pipe: Pipe, folder: Path) -> None:
    (folder / "pipe.yaml").write_text("project: {name: bare}\n")

    assert "say them under pipelines: in pipe.yaml" in pipe("list").stdout
    assert json.loads(pipe("list", "--json").stdout) == []


def test_the_project_itself_is_shown(pipe: Pipe, shop: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    told = json.loads(pipe("info", "--json", "--project", "shop", "--env", "test").stdout)

    assert told["project"] == "shop"
    assert told["file"] == str(shop / "pipe.yaml")
    assert (told["env"], told["environments"]) == ("test", ["test"])
    assert (told["executor"], told["pipelines"]) == ("sync", ["daily"])
    assert "pipelines:     daily" in pipe("info", "--project", "shop/pipe.yaml").stdout


def test_one_thing_is_shown_with_its_place(pipe: Pipe, shop: Path) -> None:
    node = json.loads(pipe("info", "total", "--json").stdout)
    data = json.loads(pipe("info", "paid", "--json", "--env", "test").stdout)
    pipeline = pipe("info", "daily").stdout

    lines = (shop / "pipe.yaml").read_text().splitlines()
    assert lines[int(node["place"].removeprefix("pipe.yaml:")) - 1].strip() == "total:"
    assert (node["function"], node["does"]) == ("steps.total", "What each product has brought in.")
    assert (shop / "steps.py").read_text().splitlines()[int(node["code"].removeprefix("steps.py:")) - 1][
        :9
    ] == "def total"
    assert (node["input"], node["output"], node["pipelines"], node["retries"]) == (["paid"], ["totals"], ["daily"], 2)
    assert (data["path"], data["exists"]) == ("out/test/paid.jsonl", "not yet")
    assert (data["made_by"], data["taken_by"], data["schema"]) == (["keep_paid"], ["total"], "steps.Order")
    assert "description:  what was sold" in pipeline


def test_a_name_that_is_several_things_is_asked_back(pipe: Pipe, shop: Path) -> None:
    settings = ("--set", 'pipelines.total=["total"]')

    assert "a pipeline and a node. Write pipeline:total" in pipe("info", "total", *settings).stderr
    assert pipe("info", "node:total", *settings).stdout.startswith("node:")


def test_secrets_are_shown_nowhere(pipe: Pipe, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "tiger")
    text = (shop / "pipe.yaml").read_text()
    (shop / "pipe.yaml").write_text(
        text.replace("    path: data/orders.csv\n", '    path: "data/${secret:SHOP_PASSWORD}.csv"\n')
    )

    shown = [pipe("info", "orders").output, pipe("run", "daily", "--dry-run").output, pipe("graph", "daily").output]

    assert "tiger" not in "".join(shown)
    assert "${secret:SHOP_PASSWORD}" in shown[0]


# --- check ---

WRONG = """
project: {name: shop, executer: sync}
catalog:
  orders: {path: data/orders.csv}
nodes:
  clean: {function: steps.claen, input: [ordrs], output: paid}
  total: {function: steps.total, input: paid, retries: many}
pipelines:
  daily: {nodes: [clean, totals]}
"""


def test_everything_that_is_wrong_is_told_with_its_line(pipe: Pipe, shop: Path) -> None:
    (shop / "pipe.yaml").write_text(WRONG)

    shown = pipe("check")
    told = pipe("check", "--json")

    assert (shown.exit_code, told.exit_code) == (exits.CONFIGURATION, exits.CONFIGURATION)
    problems = json.loads(told.stdout)
    assert (problems["project"], problems["ok"]) == (None, False)
    found = {(one["line"], one["key"]) for one in problems["problems"] if one["severity"] == "error"}
    assert found >= {
        (2, "project.executer"),
        (6, "nodes.clean.input[0]"),
        (7, "nodes.total.retries"),
        (9, "pipelines.daily.nodes[1]"),
    }
    assert {one["file"] for one in problems["problems"]} == {"pipe.yaml"}
    assert "\npipe.yaml:7: nodes.total.retries: " in shown.stdout
    assert "Did you mean 'executor'?" in shown.stdout
    assert shown.stderr == told.stderr == ""


def test_what_only_a_pipeline_as_a_whole_has_wrong_is_found(pipe: Pipe, shop: Path) -> None:
    (shop / "steps.py").write_text("def one():\n    return 1\n\n\ndef two(a, b):\n    return a\n")
    (shop / "pipe.yaml").write_text(
        "nodes:\n  one: steps.one\n  two: {function: steps.two, dependencies: one}\npipelines:\n  daily: [one, two]\n"
    )

    result = pipe("check")

    assert result.exit_code == exits.CONFIGURATION
    assert "takes 2 inputs, and it is given 1: node 'one'" in result.stdout
    assert "pipe.yaml:" in result.stdout


def test_check_is_content_with_what_needs_dates(pipe: Pipe, dated: Path) -> None:
    text = (dated / "pipe.yaml").read_text().replace("  start_date: 2025", "  #").replace("  end_date: 2025", "  #")
    (dated / "pipe.yaml").write_text(text)

    assert pipe("check").exit_code == exits.OK
    assert "give --start-date and --end-date" in pipe("run", "daily").stderr
    told = json.loads(pipe("check", "--json").stdout)
    assert (told["project"], told["ok"]) == ("dated", True)
    (warning,) = told["problems"]
    assert (warning["severity"], warning["key"]) == ("warning", "pipelines.daily")
    assert f"pipe.yaml:{warning['line']}: pipelines.daily: warning: " in pipe("check").stdout


# --- the plan ---


def test_a_dry_run_shows_the_real_plan_and_runs_nothing(pipe: Pipe, dated: Path) -> None:
    words = ("run", "daily", "--dry-run", "--from", "total", "--set", "nodes.total.retries=5", "-x", "sync")

    shown = pipe(*words)
    told = json.loads(pipe(*words, "--json", "--max-workers", "3").stdout)

    assert shown.exit_code == exits.OK
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0][:4] == ["daily", "of", "dated,", "2025-01-01..2025-01-03:"]
    assert lines[2] == ["total", "paid", "totals", "sync", "retries=5"]
    assert lines[3] == ["find_best", "totals", "best", "sync", "takes", "dates"]
    assert "left out: keep_paid" in shown.stdout
    assert (told["start_date"], told["end_date"], told["max_workers"]) == ("2025-01-01", "2025-01-03", 3)
    total, best = told["nodes"]
    assert (total["takes"], total["stores"], total["needs"]) == ([{"dataset": "paid"}], ["totals"], [])
    assert (best["takes"], best["needs"]) == ([{"node": "total", "output": "totals"}], ["total"])
    assert (total["dates"], best["dates"]) == (False, True)
    assert told["left_out"] == ["keep_paid"]
    assert not (dated / "out").exists()
    assert not (dated / "runs").exists()


def test_a_dry_run_shows_what_machine_learning_is_told(pipe: Pipe, shop: Path) -> None:
    words = ("--hyperparams", '{"depth": 3}', "--hyperparams", "rate=0.5", "--model-version", "7")

    told = json.loads(pipe("run", "daily", "--dry-run", "--json", "--set", "pipelines.daily.type=ml", *words).stdout)

    assert told["nodes"][0]["hyperparams"] == {"depth": 3, "rate": 0.5}
    assert told["nodes"][0]["model_version"] == "7"


def test_the_latest_version_of_a_model_is_looked_up_in_the_project(pipe: Pipe, shop: Path) -> None:
    from pipe_core.project.model_registry import FileModelRegistry

    words = ("run", "daily", "--dry-run", "--json", "--model-version", "latest", "--set", "pipelines.daily.type=ml")
    named = (*words, "--set", "pipelines.daily.model_name=taste")
    unknown = pipe(*named)
    FileModelRegistry(shop / "models").register("taste", "1.4", b"")

    assert (unknown.exit_code, "taste" in unknown.stderr) == (exits.USAGE, True)
    assert "no 'model_name'" in pipe(*words).stderr
    assert json.loads(pipe(*named).stdout)["nodes"][0]["model_version"] == "1.4"


def test_a_dry_run_tells_of_streams(pipe: Pipe, shop: Path) -> None:
    words = (
        "run",
        "daily",
        "--dry-run",
        "--set",
        "nodes.keep_paid.streaming=true",
        "--set",
        "catalog.paid.mode=append",
    )
    changed = pipe(*words, "--node", "keep_paid", "--set", "pipelines.daily.type=streaming")

    assert changed.stdout.splitlines()[2].split() == ["keep_paid", "orders", "paid", "sync", "streams"], changed.output


# --- the graph ---


def test_a_pipeline_of_a_project_is_drawn(pipe: Pipe, shop: Path) -> None:
    text = pipe("graph", "daily")
    told = json.loads(pipe("graph", "daily", "--json").stdout)

    assert text.stdout.splitlines() == [
        "daily: 3 nodes",
        "  input orders",
        "  keep_paid(orders) -> paid",
        "  total(keep_paid.paid) -> totals",
        "  find_best(total.totals) -> best",
    ]
    assert told["edges"][0] == {"from": "keep_paid", "to": "total", "name": "paid"}
    for name, begins in (("a.svg", "<svg"), ("a.mmd", "flowchart")):
        assert pipe("graph", "daily", "-o", name, "--style", "dark").stdout == f"Wrote {name}\n"
        drawn = (shop / name).read_text(encoding="utf-8")
        assert begins in drawn[:2000]
        assert all(word in drawn for word in ("orders", "keep_paid", "totals", "best"))


def test_its_plan_knows_executors_and_needs_no_inputs(pipe: Pipe, shop: Path) -> None:
    told = json.loads(pipe("graph", "daily", "--plan", "--json").stdout)

    assert [[one["node"] for one in level] for level in told["levels"]] == [["keep_paid"], ["total"], ["find_best"]]
    assert told["missing"] == {}
    assert told["levels"][1][0]["policies"] == {"retries": 2}


def test_odd_names_results_without_names_and_what_is_made_anew_are_drawn(pipe: Pipe, shop: Path) -> None:
    (shop / "steps.py").write_text("def one(a):\n    return a\n\n\ndef two(a):\n    return a\n")
    (shop / "pipe.yaml").write_text(
        "catalog: {state-1: s.jsonl, class: c.jsonl}\n"
        "nodes:\n"
        "  first node: {function: steps.one, input: state-1, output: [state-1, other]}\n"
        "  second: {function: steps.two, dependencies: third}\n"
        "  third: {function: steps.one, input: class}\n"
        "  last: {function: steps.one, input: other, dependencies: second}\n"
        "pipelines:\n  daily: [first node, second, third, last]\n"
    )

    text = pipe("graph", "daily")

    assert text.exit_code == exits.OK, text.stderr
    assert "first node(state_1_before) -> state_1, other" in text.stdout
    assert "third(_class)" in text.stdout
    assert "second(third)" in text.stdout
    assert "last(first node.other, second)" in text.stdout
