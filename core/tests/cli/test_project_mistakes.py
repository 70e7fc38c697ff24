"""What people do wrong first with projects: the message says what happened and what to type next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Pipe = Callable[..., Result]

WINDOW = "--start-date 2025-01-01 --end-date"

MISTAKES: dict[str, tuple[str, int, str]] = {
    "unknown pipeline": ("run dayly", 2, "There is no pipeline 'dayly' in the project dated. Did you mean 'daily'?"),
    "a node in place of a pipeline": (
        "run total",
        2,
        "is a node, and no pipeline. Run it with: pipe run daily --node total",
    ),
    "unknown node": ("run daily --node totl", 2, "There is no node 'totl'. Did you mean 'total'?"),
    "unknown node to begin from": ("run daily --from nowhere", 2, "There is no node 'nowhere'. Nodes that there are: "),
    "unknown tag": ("run daily --tags sumary", 2, "No node has the tag 'sumary'. Did you mean 'summary'?"),
    "conditions that exclude each other": ("run daily --from total --node keep_paid", 2, "exclude each other"),
    "reversed dates": ("run daily --start-date 2025-02-01 --end-date 2025-01-01", 2, "Are the two dates swapped?"),
    "an end before the file's start": ("run daily --end-date 2024-01-01", 2, "before it starts on 2025-01-01"),
    "no date": ("run daily --start-date soon", 2, "--start-date is 'soon', which is no date. Write it as 2025-01-31"),
    "a date that the calendar has not": (f"run daily {WINDOW} 2025-02-30", 2, "--end-date is '2025-02-30'"),
    "a date and a time": (f"run daily {WINDOW} 2025-01-02T12:00", 2, "mixes a date and a time"),
    "unknown environment": ("run daily --env tset", 2, "There is no environment 'tset'. Did you mean 'test'?"),
    "unknown executor": ("run daily -x rey", 2, "No executor named 'rey'"),
    "option of an executor": ("run daily -x sync://?workers=2", 2, "workers"),
    "unknown executor to check": ("check -x rey", 2, "No executor named 'rey'"),
    "no number of workers": ("run daily --max-workers 0", 2, "--max-workers"),
    "a key that nothing has": (
        "run daily --set nodes.total.retires=3",
        2,
        "--set nodes.total.retires: there is no such",
    ),
    "a value that cannot be": ("run daily --set nodes.total.retries=often", 2, "--set nodes.total.retries: "),
    "a setting without a value": ("check --set nodes", 2, "--set 'nodes' is not KEY=VALUE. For example: --set nodes."),
    "a setting twice": ("list --set project.name=a --set project.name=b", 2, "--set says 'project.name' twice"),
    "parameters that are no JSON": ("run daily --hyperparams {depth:6}", 2, "is no JSON"),
    "parameters without a value": ("run daily --hyperparams depth", 2, "--hyperparams 'depth' is not KEY=VALUE"),
    "a switch of record pipes": ("run daily --mode append", 2, "--mode is for files of record pipes"),
    "a report": (
        "run daily --report r.html",
        2,
        "a project. Its runs are kept: 'pipe runs' lists them, 'pipe runs RUN' ",
    ),
    "a switch of pipelines": (
        "run orders.yaml --start-date 2025-01-01",
        2,
        "--start-date is for pipelines of projects",
    ),
    "a node of a file": ("run orders.yaml --node total", 2, "--node is for pipelines of projects"),
    "an environment of a file": ("run orders.yaml --env test", 2, "--env is for pipelines of projects"),
    "the project's file": ("run pipe.yaml", 3, "Run one of its pipelines by its name: 'pipe list' shows them"),
    "no project there": ("list --project nowhere", 2, "There is no file or folder 'nowhere'"),
    "a file that is no project": ("list --project orders.yaml", 3, "Run it with: pipe run FILE"),
    "unknown run": ("resume 2025", 2, "There is no run '2025'"),
    "unknown run to show": ("runs 2025", 2, "There are no runs yet"),
    "a window without an end": (
        "backfill daily --start 2025-01-01 --set project.end_date=null",
        2,
        "--end-date is missing",
    ),
    "no length of time": ("backfill daily --every day", 2, "--every 'day' is no length of time"),
    "hours of days": ("backfill daily --every 1h", 2, "say the start as 2025-01-01T00:00"),
    "unknown pipeline to fill": ("backfill dayly", 2, "Did you mean 'daily'?"),
    "unknown pipeline to draw": ("graph dayly", 2, "Did you mean 'daily'?"),
    "a project around a file of functions": ("graph steps.py:total --env test", 2, "'steps.py:total' is in no project"),
    "unknown thing": ("info totls", 2, "has no pipeline, node or data set 'totls'. Did you mean 'totals'?"),
    "a node without what it needs": (
        "run daily --node find_best --set nodes.total.output=null --set nodes.find_best.dependencies=total "
        "--set nodes.find_best.input=null",
        2,
        "Let 'total' run too",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_reads_well(name: str, pipe: Pipe, dated: Path) -> None:
    words, code, text = MISTAKES[name]
    (dated / "orders.yaml").write_text("pipe:\n  source: data/orders.csv\n  schema: steps.py:Order\n")

    result = pipe(*words.split())

    assert text in result.stderr
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert len([line for line in result.stderr.splitlines() if not line.startswith("Usage")]) == 1
    assert not (dated / "out").exists()
    assert not (dated / "runs").exists()


BROKEN: dict[str, tuple[str, str, str]] = {
    "a key": ("retries: 2 ", "retris: 2 ", "Did you mean 'retries'?"),
    "a function": ("steps.total", "steps.totl", "there is no function 'totl' in"),
    "a module": ("steps.total", "stesp.total", "Did you mean 'steps'?"),
    "a data set": ("input: paid", "input: piad", "there is no data set 'piad'"),
    "a node": ("find_best]", "find_beast]", "there is no node 'find_beast'. Did you mean 'find_best'?"),
    "a variable": ("${out}/paid", "${uot}/paid", "uot"),
    "an executor": ("retries: 2 ", "executor: rey # ", "No executor named 'rey'"),
    "dates of the file": ("start_date: 2025-01-01", "start_date: 2026-01-01", "before it starts on 2026-01-01"),
    "no YAML": ("nodes:\n", "nodes: [\n", "in brackets that is not closed"),
    "a circle": ("input: orders\n", "input: totals\n", "Nodes need each other in a circle"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_file_is_configuration(name: str, pipe: Pipe, dated: Path) -> None:
    right, wrong, text = BROKEN[name]
    file = dated / "pipe.yaml"
    assert right in file.read_text()
    file.write_text(file.read_text().replace(right, wrong, 1))

    ran, checked = pipe("run", "daily"), pipe("check")

    assert (ran.exit_code, checked.exit_code) == (3, 3)
    assert text in ran.stderr
    assert text in checked.stdout
    assert "pipe.yaml" in checked.stdout
    assert "Traceback" not in ran.output + checked.output
    assert not (dated / "runs").exists()


WIRINGS: dict[str, tuple[str, str, str]] = {
    "a circle": ("input: orders\n", "input: totals\n", "Nodes need each other in a circle"),
    "one output of two nodes": ("output: totals", "output: sold", "both have the output 'sold'"),
    "too many inputs": ("input: sold", "input: [sold, orders]", "takes 1 input, and it is given 2: "),
    "a contract of no input": ("retries: 2 ", "contracts: {inputs: {day: 'steps.py:Order'}} #", "no such input"),
    "a giver that is left out": (
        "nodes: [keep_paid, ",
        "nodes: [",
        "Node 'total' takes 'sold', which is neither in the catalog nor an output of another node",
    ),
}


@pytest.mark.parametrize("words", ["run daily", "run daily --dry-run", "backfill daily"])
@pytest.mark.parametrize("name", WIRINGS)
def test_a_wrong_wiring_is_told_with_the_line_that_check_tells(name: str, words: str, pipe: Pipe, dated: Path) -> None:
    right, wrong, text = WIRINGS[name]
    file = dated / "pipe.yaml"
    text_before = file.read_text().replace("input: paid", "input: sold").replace("output: paid", "output: sold")
    assert right in text_before
    file.write_text(text_before.replace(right, wrong, 1))

    ran, checked = pipe(*words.split()), pipe("check")

    (line,) = (one for one in checked.stdout.splitlines() if text in one and ": warning: " not in one)
    place = ":".join(line.split(":")[:2])
    assert ran.stderr.startswith(f"Error: {place}: ")
    assert text in ran.stderr
    assert ran.exit_code == 3


@pytest.mark.parametrize("key", ["timeout=5", 'resources={"GPU": 1}'])
@pytest.mark.parametrize("words", ["run daily", "run daily --dry-run", "backfill daily"])
def test_what_no_worker_can_do_is_told_before_anything_runs(words: str, key: str, pipe: Pipe, dated: Path) -> None:
    result = pipe(*words.split(), "--set", f"nodes.total.{key}")

    assert result.stderr.startswith("Error: The node 'total' ")
    assert "the calling thread" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert (result.exit_code, result.stdout) == (3, "")
    assert pipe(*words.split(), "--set", f"nodes.total.{key}", "-x", "sync").exit_code == 2
    assert not (dated / "runs").exists()


@pytest.mark.parametrize("words", ["run daily", "run daily --dry-run", "backfill daily", "check"])
def test_a_wrong_setting_is_configuration(words: str, pipe: Pipe, dated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE_EXECUTOR", "rey")

    result = pipe(*words.split())

    assert result.exit_code == 3
    assert "PIPE_EXECUTOR" in result.stderr
    assert not (dated / "runs").exists()


def test_what_is_wrong_with_data_is_told_once(pipe: Pipe, shop: Path) -> None:
    orders = shop / "data" / "orders.csv"
    text = orders.read_text()
    orders.write_text(text.replace("true", "treu", 1))
    wrong = pipe("run", "daily", "--no-progress")
    orders.unlink()
    missing = pipe("run", "daily", "--no-progress")

    (told,) = [line for line in wrong.stderr.splitlines() if "treu" in line]
    assert "The data set 'orders': the record at position 0 is no Order: the field 'paid' is 'treu': " in told
    assert "caused by" not in wrong.stderr
    assert missing.stderr.count("Is the path right?") == 1
    assert missing.stderr.count("orders.csv") == 1  # what the system says has nothing new
    assert "pipe.yaml:20: catalog.orders.path: warning: node 'keep_paid' reads " in pipe("check").stdout
    assert (wrong.exit_code, missing.exit_code) == (4, 4)


def test_a_date_that_cannot_be_read_is_told(pipe: Pipe, dated: Path) -> None:
    orders = dated / "data" / "orders.csv"
    orders.write_text(orders.read_text().replace("2025-01-02", "2025-01-0x", 1))
    refused = pipe("run", "daily", "--no-progress")
    file = dated / "pipe.yaml"
    (dated / "taking.py").write_text("def take(orders):\n    return len(orders)\n")
    nodes = "nodes: {take: {function: taking.take, input: orders}}\npipelines: {daily: [take]}\n"
    catalog = "catalog: {orders: {path: data/orders.csv, date_column: day}}\n"
    file.write_text("project: {start_date: 2025-01-01, end_date: 2025-01-03}\n" + catalog + nodes)
    warned = pipe("run", "daily", "--no-progress")

    assert refused.exit_code == 4
    assert "position 3 is no Order: the field 'day' is '2025-01-0x'" in refused.stderr
    assert warned.exit_code == 0
    assert warned.stderr.count("is no date in 1 of the records, which are in no window") == 1


def test_a_node_that_was_left_out_of_the_pipeline_is_told_where_it_is_missed(pipe: Pipe, shop: Path) -> None:
    file = shop / "pipe.yaml"
    file.write_text(file.read_text().replace("[keep_paid, total, ", "[keep_paid, "))

    checked = pipe("check")

    assert "reads 'out/totals.jsonl', which only node 'total' makes, in no pipeline, and nothing is" in checked.stdout
    assert "'total' is a node, and in no pipeline." in pipe("run", "total").stderr
