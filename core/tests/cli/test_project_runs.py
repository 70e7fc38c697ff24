"""Running the pipelines of a project: what is said of it, how failures read, resuming, backfills."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]

STEPS = """
from pathlib import Path

def first():
    return [{"n": 1}, {"n": 2}]

def second(rows):
    if Path("bad").exists():
        try:
            {}["price"]
        except KeyError as error:
            raise ValueError("no price for order 7") from error
    return [{"n": 2 * row["n"]} for row in rows]

def aside(rows):
    return [*rows]

def third(rows):
    return rows

def leaves():
    raise SystemExit(0)

def daily(*, start_date, end_date):
    if Path(f"bad-{start_date}").exists():
        raise ValueError(f"{start_date} is bad")
    with open("days", "a") as file:
        file.write(f"{start_date}..{end_date}\\n")

from pydantic import BaseModel, Field

class Small(BaseModel):
    n: int = Field(lt=2)
"""
FILE = """
project: {name: numbers}
catalog: {one: out/one.jsonl, two: out/two.jsonl, three: out/three.jsonl}
nodes:
  first: {function: steps.first, output: one}
  second: {function: steps.second, input: one, output: two, retries: {attempts: 2, delay: 0}, tags: [slow]}
  aside: {function: steps.aside, input: one}
  third: {function: steps.third, input: two, output: three, tags: [last]}
  leaves: steps.leaves
  daily: steps.daily
pipelines:
  all: {nodes: [first, second, aside, third], on_failure: continue_independent}
  leaving: [leaves]
  dated: [daily]
environments:
  test: {catalog: {three: {path: out/test.jsonl}}}
