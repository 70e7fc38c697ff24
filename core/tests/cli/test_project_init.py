"""`pipe init`: the project that it makes is right, runs, fails, is resumed and backfilled, with pipe-core alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]

FILES = {".gitignore", "README.md", "data/orders.csv", "pipe.yaml", "steps.py", "test_steps.py"}


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("switches", [(), ("--with-dates",)])
@pytest.mark.parametrize("dates", [(), ("--start-date", "2025-01-01", "--end-date", "2025-01-02")])
def test_what_it_makes_runs_at_once_with_and_without_dates(
    pipe: Pipe, folder: Path, monkeypatch: pytest.MonkeyPatch, switches: tuple[str, ...], dates: tuple[str, ...]
) -> None:
    made = pipe("init", "new/shop", *switches)
    place = folder / "new" / "shop"

    assert made.exit_code == exits.OK
    assert "cd new/shop" in made.stdout
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == FILES
    assert (place / "pipe.yaml").read_text().count('name: "shop"') == 1
    assert "# shop\n" in (place / "README.md").read_text()
    monkeypatch.chdir(place / "data")  # commands look upwards
    assert pipe("check").stdout == "shop: 1 pipeline, 3 nodes and 4 data sets are fine.\n"
    done = pipe("run", "daily", *dates)
    assert (done.exit_code, done.stdout.partition(" ")[0].rstrip(":,")) == (exits.OK, "daily")
    best = json.loads((place / "out" / "best.json").read_text())
    assert best["product"] in ("tea", "cake")
    assert pipe("run", "daily", *dates).exit_code == exits.OK  # again


def test_a_window_replaces_its_own_days_only(pipe: Pipe, dated: Path) -> None:
    pipe("run", "daily")
    before = (dated / "out" / "totals.jsonl").read_text()

    assert pipe("run", "daily", "--start-date", "2025-01-02", "--end-date", "2025-01-02").exit_code == exits.OK

    assert sorted(before.splitlines()) == sorted((dated / "out" / "totals.jsonl").read_text().splitlines())
    assert {row["day"] for row in records(dated / "out" / "totals.jsonl")} == {f"2025-01-0{day}" for day in (1, 2, 3)}
    assert json.loads((dated / "out" / "best.json").read_text())["from"] == "2025-01-02"


def test_days_without_orders_are_no_failure(pipe: Pipe, dated: Path) -> None:
    done = pipe("backfill", "daily", "--start", "2025-01-01", "--end", "2025-01-31", "--every", "1w")

    assert done.exit_code == exits.OK
    assert done.stdout.count("completed") == 5
    listed = pipe("runs").stdout.splitlines()
    assert [line.split()[-1] for line in listed[:3]] == ["dates", "2025-01-01..2025-01-07", "2025-01-08..2025-01-14"]
    assert json.loads((dated / "out" / "best.json").read_text())["product"] is None


def test_the_environment_that_it_has_writes_elsewhere(pipe: Pipe, shop: Path) -> None:
    assert pipe("run", "daily", "--env", "test").exit_code == exits.OK
    assert (shop / "out" / "test" / "best.json").exists()
    assert not (shop / "out" / "best.json").exists()


@pytest.mark.parametrize("name", ["shop", "dated"])
def test_its_own_tests_pass(request: pytest.FixtureRequest, name: str) -> None:
    place = request.getfixturevalue(name)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", "/dev/null"]

    done = subprocess.run([*command, "test_steps.py"], cwd=place, capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_an_empty_folder_will_do_and_is_not_named_again(
    pipe: Pipe, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder / "empty")

    made = pipe("init", ".")

    assert (made.exit_code, "cd " in made.stdout) == (exits.OK, False)
    assert 'name: "empty"' in (folder / "empty" / "pipe.yaml").read_text()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (".", "is not empty: nothing in it is touched"),
        ("orders.csv", "is a file. Name a folder"),
        ("orders.csv/shop", "cannot be written to"),
    ],
)
def test_what_is_there_is_not_touched(pipe: Pipe, folder: Path, target: str, words: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    refused = pipe("init", target)

    assert refused.exit_code == exits.USAGE
    assert words in refused.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_it_fails_and_is_resumed(pipe: Pipe, shop: Path) -> None:
    steps = (shop / "steps.py").read_text()
    (shop / "steps.py").write_text(steps.replace("cents[order.product] +=", "cents[order.produkte] +="))

    failed = pipe("run", "daily", "--set", "nodes.total.retries=0")

    assert failed.exit_code == exits.RUN_FAILED
    (run,) = json.loads(pipe("runs", "--json").stdout)
    assert run["status"] == "failed"
    (shop / "steps.py").write_text(steps)
    done = subprocess.run(
        [sys.executable, "-m", "pipe_core.cli", "resume", run["run"][:-3], "--json", "--set", "nodes.total.retries=0"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == exits.OK, done.stderr
    nodes = json.loads(done.stdout)["nodes"]
    assert [(name, node["restored"]) for name, node in nodes.items()] == [
        ("keep_paid", True),
        ("total", False),
        ("find_best", False),
    ]
