"""What people do wrong first: the message says what happened and what to type next, and there is no traceback."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]

FILES = {
    "semicolons.csv": "id;amount\n1;2\n",
    "headless.csv": "1,2.5\n2,3\n",
    "there.jsonl": "{}\n",
    "broken.py": "import json\nimport not_installed_anywhere\n",
    "syntax.py": "x = = 1\n",
}

MISTAKES: dict[str, tuple[str, int, str]] = {
    "missing file": ("nope.csv", 2, "There is no file 'nope.csv'"),
    "folder": (".", 2, "'.' is a folder. Name a file in it."),
    "a target without its word": ("orders.csv good.csv", 2, "Valid records go where --to says"),
    "no suffix": ("orders", 2, "Say it, for example --format csv."),
    "unknown suffix": ("orders.foo", 2, "No format named 'foo'. Installed: csv, json, jsonl"),
    "another format": ("orders.foo", 2, "'orders.foo' ends in .foo; --format csv says another format for SOURCE"),
    "unknown suffix of a target": ("orders.csv --to x.foo", 2, "--to and --errors go by their suffix."),
    "suffix of a plugin": ("orders.parquet", 2, "pip install pipe-arrow"),
    "unknown scheme": ("pg://u:secret@host/db", 2, "No format named 'pg'"),
    "unknown format": ("orders.csv --format cvs", 2, "Did you mean 'csv'?"),
    "no schema": ("orders.csv --schema=", 2, "--schema"),
    "schema without object": ("orders.csv --schema orders.py", 2, "write orders.py:Order. The models there: Order."),
    "wrong schema file": ("orders.csv --schema order.py:Order", 2, "Did you mean 'orders.py'?"),
    "wrong schema name": ("orders.csv --schema orders.py:Ordr", 2, "Did you mean 'Order'?"),
    "schema that is a function": ("orders.csv --schema orders.py:clean", 3, "is a function, no schema."),
    "schema that is a plain class": ("orders.csv --schema orders.py:Plain", 3, "Derive it from pydantic.BaseModel"),
    "schema file that fails": ("orders.csv --schema broken.py:X", 3, "(line 2: import not_installed_anywhere)"),
    "schema file with a typo": ("orders.csv --schema syntax.py:X", 3, "(line 1: x = = 1): SyntaxError"),
    "no folder for the target": ("orders.csv --to no/x.jsonl", 4, "Its folder does not exist: make it first."),
    "target that exists": ("orders.csv --to there.jsonl", 2, "there.jsonl exists already. Add --mode overwrite"),
    "target without suffix": ("orders.csv --to there", 2, "For example: there.jsonl"),
    "one target for both": ("orders.csv --to x.jsonl --errors x.jsonl", 2, "--to and --errors are both x.jsonl"),
    "both to standard output": ("orders.csv --to - --errors -", 2, "would mix on standard output"),
    "json and records": ("orders.csv --to - --json", 2, "would mix on standard output"),
    "no header": ("headless.csv", 4, "If the file has no header, add -o fieldnames=[...]"),
    "wrong delimiter": ("semicolons.csv", 4, "add -o delimiter=';'"),
    "unknown executor": ("orders.csv -x rey", 2, "Did you mean 'ray'?"),
    "executor with an unknown option": ("orders.csv -x sync://?workers=2", 2, "workers: there is no such option"),
    "unknown option": ("orders.csv -o delim=;", 2, "delim: there is no such option. Did you mean 'delimiter'?"),
    "wrong option": ("orders.csv -o delimiter=abc", 2, "delimiter"),
    "option without value": ("orders.csv -o delimiter", 2, "For example: -o delimiter=';'"),
    "unknown encoding": ("orders.csv -o encoding=utf9", 2, "utf9"),
    "unknown mode": ("orders.csv --mode replace", 2, "'error', 'overwrite', 'append', 'ignore'"),
    "unknown switch": ("orders.csv --erors x", 2, "--errors"),
    "report with a wrong suffix": ("orders.csv --report r.pdf", 2, "must end in .html for a page or .json for data"),
    "report in no folder": ("orders.csv --report no/r.html", 2, "The folder of the report 'no/r.html' does not exist"),
    "no errors allowed": ("orders.csv --max-errors x", 2, "--max-errors"),
}


INSTALLED = {"unknown suffix": "pipe_arrow", "suffix of a plugin": "pipe_arrow"}
"""What a mistake is about, if it is not installed."""


def _mistake(name: str) -> Any:
    there = name in INSTALLED and find_spec(INSTALLED[name]) is not None
    return pytest.param(name, marks=pytest.mark.skipif(there, reason=f"{INSTALLED.get(name)} is installed"))


@pytest.mark.parametrize("name", [_mistake(name) for name in MISTAKES])
def test_a_mistake_reads_well(name: str, pipe: Pipe, folder: Path) -> None:
    words, code, text = MISTAKES[name]
    for file, content in FILES.items():
        (folder / file).write_text(content, encoding="utf-8")
    schema = [] if "--schema" in words else ["--schema", "orders.py:Order"]

    result = pipe("validate", *words.split(), *schema, "--no-progress")

    assert text in result.stderr
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert "secret" not in result.output
    assert result.stdout == ""
    assert len([line for line in result.stderr.splitlines() if not line.startswith("Usage")]) == 1
    assert (folder / "there.jsonl").read_text() == "{}\n"


def test_a_target_without_write_access_is_told(pipe: Pipe, folder: Path) -> None:
    (folder / "file").write_text("")

    result = pipe("validate", "orders.csv", "--schema", "orders.py:Order", "--to", "file/x.jsonl", "--no-progress")

    assert result.exit_code == exits.RUN_FAILED
    assert "A part of its path is a file, not a folder." in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("PIPE_EXECUTOR", "rey", "No executor named 'rey'"),
        ("PIPE_EXECUTOR__FOO", "1", "(from PIPE_EXECUTOR__FOO)"),
        ("PIPE_CHUNK_SIZE", "many", "(from PIPE_CHUNK_SIZE)"),
        ("PIPE_OBSERVERS", "nobody", "No observer named 'nobody'"),
    ],
)
def test_a_wrong_setting_is_configuration(
    name: str, value: str, text: str, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    result = pipe("validate", "orders.csv", "--schema", "orders.py:Order", "--no-progress")

    assert result.exit_code == exits.CONFIGURATION
    assert text in result.stderr


def test_a_wrong_settings_file_is_configuration(pipe: Pipe, folder: Path) -> None:
    (folder / "pipe.toml").write_text("exector = 'sync'\n")

    result = pipe("validate", "orders.csv", "--schema", "orders.py:Order", "--no-progress")

    assert result.exit_code == exits.CONFIGURATION
    assert "Did you mean 'executor'?" in result.stderr
