"""A test that is marked `alone` runs while no other one does, also where two processes run tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

TESTS = """
import os, time
from pathlib import Path
import pytest

NUMBER = {number}

def noted(name):
    began = time.monotonic_ns()
    time.sleep(0.05)  # the workload
    Path(f"{{name}}-{{NUMBER}}").write_text(f"{{began}} {{time.monotonic_ns()}} {{os.getpid()}}")

@pytest.mark.parametrize("i", range(4))
def test_beside_others(i):
    noted(f"beside-{{i}}")

@pytest.mark.alone
@pytest.mark.parametrize("i", range(4))
def test_alone(i):
    noted(f"alone-{{i}}")
"""


def test_nothing_runs_beside_a_test_that_wants_to_be_alone(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    shutil.copy(root / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    alone: no other test runs beside it\n")
    for number in range(2):
        (tmp_path / f"test_file{number}.py").write_text(TESTS.format(number=number))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert "16 passed" in done.stdout, done.stdout + done.stderr

    runs = {path.name: [int(word) for word in path.read_text().split()] for path in tmp_path.glob("*-*-[01]")}
    assert len(runs) == 16
    assert len({process for _, _, process in runs.values()}) == 2
    overlapping = [
        (one, other)
        for one, other in combinations(runs, 2)
        if runs[one][0] < runs[other][1] and runs[other][0] < runs[one][1]
    ]
    assert not [pair for pair in overlapping if any(name.startswith("alone") for name in pair)]