"""


@pytest.fixture
def numbers(folder: Path) -> Path:
    """A project that fails where there is a file `bad`."""
    (folder / "steps.py").write_text(STEPS)
    (folder / "pipe.yaml").write_text(FILE)
    return folder


def data(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_run_says_what_it_does_on_one_stream_and_how_it_ended_on_the_other(pipe: Pipe, numbers: Path) -> None:
    result = pipe("run", "all")

    assert result.exit_code == exits.OK
    assert "second: started\n" in result.stderr
    assert ", stored two\n" in result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.startswith("all: completed in ")
    assert rows[0].split() == ["node", "status", "attempts", "seconds", "stored"]
    assert {row.split()[0]: row.split()[1] for row in rows[1:]} == dict.fromkeys(
        ("first", "second", "aside", "third"), "completed"
    )
    assert pipe("run", "all", "--no-progress").stderr == ""


def test_the_result_as_data_is_alone_on_standard_output(pipe: Pipe, numbers: Path) -> None:
    pipe("run", "all")
    result = pipe("run", "all", "--json", "--tags", "slow,last", "--tags", "last")

    assert (result.exit_code, result.stderr) == (exits.OK, "")
    told = data(result)
    assert (told["pipeline"], told["status"], told["start_date"]) == ("all", "completed", None)
    assert list(told["nodes"]) == ["second", "third"]


def test_what_a_contract_discards_is_told(pipe: Pipe, numbers: Path) -> None:
    contract = '{"outputs": {"one": {"schema": "steps.Small", "policy": "discard_row"}}}'

    result = pipe("run", "all", "--set", f"nodes.first.contracts={contract}")

    assert result.exit_code == exits.OK, result.stderr
    assert "node 'first', by its contract for the output 'one': 1 of 2 records were discarded" in result.stdout


def test_nodes_are_chosen_by_where_they_are(pipe: Pipe, numbers: Path) -> None:
    def ran(*words: str) -> set[str]:
        return set(data(pipe("run", "all", "--json", *words))["nodes"])

    assert ran("--to", "second") == {"first", "second"}
    assert ran("--from", "second") == {"second", "third"}
    assert ran("--node", "first,aside") == {"first", "aside"}
    assert ran("--node", "first", "--node", "third") == {"first", "third"}


def test_what_is_not_kept_leaves_no_trace(pipe: Pipe, numbers: Path) -> None:
    assert data(pipe("run", "all", "--no-journal", "--json"))["run"] == ""
    assert not (numbers / "runs").exists()
    assert data(pipe("runs", "--json")) == []
    assert "yet" in pipe("runs").stdout


def test_a_failure_is_told_with_its_cause_its_line_and_the_next_step(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad").touch()

    result = pipe("run", "all")

    assert result.exit_code == exits.RUN_FAILED
    assert "second: failed after" in result.stderr
    assert "it is tried again" in result.stderr
    (run,) = data(pipe("runs", "--json"))
    assert result.stderr.splitlines()[-5:] == [
        "Error: Node 'second' has failed: ValueError: no price for order 7",
        "  caused by KeyError: 'price'",
        '  at steps.py, line 12, in second: raise ValueError("no price for order 7") from error',
        "Not run because of that: third",
        f"Correct it and go on with: pipe resume {run['run']}",
    ]
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[2:]}
    assert rows["second"][:2] == ["failed", "2"]
    assert (rows["aside"][0], rows["third"][0]) == ("completed", "skipped")
    assert "Traceback" not in result.output
    assert "Traceback (most recent call last)" in pipe("run", "all", "--traceback").stderr


@pytest.mark.skipif(find_spec("pipe_loky") is None, reason="pipe-loky is not installed")
def test_a_failure_in_another_process_reads_the_same(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad").touch()
    here = pipe("run", "all", "-x", "sync", "--no-progress").stderr
    there = pipe("run", "all", "-x", "loky", "--no-progress").stderr

    assert len(here.splitlines()) == 5
    assert here.partition("Correct")[0] == there.partition("Correct")[0]


def test_names_of_nodes_are_no_secrets_and_their_parameters_are(pipe: Pipe, numbers: Path) -> None:
    (numbers / "pipe.yaml").write_text("nodes: {authenticate: steps.first}\npipelines: {daily: [authenticate]}\n")

    ran = data(pipe("run", "daily", "--json", "--hyperparams", "api_key=abc"))
    shown = data(pipe("runs", ran["run"], "--json"))

    assert ran["nodes"]["authenticate"]["status"] == shown["nodes"]["authenticate"]["status"] == "completed"
    assert shown["hyperparams"] == {"api_key": "***"}


def test_a_secret_that_was_typed_is_not_repeated(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad").touch()

    failed = pipe("run", "all", "--set", "nodes.third.hyperparams.token=tiger")

    assert failed.stderr.splitlines()[-1].endswith(" --set 'nodes.third.hyperparams.token=***'")
    assert "tiger" not in failed.output


def test_runs_that_an_environment_keeps_elsewhere_are_found_there(pipe: Pipe, numbers: Path) -> None:
    with (numbers / "pipe.yaml").open("a") as file:
        file.write("  far: {project: {runs: far/runs}}\n")
    (numbers / "bad").touch()
    failed = pipe("run", "all", "--env", "far", "--no-progress")
    (numbers / "bad").unlink()

    words = failed.stderr.splitlines()[-1].rpartition("pipe ")[2].split()

    assert data(pipe("runs", "--json")) == []
    assert [row["status"] for row in data(pipe("runs", "--json", "--env", "far"))] == ["failed"]
    assert pipe(*words).exit_code == exits.OK
    assert pipe("resume", "--env", "test").exit_code == exits.USAGE


def test_a_failure_as_data(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad").touch()

    result = pipe("run", "all", "--json")

    assert result.exit_code == exits.RUN_FAILED
    assert data(result)["nodes"]["second"]["error"] == "ValueError: no price for order 7"
    assert result.stderr.startswith("Error: Node 'second' has failed")


def test_a_node_that_leaves_python_does_not_look_like_success(pipe: Pipe, numbers: Path) -> None:
    result = pipe("run", "leaving")

    assert result.exit_code == exits.RUN_FAILED
    assert "was ended by a node, with SystemExit: 0" in result.stderr


def test_the_log_is_shown_when_asked_for_and_handlers_are_as_before(pipe: Pipe, numbers: Path) -> None:
    import logging

    logger = logging.getLogger("pipe_core.project")
    before = logger.handlers[:], logger.level, logging.getLogger().handlers[:]

    once, twice = pipe("run", "all", "-v").stderr, pipe("run", "all", "-vv").stderr

    assert "INFO node 'second' completed in" in once
    assert "begins" not in once
    assert "DEBUG node 'second' begins" in twice
    assert "second: started" not in once
    assert before == (logger.handlers[:], logger.level, logging.getLogger().handlers[:])


# --- past runs ---


def test_past_runs_are_listed_and_shown(pipe: Pipe, numbers: Path) -> None:
    pipe("run", "all")
    (numbers / "bad").touch()
    pipe("run", "all", "--hyperparams", "depth=3")

    rows = data(pipe("runs", "--json"))

    assert [row["status"] for row in rows] == ["completed", "failed"]
    assert [list(row) for row in rows] == 2 * [["run", "pipeline", "status", "started", "ended"]]
    assert [line.split()[2] for line in pipe("runs").stdout.splitlines()[1:]] == ["completed", "failed"]
    one = data(pipe("runs", rows[1]["run"], "--json"))
    assert {key: one[key] for key in rows[1]} == rows[1]
    assert one["hyperparams"] == {"depth": 3}
    assert one["nodes"]["second"] | {"seconds": 0} == {
        "status": "failed",
        "attempts": 2,
        "seconds": 0,
        "error": "ValueError: no price for order 7",
        "outputs": [],
        "contracts": [],
    }
    assert one["nodes"]["third"]["status"] == "skipped"
    text = pipe("runs", rows[1]["run"]).stdout
    assert "ValueError: no price for order 7" in text
    assert f"Go on with: pipe resume {rows[1]['run']}" in text
    assert "Go on" not in pipe("runs", rows[0]["run"]).stdout


def test_a_run_goes_on_where_it_stopped_in_the_environment_that_it_had(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad").touch()
    failed = pipe("run", "all", "--env", "test", "--project", ".", "--set", "nodes.third.description=why not")
    (run,) = data(pipe("runs", "--json"))
    assert failed.stderr.rstrip().endswith(
        f"pipe resume {run['run']} --project . --env test --set 'nodes.third.description=why not'"
    )
    (numbers / "bad").unlink()

    result = pipe("resume", run["run"], "-x", "sync", "--max-workers", "2")

    assert result.exit_code == exits.OK, result.stderr
    rows = {line.split()[0]: line.split()[1:3] for line in result.stdout.splitlines()[2:]}
    assert rows["first"] == ["done", "before"]
    assert rows["third"][0] == "completed"
    assert (numbers / "out" / "test.jsonl").exists()
    assert not (numbers / "out" / "three.jsonl").exists()
    (row,) = data(pipe("runs", "--json"))
    assert row["status"] == "completed"


def test_a_run_whose_settings_have_changed_goes_on_by_force_only(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad").touch()
    pipe("run", "all")
    (numbers / "bad").unlink()
    (numbers / "pipe.yaml").write_text(FILE.replace("one: out/one.jsonl", "one: {path: out/one.jsonl, mode: append}"))
    (run,) = data(pipe("runs", "--json"))

    refused = pipe("resume", run["run"])

    assert refused.exit_code == exits.USAGE
    assert "or add --force to go on" in refused.stderr
    assert pipe("resume", run["run"], "--force").exit_code == exits.OK


def test_the_last_run_need_not_be_named(pipe: Pipe, numbers: Path) -> None:
    none = pipe("resume")
    (numbers / "bad").touch()
    pipe("run", "all")
    (numbers / "bad").unlink()

    done, complete = pipe("resume", "--json"), pipe("resume")

    assert (none.exit_code, "There are no runs in" in none.stderr) == (exits.USAGE, True)
    assert data(done)["status"] == "completed"
    assert complete.exit_code == exits.USAGE
    assert f"The last run, {data(done)['run']}, is complete" in complete.stderr


def test_a_run_that_goes_on_is_not_taken_over(pipe: Pipe, numbers: Path) -> None:
    from pipe_core.runs.folder import RunFolder

    pipe("run", "all")
    (row,) = data(pipe("runs", "--json"))
    _, lease = RunFolder.take_up(numbers / "runs", row["run"])
    try:
        refused = pipe("resume", row["run"])
    finally:
        lease.release()

    assert refused.exit_code == exits.USAGE
    assert "goes on in process" in refused.stderr


# --- backfills ---


def test_a_backfill_has_a_status_for_each_window_and_goes_on_when_repeated(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad-2025-01-02").touch()
    words = ("backfill", "dated", "--start", "2025-01-01", "--end", "2025-01-03")

    failed = pipe(*words)

    assert failed.exit_code == exits.RUN_FAILED
    rows = [line.split() for line in failed.stdout.splitlines()[1:]]
    assert [row[:3] for row in rows] == [
        ["2025-01-01", "2025-01-01", "completed"],
        ["2025-01-02", "2025-01-02", "failed"],
        ["2025-01-03", "2025-01-03", "completed"],
    ]
    assert rows[1][4:] == ["ValueError:", "2025-01-02", "is", "bad"]
    assert "1 of 3 windows failed" in failed.stderr
    assert f"pipe resume {rows[1][3]}" in failed.stderr
    assert "--- 2025-01-02..2025-01-02" in failed.stderr
    (numbers / "bad-2025-01-02").unlink()

    done = pipe(*words, "--json")

    assert (done.exit_code, done.stderr) == (exits.OK, "")
    told = data(done)
    assert [one["status"] for one in told] == ["done before", "completed", "done before"]
    assert [list(one) for one in told] == 3 * [["start", "end", "status", "run", "resumed", "error"]]
    assert (numbers / "days").read_text().splitlines() == [f"2025-01-0{day}..2025-01-0{day}" for day in (1, 3, 2)]


def test_a_backfill_ends_with_the_first_failure_when_asked_to_and_runs_again(pipe: Pipe, numbers: Path) -> None:
    (numbers / "bad-2025-01-01").touch()
    words = ("backfill", "dated", "--start", "2025-01-01", "--end", "2025-01-14", "--every", "1w", "--json")

    stopped = pipe(*words, "--stop-at-failure")
    (numbers / "bad-2025-01-01").unlink()
    again = [data(pipe(*words, "--again")), data(pipe(*words, "--again"))]

    assert [one["status"] for one in data(stopped)] == ["failed"]
    assert [[one["status"] for one in told] for told in again] == 2 * [["completed", "completed"]]
    assert (numbers / "days").read_text().splitlines() == 2 * ["2025-01-01..2025-01-07", "2025-01-08..2025-01-14"]


def test_dates_that_make_no_difference_are_told(pipe: Pipe, numbers: Path) -> None:
    words = ("--start-date", "2025-01-01", "--end-date", "2025-01-02", "--no-progress")

    ran = pipe("run", "all", *words)
    chatty = pipe("run", "all", *words, "-v")
    dry = pipe("run", "all", *words, "--dry-run")

    assert ran.exit_code == exits.OK
    assert ran.stderr.startswith("Warning: Nothing that runs of the pipeline 'all' depends on dates: it does the same ")
    assert ran.stderr.endswith("or give a data set a date_column. It runs once, as without dates.\n")
    assert chatty.stderr.count("depends on dates") == 1
    assert dry.stdout.splitlines()[-1] == "nothing of it depends on the dates"
    for quiet in ("run all", "run dated --start-date 2025-01-01 --end-date 2025-01-02"):
        assert pipe(*quiet.split(), "--no-progress").stderr == ""
    assert "depends" not in pipe("run", "dated", *words, "--dry-run").stdout


def test_a_backfill_in_which_nothing_depends_on_dates_is_refused(pipe: Pipe, numbers: Path) -> None:
    words = ("--start", "2025-01-01", "--end", "2025-01-03")

    refused = pipe("backfill", "all", *words)

    assert (refused.exit_code, refused.stdout) == (exits.USAGE, "")
    assert "Let a function take start_date and end_date, or give a data set a date_column. To run" in refused.stderr
    assert refused.stderr.endswith("To run it once: pipe run all\n")
    assert not (numbers / "runs").exists()
    file = numbers / "pipe.yaml"
    file.write_text(
        file.read_text().replace("three: out/three.jsonl", "three: {path: out/three.jsonl, date_column: n}")
    )
    assert "in 'n', which is not in the window" in pipe("backfill", "all", *words).stderr


# --- files and names ---


def test_a_file_and_a_pipeline_of_one_name_are_told_apart(pipe: Pipe, numbers: Path) -> None:
    (numbers / "all").write_text("pipe: {source: orders.csv, schema: 'orders.py:Order'}\n")

    asked = pipe("run", "all")

    assert asked.exit_code == exits.USAGE
    assert "'all' is a file and a pipeline. Write ./all for the file, or add --project ." in asked.stderr
    assert "1 " in pipe("run", "./all", "--no-progress").stdout
    assert pipe("run", "all", "--project", ".").stdout.startswith("all: completed")


def test_a_folder_named_as_a_pipeline_is_in_nobodys_way(pipe: Pipe, numbers: Path) -> None:
    (numbers / "all").mkdir()

    assert pipe("run", "all", "--no-progress").exit_code == exits.OK


def test_a_bar_is_drawn_on_a_terminal_only(pipe: Pipe, numbers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipe_core.cli.project_progress import NodeLines, callbacks_for
    from pipe_core.graph.progress import ProgressCallback
    from pipe_core.project.project import Project
    from pipe_core.project.runs.runner import Runner

    runner = Runner(Project.load(numbers))
    elsewhere = callbacks_for(runner, progress=True, verbose=0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    there = callbacks_for(runner, progress=True, verbose=0)

    assert [type(one) for one in elsewhere] == [NodeLines]
    assert [type(one) for one in there] == [NodeLines, ProgressCallback]
    assert callbacks_for(runner, progress=False, verbose=0) == []
