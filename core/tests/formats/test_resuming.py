"""A sink is gone on with by another process, wherever the one that wrote was killed: all rows are there, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")

CASES: dict[str, dict[str, Any]] = {
    "csv": {"name": "out.csv", "mode": "overwrite", "before": True},
    "csv, new": {"name": "out.csv", "mode": "error", "before": False},
    "json": {"name": "out.json", "mode": "overwrite", "before": False},
    "compressed": {"name": "out.jsonl.gz", "mode": "overwrite", "before": True},
    "joined": {"name": "out.jsonl", "mode": "overwrite", "before": True, "via": "files"},
    "grown": {"name": "out.jsonl", "mode": "append", "before": True},
    "grown, new": {"name": "out.csv", "mode": "append", "before": False},
    "held": {"name": "out.csv", "mode": "append", "before": True, "held": True},
    "folder": {"name": "out.csv/", "mode": "overwrite", "before": True},
    "folder by the driver": {"name": "out.jsonl/", "mode": "overwrite", "before": True, "least": 10**9},
    "folder not at once": {"name": "out.jsonl/", "mode": "overwrite", "before": True, "at_once": False},
    "folder, new": {"name": "out.jsonl.gz/", "mode": "error", "before": False},
    "folder added to": {"name": "out.jsonl/", "mode": "append", "before": True},
    "folder added to, new": {"name": "out.csv/", "mode": "append", "before": False},
}


@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_is_gone_on_with_from_every_step(case: str, tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("kill_steps.py"))
    command = [sys.executable, script, str(tmp_path), json.dumps(CASES[case])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr
