"""What is kept of a project's run, and shown of it: what contracts have discarded, and what was set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pipe_core.cli import exits

Pipe = Callable[..., Result]

STEPS = """
from pathlib import Path
from pydantic import BaseModel, Field

class Small(BaseModel):
    n: int = Field(lt=2)

def make():
    return [{"n": 1}, {"n": 2}]

def count(rows):
    if Path("bad").exists():
        raise ValueError("not today")
    return [{"count": len(rows)}]
"""
FILE = """
project: {name: kept}
catalog: {rows: {path: out/rows.jsonl}, counts: out/counts.jsonl}
nodes:
  make: {function: steps.make, output: rows}
  count: {function: steps.count, input: rows, output: counts}
pipelines: {all: [make, count]}
"""


@pytest.fixture
def kept(folder: Path) -> Path:
    """A project whose second node fails where there is a file `bad`."""
    (folder / "steps.py").write_text(STEPS)
    (folder / "pipe.yaml").write_text(FILE)
    return folder


def data(result: Result) -> Any:
    return json.loads(result.stdout)


def test_what_contracts_have_discarded_is_shown_of_a_run(pipe: Pipe, kept: Path) -> None:
    (kept / "bad").touch()
    contract = '{"outputs": {"rows": {"schema": "steps.Small", "policy": "discard_row"}}}'
    ran = data(pipe("run", "all", "--json", "--set", f"nodes.make.contracts={contract}"))
    assert ran["status"] == "failed"

    lines = pipe("runs", ran["run"]).stdout.splitlines()
    nodes = data(pipe("runs", ran["run"], "--json"))["nodes"]

    (told,) = [line for line in lines if "discarded" in line]
    assert told.startswith("node 'make', by its contract for the output 'rows': 1 of 2 records were discarded (the ")
    assert nodes["make"]["contracts"] == ran["nodes"]["make"]["contracts"]
    assert (nodes["make"]["contracts"][0]["rows"], nodes["count"]["contracts"]) == (1, [])


def test_what_was_set_is_set_again(pipe: Pipe, kept: Path) -> None:
    (kept / "bad").touch()
    words = ("--set", "catalog.counts.path=out/set.jsonl", "--set", 'nodes.count.tags=["x", "5"]')
    ran = data(pipe("run", "all", "--json", "--set", "nodes.count.retries=1", *words))
    assert ran["nodes"]["count"]["attempts"] == 2

    again = data(pipe("resume", "--json", "--set", "nodes.count.retries=2", "--set", "nodes.make.tags=y"))
    third = data(pipe("resume", "--json"))
    (kept / "bad").unlink()
    shown = data(pipe("runs", ran["run"], "--json"))
    resumed = pipe("resume", ran["run"], "--json", "--set", "catalog.counts.path=out/other.jsonl")

    assert [one["nodes"]["count"]["attempts"] for one in (again, third)] == [3, 3]
    assert shown["set"] == {
        "nodes.count.retries": "2",
        "catalog.counts.path": "out/set.jsonl",
        "nodes.count.tags": ["x", "5"],
        "nodes.make.tags": "y",
    }
    assert 'set:       nodes.count.tags=["x", "5"]' in pipe("runs", ran["run"]).stdout
    assert resumed.exit_code == exits.OK, resumed.stderr
    assert sorted(path.name for path in (kept / "out").iterdir()) == ["other.jsonl", "rows.jsonl"]


def test_a_changed_setting_of_what_is_done_is_noticed_and_a_kept_one_is_no_change(pipe: Pipe, kept: Path) -> None:
    (kept / "bad").touch()
    run = data(pipe("run", "all", "--json", "--set", "nodes.make.hyperparams.depth=3"))["run"]
    (kept / "bad").unlink()

    changed = pipe("resume", run, "--set", "nodes.make.hyperparams.depth=4")

    assert (changed.exit_code, "Node 'make' was done" in changed.stderr) == (exits.USAGE, True)
    assert pipe("resume", run).exit_code == exits.OK


CANARY = "hunter2-c4n4ry"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nodes.count.hyperparams.token", CANARY),
        ("nodes.count.hyperparams", '{"login": {"password": "' + CANARY + '"}}'),
        ("nodes.count.hyperparams.dsn", f"host=db password={CANARY}"),
        ("nodes.count.hyperparams.url", f"postgresql://me:{CANARY}@db/shop"),
        ("nodes.count.hyperparams.words", f'["a", "x{CANARY}x"]'),  # out of a variable of the shell
    ],
)
def test_no_secret_that_was_set_is_kept(
    key: str, value: str, pipe: Pipe, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", other := "tiger-c4n4ry")
    if key.endswith("words"):
        monkeypatch.setenv("SHOP_PASSWORD", CANARY)
    (kept / "bad").touch()
    harmless = ("--set", "nodes.count.retries=1", "--set", "catalog.far=out/${secret:SHOP_TOKEN}.jsonl")
    run = data(pipe("run", "all", "--json", "--set", f"{key}={value}", *harmless))["run"]

    refused = pipe("resume", run)
    shown = pipe("runs", run)
    resumed = pipe("resume", run, "--json", "--set", f"{key}={value}")

    assert refused.exit_code == exits.USAGE
    assert refused.stderr.endswith(f"Say it again: --set {key}=...\n")
    assert f"set:       {key}=***" in shown.stdout
    assert data(resumed)["nodes"]["count"]["attempts"] == 2
    written = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
    assert not [one for one in written if CANARY.encode() in one or other.encode() in one]
    assert any(b"${secret:SHOP_TOKEN}" in one for one in written)
    assert "c4n4ry" not in f"{refused.output}{shown.output}{resumed.output}"
