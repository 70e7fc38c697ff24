"""Programs whose hook never comes back: the run goes on without it, and the interpreter exits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tried import INSTALLED

SCRIPT = """
import sys, time
from pipe_core import Pipe

{kind} hangs(entry, store):
    if entry.raw_data["n"] == 7:
        time.sleep(3600)

rows = []
report = Pipe([{{"n": n}} for n in range(100)], rows, executor=sys.argv[1], pre_validation_hooks=[hangs],
              hook_timeout=1).run()
print(report.valid, report.failed, len(rows))
"""


def check_exit(kind: str, executor: str, folder: Path) -> None:
    """Run the program, with a hook that is a ``def`` or an ``async def``."""
    if executor not in INSTALLED:
        pytest.skip(f"{executor} is not installed")
    script = folder / "script.py"
    script.write_text(SCRIPT.format(kind=kind))
    done = subprocess.run([sys.executable, script, executor], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split(), done.stderr.count("Traceback")) == (0, ["99", "1", "99"], 0), (
        done.stderr
    )
