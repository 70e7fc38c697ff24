"""A save that is killed in any of its steps is settled by another process: the value is there, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")

ROWS = [{"day": "2025-01-02", "n": 20}, {"day": "2025-01-02", "n": 21}]
CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "value": ({"path": "a.json"}, {"accuracy": 0.9}),
    "window": ({"path": "a.csv", "date_column": "day"}, ROWS),
    "append": ({"path": "a.jsonl.gz", "mode": "append"}, ROWS),
    "folder": ({"path": "a.csv/", "mode": "append"}, ROWS),
    "partitions": ({"path": "a", "format": "jsonl", "partition_by": ["day"], "date_column": "day"}, ROWS),
}


@pytest.mark.parametrize("case", CASES)
def test_a_save_is_settled_from_every_step(case: str, tmp_path: Path) -> None:
    script = str(Path(__file__).with_name("kill_catalog.py"))
    command = [sys.executable, script, str(tmp_path), json.dumps(CASES[case])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr
