from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]
SCHEMA = ("--schema", "orders.py:Order")

PIPE = """
pipe:
  source: orders.csv
  schema: orders.py:Order
  pre_validation_hooks: [orders.py:clean]
  sink: out.jsonl
"""


def test_the_facts_the_choice_and_what_to_type(pipe: Pipe, folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())

    result = pipe("advise", "orders.csv", *SCHEMA)

    assert result.exit_code == exits.OK, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:4] == [
        "orders.csv",
        "input about 3 records, 14 bytes",
        "workers read it in pieces yes",
        "sample 3 records, of which 1 failed",
    ]
    assert "Advice: sync: about 3 records of" in result.stdout
    assert lines[-1] == "Run it: pipe validate orders.csv --schema orders.py:Order -x sync"
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before


def test_json_is_one_object(pipe: Pipe) -> None:
    result = pipe("advise", "orders.csv", *SCHEMA, "--json")

    told = json.loads(result.stdout)
    assert (told["executor"], told["best"], told["install"], told["rule"]) == ("sync", "sync", None, "small")
    assert (told["facts"]["records"], told["facts"]["sampled"], told["facts"]["failed"]) == (3, 3, 1)
    assert told["estimates"]["sync"] >= 0
    assert told["command"].endswith("-x sync")
    assert result.stderr == ""


def test_the_command_repeats_the_switches(pipe: Pipe, folder: Path) -> None:
    (folder / "orders.txt").write_text("id;amount\n1;2\n")
    given = (*SCHEMA, "--format", "csv", "-o", "delimiter=;", "--limit", "5")

    result = pipe("advise", "orders.txt", *given)

    wanted = "Run it: pipe validate orders.txt --schema orders.py:Order --format csv -o 'delimiter=;' --limit 5 -x sync"
    assert result.stdout.splitlines()[-1] == wanted


def test_with_hooks_it_says_where_to_say_so(pipe: Pipe) -> None:
    result = pipe("advise", "orders.csv", *SCHEMA, "--pre", "orders.py:clean", "--post", "timestamp")

    assert result.exit_code == exits.OK, result.stderr
    last = result.stdout.splitlines()[-1]
    assert last == 'Say so: executor="sync" in Python, executor: sync in the file of a pipe, or PIPE_EXECUTOR=sync'


def test_a_schema_is_not_needed(pipe: Pipe) -> None:
    assert "of which 0 failed" in pipe("advise", "orders.csv").stdout


def test_the_file_of_a_pipe(pipe: Pipe, folder: Path) -> None:
    (folder / "pipe.yaml").write_text(PIPE)

    result = pipe("advise", "pipe.yaml", "--limit", "2")

    assert result.exit_code == exits.OK, result.stderr
    assert "about 2 records" in result.stdout
    assert result.stdout.splitlines()[-1] == "Run it: pipe run pipe.yaml --limit 2 -x sync"
    assert not (folder / "out.jsonl").exists()


def test_what_the_file_of_a_pipe_says_is_not_said_twice(pipe: Pipe, folder: Path) -> None:
    (folder / "pipe.yaml").write_text(PIPE)

    result = pipe("advise", "pipe.yaml", "--pre", "timestamp")

    assert result.exit_code == exits.USAGE
    assert "leave --pre out" in result.stderr


def test_standard_input_is_left_for_the_run(pipe: Pipe) -> None:
    result = pipe("advise", "-", *SCHEMA, input='{"id": 1, "amount": 2}\n')

    assert result.exit_code == exits.OK
    assert "the input is live" in result.stdout
    assert "none: the input is live" in result.stdout


def test_auto_is_said_on_the_command_line_and_told_in_the_report(pipe: Pipe, folder: Path) -> None:
    (folder / "pipe.yaml").write_text(PIPE)

    for words in (("validate", "orders.csv", *SCHEMA), ("run", "pipe.yaml")):
        result = pipe(*words, "-x", "auto", "--no-progress", "--json")
        told = json.loads(result.stdout)
        assert told["executor"] == "sync"
        assert told["notes"][0].startswith("auto chose 'sync': ")


def test_the_file_of_a_pipe_may_say_auto(pipe: Pipe, folder: Path) -> None:
    (folder / "pipe.yaml").write_text(PIPE + "  executor: auto\n")

    assert "note: auto chose 'sync'" in pipe("run", "pipe.yaml", "--no-progress").stdout


def test_auto_is_not_in_the_list_of_plugins(pipe: Pipe) -> None:
    names = {one["name"] for one in json.loads(pipe("plugins", "list", "--family", "executors", "--json").stdout)}

    assert "sync" in names
    assert "auto" not in names


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("nope.csv",), exits.USAGE, "There is no file 'nope.csv'"),
        (("nope.yaml",), exits.USAGE, "There is no file 'nope.yaml'"),
        (("orders",), exits.USAGE, "no suffix"),
        ((".",), exits.USAGE, "is a folder"),
        (("orders.csv", "--schema", "orders.py:Odrer"), exits.USAGE, "Did you mean 'Order'?"),
        (("orders.csv", "--schema", "orders.py:Plain"), exits.CONFIGURATION, "plain class"),
        (("orders.csv", "--pre", "nope"), exits.USAGE, "--pre: No hook named 'nope'"),
        (("orders.csv", "--post", "orders.py:nope"), exits.USAGE, "--post: There is no 'nope'"),
        (("orders.csv", "-o", "delimter=;"), exits.USAGE, "delimiter"),
        (("orders.csv", "--format", "cvs"), exits.USAGE, "csv"),
    ],
)
def test_mistakes_are_told_in_a_line(pipe: Pipe, words: tuple[str, ...], code: int, text: str) -> None:
    result = pipe("advise", *words)

    assert result.exit_code == code, result.stderr
    assert text in result.stderr
    assert result.stdout == ""
