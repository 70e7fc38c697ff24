from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipe_core.cli import exits
from pipe_core.cli.errors import Mistake
from pipe_core.cli.validate import parse_options

Pipe = Callable[..., Result]
SCHEMA = ("--schema", "orders.py:Order")


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_go_where_they_belong(pipe: Pipe, folder: Path) -> None:
    result = pipe("validate", "orders.csv", *SCHEMA, "--to", "good.jsonl", "--errors", "bad.jsonl")

    assert result.exit_code == exits.RECORDS_FAILED
    assert _lines(folder / "good.jsonl") == [{"id": 1, "amount": 2.5}, {"id": 3, "amount": 4.0}]
    assert [row["position"] for row in _lines(folder / "bad.jsonl")] == [1]
    assert "valid records: good.jsonl" in result.stdout
    assert "rejected records: bad.jsonl" in result.stdout


def test_without_sinks_records_are_counted_and_the_reasons_told(pipe: Pipe, folder: Path) -> None:
    before = sorted(folder.iterdir())

    result = pipe("validate", "orders.csv", *SCHEMA, "--no-progress")

    assert result.exit_code == exits.RECORDS_FAILED
    assert result.stdout.splitlines()[1:4] == ["  read    3", "  valid   2", "  failed  1"]
    assert "id  int_parsing" in result.stdout
    assert "Rejected records were only counted: --errors FILE" in result.stdout
    assert result.stderr == ""
    assert sorted(path for path in folder.iterdir() if path.name != "__pycache__") == before


def test_a_good_file_ends_with_zero(pipe: Pipe, folder: Path) -> None:
    (folder / "orders.csv").write_text("id,amount\n1,2\n")

    assert pipe("validate", "orders.csv", *SCHEMA).exit_code == exits.OK


def test_standard_input_and_output_work_together(pipe: Pipe) -> None:
    result = pipe("validate", "-", *SCHEMA, "--to", "-", "--no-progress", input='{"id": "7", "amount": 1}\n')

    assert result.stdout == '{"id":7,"amount":1.0}\n'
    assert "completed" in result.stderr


def test_standard_input_takes_a_format(pipe: Pipe) -> None:
    result = pipe("validate", "-", *SCHEMA, "--format", "csv", "--json", input="id,amount\n1,2\n")

    assert json.loads(result.stdout)["valid"] == 1


def test_json_is_one_object_and_nothing_else(pipe: Pipe) -> None:
    result = pipe("validate", "orders.csv", *SCHEMA, "--json")

    facts = json.loads(result.stdout)
    assert (facts["read"], facts["valid"], facts["failed"]) == (3, 2, 1)
    assert facts["histogram"][0]["type"] == "int_parsing"
    assert result.stderr == ""


def test_progress_goes_to_standard_error(pipe: Pipe) -> None:
    shown = pipe("validate", "orders.csv", *SCHEMA)
    quiet = pipe("validate", "orders.csv", *SCHEMA, "--no-progress")

    assert "orders.csv" in shown.stderr
    assert quiet.stderr == ""


def test_a_blocked_progress_display_is_no_error(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipe_core.kernel import kernel

    monkeypatch.setenv("PIPE_DISABLE_PLUGINS", "progress")
    monkeypatch.setattr(kernel, "_default", None)

    result = pipe("validate", "orders.csv", *SCHEMA)

    assert result.exit_code == exits.RECORDS_FAILED
    assert result.stderr == ""


@pytest.mark.parametrize(("name", "begins"), [("report.html", "<!"), ("report.json", "{")])
def test_the_report_is_written(pipe: Pipe, folder: Path, name: str, begins: str) -> None:
    result = pipe("validate", "orders.csv", *SCHEMA, "--report", name)

    assert f"Report: {name}" in result.stdout
    assert (folder / name).read_text(encoding="utf-8").startswith(begins)


def test_limit_and_executor_and_mode_reach_the_run(pipe: Pipe, folder: Path) -> None:
    (folder / "good.jsonl").write_text("old\n")

    result = pipe(
        "validate", "orders.csv", *SCHEMA, "--to", "good.jsonl", "--mode", "overwrite", "--limit", "1", "-x", "sync"
    )

    assert result.exit_code == exits.OK
    assert _lines(folder / "good.jsonl") == [{"id": 1, "amount": 2.5}]


def test_too_many_errors_fail_the_run_and_its_report_is_shown(pipe: Pipe, folder: Path) -> None:
    (folder / "orders.csv").write_text("id,amount\nx,1\ny,1\nz,1\n")

    result = pipe("validate", "orders.csv", *SCHEMA, "--max-errors", "1", "--to", "good.jsonl", "--json")

    assert result.exit_code == exits.RUN_FAILED
    assert json.loads(result.stdout)["status"] == "failed"
    assert result.stderr.startswith("Error: ")
    assert not (folder / "good.jsonl").exists()


def test_options_reach_the_format_of_the_source_only(pipe: Pipe, folder: Path) -> None:
    (folder / "orders.csv").write_text("1;2\n3;4\n")

    result = pipe(
        "validate", "orders.csv", *SCHEMA, "-o", "delimiter=;", "-o", "fieldnames=[id, amount]", "--to", "good.csv"
    )

    assert result.exit_code == exits.OK
    assert (folder / "good.csv").read_text(encoding="utf-8").split() == ["id,amount", "1,2.0", "3,4.0"]


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("a=b", "b"),
        ("a=", ""),
        ("a==", "="),
        ("a=\\t", "\t"),
        ('a=["x", 1]', ["x", 1]),
        ("a=[x, y]", ["x", "y"]),
        ("a=[", "["),
        ("a= ", " "),
    ],
)
def test_an_option_is_text_or_a_list(pair: str, value: object) -> None:
    assert parse_options([pair]) == {"a": value}


@pytest.mark.parametrize(("pairs", "words"), [(["a"], "not KEY=VALUE"), (["=a"], "not KEY"), (["a=1", "a=2"], "twice")])
def test_what_is_no_option_is_refused(pairs: list[str], words: str) -> None:
    with pytest.raises(Mistake, match=words):
        parse_options(pairs)
