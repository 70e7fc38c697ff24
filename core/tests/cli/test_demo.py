from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from pipe_core.cli import exits
from pipe_core.cli.demo import ORDERS

Pipe = Callable[..., Result]


def test_the_demo_makes_data_runs_it_and_says_what_next(pipe: Pipe, folder: Path) -> None:
    result = pipe("demo", "sample", "--no-progress")

    assert result.exit_code == exits.OK
    place = folder / "sample"
    bad = [json.loads(line) for line in (place / "rejected.jsonl").read_text().splitlines()]
    good = (place / "valid.jsonl").read_text().splitlines()
    assert len(bad) + len(good) == ORDERS
    assert len(bad) == ORDERS // 50
    assert len({(row["errors"][0]["loc"][0], row["errors"][0]["type"]) for row in bad}) >= 5
    assert (place / "report.html").read_text(encoding="utf-8").startswith("<!")
    assert "pipe run pipe.yaml --mode overwrite" in result.stdout


def test_the_next_commands_work(pipe: Pipe, folder: Path) -> None:
    pipe("demo", "sample", "--no-progress")
    cli = [sys.executable, "-m", "pipe_core.cli"]

    again = subprocess.run([*cli, "run", "pipe.yaml", "--mode", "overwrite"], cwd="sample", capture_output=True)
    check = subprocess.run(
        [*cli, "validate", "orders.csv", "--schema", "orders.py:Order", "--to", "-"], cwd="sample", capture_output=True
    )

    assert again.returncode == exits.RECORDS_FAILED
    assert check.stdout.count(b"\n") > ORDERS * 0.9


def test_the_data_is_the_same_every_time(pipe: Pipe, folder: Path) -> None:
    pipe("demo", "one", "--no-progress")
    pipe("demo", "two", "--no-progress")

    assert (folder / "one/orders.csv").read_bytes() == (folder / "two/orders.csv").read_bytes()


def test_nothing_that_is_there_is_overwritten(pipe: Pipe, folder: Path) -> None:
    before = (folder / "orders.csv").read_bytes()

    result = pipe("demo", ".")

    assert result.exit_code == exits.USAGE
    assert "orders.csv exists already" in result.stderr
    assert (folder / "orders.csv").read_bytes() == before
    assert not (folder / "pipe.yaml").exists()


def test_a_place_that_is_no_folder_is_told(pipe: Pipe) -> None:
    result = pipe("demo", "orders.csv")

    assert result.exit_code == exits.USAGE
    assert "cannot be used" in result.stderr


def test_json_is_alone_on_standard_output(pipe: Pipe) -> None:
    assert json.loads(pipe("demo", "sample", "--json").stdout)["read"] == ORDERS
