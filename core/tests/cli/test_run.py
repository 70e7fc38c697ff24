from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]

PIPE = """
pipe:
  source: orders.csv
  schema: orders.py:Order
  sink: good.jsonl
  errors: bad.jsonl
"""


@pytest.fixture
def file(folder: Path) -> Path:
    """A pipe's file."""
    path = folder / "pipe.yaml"
    path.write_text(PIPE, encoding="utf-8")
    return path


def test_a_file_is_run(pipe: Pipe, file: Path, folder: Path) -> None:
    result = pipe("run", "pipe.yaml", "--no-progress")

    assert result.exit_code == exits.RECORDS_FAILED
    assert len((folder / "good.jsonl").read_text().splitlines()) == 2
    assert "rejected records: " in result.stdout


def test_switches_overrule_the_file(pipe: Pipe, file: Path) -> None:
    file.write_text(PIPE + "  executor: rey\n  mode: error\n  limit: 3\n")
    pipe("run", file, "-x", "sync", "--limit", "1")

    result = pipe("run", file, "-x", "sync", "--limit", "1", "--mode", "overwrite", "--json", "--report", "r.json")

    assert result.exit_code == exits.OK
    assert json.loads(result.stdout)["read"] == 1
    assert json.loads(Path("r.json").read_text())["read"] == 1
    assert result.stderr == ""


def test_the_observers_of_the_file_are_not_joined_by_others(pipe: Pipe, file: Path) -> None:
    file.write_text(PIPE + "  observers: []\n")

    assert pipe("run", file).stderr == ""


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nope.yaml", "There is no file 'nope.yaml'."),
        ("nightly", "There is no file 'nightly', and there is no project in"),
        (".", "'.' is a folder. Name the YAML file in it"),
    ],
)
def test_what_is_no_file_is_usage(pipe: Pipe, target: str, words: str) -> None:
    result = pipe("run", target)

    assert result.exit_code == exits.USAGE
    assert words in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pipe: [", "line 1: a value is missing, or a bracket is not closed"),
        (
            "pipe:\n  source: orders.csv\n  shema: x\n",
            "line 3, pipe.shema: there is no such key. Did you mean 'schema'",
        ),
        ("pipe:\n  source: ../x.csv\n", "line 2, pipe.source: '../x.csv' is outside"),
        ("pipe:\n  source: orders.csv\n  schema: orders.py:Plain\n", "line 3, pipe.schema: orders.py:Plain is a plain"),
        ("pipe:\n  source: orders.csv\n  executor: rey\n", "No executor named 'rey'"),
        ("pipe:\n  source: {path: orders.csv, delim: x}\n", "pipe.yaml). Did you mean 'delimiter'?"),
        ("pipelines: {}\n", "a project's file"),
    ],
)
def test_a_wrong_file_is_configuration(pipe: Pipe, file: Path, text: str, words: str) -> None:
    file.write_text(text)

    result = pipe("run", file, "--no-progress")

    assert result.exit_code == exits.CONFIGURATION
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_delimiter_is_told_without_a_switch_that_run_lacks(pipe: Pipe, file: Path, folder: Path) -> None:
    (folder / "orders.csv").write_text("id;amount\n1;2\n")

    result = pipe("run", file, "--no-progress")

    assert result.exit_code == exits.RUN_FAILED
    assert "delimiter=';'" in result.stderr
    assert " -o " not in result.stderr


def test_an_unknown_executor_that_was_typed_is_usage(pipe: Pipe, file: Path) -> None:
    assert pipe("run", file, "-x", "rey").exit_code == exits.USAGE
    assert "pipe.yaml" not in pipe("run", file, "-x", "sync://?foo=1").stderr


def test_outside_is_allowed_by_a_switch(pipe: Pipe, file: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "far.jsonl"
    file.write_text(f"pipe:\n  source: orders.csv\n  sink: {elsewhere}\n")

    assert pipe("run", file).exit_code == exits.CONFIGURATION
    assert pipe("run", file, "--allow-outside").exit_code == exits.OK
    assert elsewhere.exists()


@pytest.mark.parametrize("sink", ["'-'", "{path: '-'}"])
def test_records_on_standard_output_are_alone_there(pipe: Pipe, file: Path, sink: str) -> None:
    file.write_text(f"pipe:\n  source: orders.csv\n  sink: {sink}\n  schema: orders.py:Order\n")

    assert [json.loads(line)["id"] for line in pipe("run", file).stdout.splitlines()] == [1, 3]
    assert pipe("run", file, "--json").exit_code == exits.USAGE
