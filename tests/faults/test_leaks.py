"""Many runs in one process leave nothing behind: no thread, no open file, no child process, and no growing memory.

Each of these tests is a process of its own: what other tests have started does not hide what is left here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tried import INSTALLED

pytestmark = [pytest.mark.timeout(170), pytest.mark.alone]

LOCAL = [name for name in ("sync", "threads", "asyncio", "loky") if name in INSTALLED]
NEW = {"loky": 4}
"""How many of the runs start an executor of their own, where that takes long; else half of them do."""

PROGRAM = """
import gc, os, sys

import psutil
from pydantic import BaseModel

from pipe_core import Engine, Pipe, Pipeline, TaskExecutor, get_executor, node
from pipe_core.testing.leaks import Resources, no_leaks

door, name, runs, new = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
options = {} if name == "sync" else {"max_workers": 1}


class Number(BaseModel):
    n: int


async def hook(entry, store):
    if entry.raw_data["n"] == 7:
        raise LookupError("no")


def records(executor, number):
    report = Pipe(
        [{"n": n} for n in range(20)], f"{number}.jsonl", schema=Number, errors=f"{number}-bad.jsonl",
        executor=executor, pre_validation_hooks=[hook],
    ).run()
    assert (report.valid, report.failed) == (19, 1)


@node
def number(item):
    if item == 7:
        raise LookupError("no")
    return item


@node
async def doubled(number):
    return 2 * number


def graph(executor, number):
    with Engine(executor, executor) as engine:
        pipeline = Pipeline([globals()["number"], doubled])
        assert pipeline.run({"item": 3}, engine=engine)["doubled"] == 6
        result = pipeline.map({"item": range(10)}, "item", engine=engine, on_error="continue")
        assert (len(result), len(result.failed)) == (10, 1)


def tasks(executor, number):
    with TaskExecutor(executor, rate_limit=100_000) as made:
        futures = [made.submit_with(retries=i % 2)(int, "7" if i != 4 else "x") for i in range(10)]
        assert sum(future.exception() is None for future in futures) == 9
        assert list(made.map(abs, range(-3, 0))) == [3, 2, 1]


def run(number, executor):
    if executor is not None:
        {"records": records, "graph": graph, "tasks": tasks}[door](executor, number)
        return
    with get_executor(name, **options) as made:
        run(number, made)


def megabytes():
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def used(first, last):
    with get_executor(name, **options) as kept:
        every = max(1, runs // new)
        for i in range(first, last):
            run(i, None if i % every == 0 else kept)


used(0, max(2, runs // 5))  # what is imported, opened or filled once and for good
before = megabytes()
with no_leaks(patience=20):
    used(runs, 2 * runs)
grown = megabytes() - before
assert grown < 24, f"{grown:.0f} MB more after {runs} runs"
print("nothing is left")
"""


def check(door: str, executor: str, runs: int, new: int, folder: Path) -> None:
    (folder / "program.py").write_text(PROGRAM)
    line = [sys.executable, "-W", "error", "program.py", door, executor, str(runs), str(new)]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=160, env=os.environ, check=False)
    assert (done.stdout, done.returncode) == ("nothing is left\n", 0), done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    "executor",
    [name if name in ("sync", "loky") else pytest.param(name, marks=pytest.mark.chaos) for name in LOCAL],
)
@pytest.mark.parametrize("door", ["records", "graph", "tasks"])
def test_a_hundred_runs_leave_nothing_behind(door: str, executor: str, tmp_path: Path) -> None:
    check(door, executor, 100, NEW.get(executor, 50), tmp_path)


@pytest.mark.chaos
@pytest.mark.parametrize("executor", [name for name in LOCAL if name in NEW])
@pytest.mark.parametrize("door", ["records", "graph", "tasks"])
def test_a_hundred_executors_leave_nothing_behind(door: str, executor: str, tmp_path: Path) -> None:
    check(door, executor, 100, 100, tmp_path)


def test_what_is_left_is_seen(tmp_path: Path) -> None:
    """A program that leaves an open file fails here."""
    begin = "def run(number, executor):\n"
    leaking = PROGRAM.replace(begin, f"{begin}    os.open('.', os.O_RDONLY)\n").replace("patience=20", "patience=1")
    (tmp_path / "leaking").mkdir()
    (tmp_path / "leaking" / "program.py").write_text(leaking)
    line = [sys.executable, "program.py", "tasks", "sync", "2", "1"]
    done = subprocess.run(line, cwd=tmp_path / "leaking", capture_output=True, text=True, timeout=160, check=False)
    assert done.returncode == 1
    assert "left behind: file" in done.stderr
