"""Runs `killed_project.py` and kills it, until it has come to its end."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROGRAM = Path(__file__).with_name("killed_project.py")


def run_once(folder: Path, executor: str, delay: float = 0.0) -> subprocess.CompletedProcess[str]:
    """Run it, or go on with its run. It kills itself after *delay* seconds; 0: never."""
    (folder / "out").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(PROGRAM), str(folder), executor, str(delay)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(command, capture_output=True, text=True, timeout=50, env=environment)


def run_with_kills(folder: Path, executors: Sequence[str], chance: random.Random, longest: float) -> int:
    """Run it on one of the *executors*, and kill it, again and again, until it has come to its end. How many kills."""
    kills = 0
    while True:
        patience = longest * (1 + kills / 5)  # so that it ends also on a machine that is busy
        done = run_once(folder, chance.choice(executors), chance.uniform(0.001, patience))
        if done.returncode == 0:
            return kills
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1


def stored(folder: Path) -> dict[str, bytes]:
    """All that the run has stored, by its path; what was compressed as it was before."""
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found[str(path.relative_to(folder))] = gzip.decompress(data) if path.suffix == ".gz" else data
    return found
