"""A writer that is killed: another process goes on, and each row is in the table once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STEPS = Path(__file__).with_name("delta_kill_steps.py")


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
@pytest.mark.parametrize(("kind", "since"), [("append", "nothing"), ("new", "final"), ("window", "final")])
def test_a_killed_writer_is_gone_on_with_from_every_step(tmp_path: Path, kind: str, since: str) -> None:
    command = [sys.executable, str(STEPS), str(tmp_path), kind, since]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr
