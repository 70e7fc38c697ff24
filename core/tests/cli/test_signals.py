from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipe_core.cli import exits

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

LIMIT = 2.0
MARGIN = 4.0
"""For a machine that is busy with other things."""
SLOW = """
import time
from pathlib import Path
from pydantic import BaseModel

class Order(BaseModel):
    id: int

def slow(entry, store):
    Path("running").touch()
    time.sleep({seconds})  # the workload: a hook that takes long
"""
PIPE = """
pipe:
  source: orders.csv
  schema: slow.py:Order
  pre_validation_hooks: [slow.py:slow]
  sink: good.jsonl
  errors: bad.jsonl
  mode: overwrite
"""


@pytest.fixture
def running(folder: Path, request: pytest.FixtureRequest) -> subprocess.Popen[str]:
    """A run in the middle of a slow hook, over targets that exist."""
    (folder / "slow.py").write_text(SLOW.format(seconds=request.param))
    (folder / "pipe.yaml").write_text(PIPE)
    (folder / "orders.csv").write_text("id\n" + "1\n" * 1000)
    (folder / "good.jsonl").write_text("as before\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipe_core.cli", "run", "pipe.yaml", "--no-progress"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (folder / "running").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)  # polls a workload in another process
    return process


@pytest.mark.parametrize("running", [0.05, 30], indirect=True)
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, exits.INTERRUPTED, "Stopped."), (signal.SIGTERM, exits.TERMINATED, "Terminated.")],
)
def test_a_signal_ends_a_run_in_order(
    running: subprocess.Popen[str], number: int, code: int, word: str, folder: Path
) -> None:
    before = {path.name for path in folder.iterdir()} - {"__pycache__"}
    began = time.monotonic()

    running.send_signal(number)
    out, errors = running.communicate(timeout=10)

    assert time.monotonic() - began <= LIMIT + MARGIN
    assert running.returncode == code
    assert errors.split()[0] == word
    assert "Traceback" not in errors
    assert out == ""
    assert (folder / "good.jsonl").read_text() == "as before\n"
    left = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert left == {name for name in before if not name.endswith(".part")}
    assert "bad.jsonl" not in left


@pytest.mark.parametrize("running", [30], indirect=True)
def test_a_second_ctrl_c_ends_it_at_once(running: subprocess.Popen[str], folder: Path) -> None:
    began = time.monotonic()

    running.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two signals at the same moment would be one; the workload goes on
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=10)

    assert time.monotonic() - began <= LIMIT + MARGIN
    assert running.returncode == exits.INTERRUPTED
    assert "Traceback" not in errors
    assert (folder / "good.jsonl").read_text() == "as before\n"
