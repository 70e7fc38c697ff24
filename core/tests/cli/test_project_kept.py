"""What is kept of a project's run, and shown of it: what contracts have discarded, and what was set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

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
