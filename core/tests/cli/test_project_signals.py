"""Signals while a project runs: it ends soon, in order, and can be resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import Result

from pipe_core.cli import exits
from pipe_core.project.template import write_project

Pipe = Callable[..., Result]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

LIMIT = 2.0
MARGIN = 4.0
"""For a machine that is busy with other things."""
SLOW = """

import os
import time
from pathlib import Path

def total(paid):
    if Path("slow").exists():
        Path("running").write_text(str(os.getpid()))
        time.sleep(40)  # the workload: a node that takes long
    return [{"product": "tea", "cents": 3}]
"""


def wait(ready: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 25
    while not ready():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)  # polls a workload in another process


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    write_project(place, with_dates="backfill" in words)
    with (place / "steps.py").open("a") as file:
        file.write(SLOW)
    (place / "slow").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipe_core.cli", *words],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait(lambda: (place / "running").exists() and (place / "running").read_text() != "", process)
    return process


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def needs(executor: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(f"pipe_{executor}") is None, reason=f"pipe-{executor} is not installed")


@pytest.mark.parametrize(
    ("executor", "number", "code", "word"),
    [
        ("sync", signal.SIGINT, exits.INTERRUPTED, "Stopped."),
        ("sync", signal.SIGTERM, exits.TERMINATED, "Terminated."),
        pytest.param("threads", signal.SIGTERM, exits.TERMINATED, "Terminated.", marks=needs("threads")),
        pytest.param("loky", signal.SIGINT, exits.INTERRUPTED, "Stopped.", marks=needs("loky")),
    ],
)
def test_a_run_that_is_stopped_goes_on_later(
    folder: Path, pipe: Pipe, monkeypatch: pytest.MonkeyPatch, executor: str, number: int, code: int, word: str
) -> None:
    process = start(folder / "shop", "run", "daily", "-x", executor)
    worker = int((folder / "shop" / "running").read_text())
    began = time.monotonic()

    process.send_signal(number)
    out, errors = process.communicate(timeout=20)

    assert time.monotonic() - began <= LIMIT + MARGIN
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in errors
    monkeypatch.chdir(folder / "shop")
    (row,) = json.loads(pipe("runs", "--json").stdout)
    assert errors.splitlines()[-1] == f"{word} What is done is kept. Go on with: pipe resume {row['run']}"
    assert row["status"] == "cancelled"
    wait(lambda: not is_there(worker))
    (folder / "shop" / "slow").unlink()
    result = pipe("resume", row["run"], "--json", "-x", "sync")
    assert result.exit_code == exits.OK, result.stderr
    nodes = json.loads(result.stdout)["nodes"]
    assert [node["restored"] for node in nodes.values()] == [True, False, False]
    assert json.loads((folder / "shop" / "out" / "best.json").read_text()) == {"product": "tea", "cents": 3}


LIVE = """
catalog: {log: log.csv, seen: {path: seen.jsonl, mode: append}}
nodes: {copy: {function: live.copy, input: log, output: seen, streaming: {trigger: 0.05}}}
pipelines: {live: {nodes: [copy], type: streaming}}
"""


def test_a_stream_that_is_stopped_goes_on_later(folder: Path, pipe: Pipe) -> None:
    (folder / "live.py").write_text("def copy(rows):\n    return rows\n")
    (folder / "pipe.yaml").write_text(LIVE)
    log, seen, errors = folder / "log.csv", folder / "seen.jsonl", folder / "errors"
    command = [sys.executable, "-m", "pipe_core.cli", "run", "live"]
    with errors.open("w") as told:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=told)
        wait(lambda: "waits for its source" in errors.read_text())
        log.write_text("n\n1\n")
        wait(lambda: seen.exists() and seen.read_text() != "")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == exits.INTERRUPTED

    lines = errors.read_text().splitlines()
    assert [line.partition(" '")[0] for line in lines[:2]] == ["Warning: stream", "copy: started, in micro-batches"]
    assert lines[-1].startswith("Stopped. What is done is kept. Go on with: pipe resume ")
    assert len(lines) == 3
    log.write_text("n\n1\n2\n")
    ended = pipe("run", "live", "--set", "nodes.copy.streaming.trigger=available_now")
    assert ended.exit_code == exits.OK, ended.stderr
    assert seen.read_text() == '{"n":"1"}\n{"n":"2"}\n'


@needs("threads")
def test_a_second_ctrl_c_ends_what_no_one_can_kill(folder: Path) -> None:
    process = start(folder / "shop", "run", "daily", "-x", "threads", "--no-progress")
    began = time.monotonic()

    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two signals at the same moment would be one; the workload goes on
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert time.monotonic() - began <= LIMIT + MARGIN
    assert process.returncode == exits.INTERRUPTED
    assert errors.startswith("Stopped. What is done is kept.")


def test_a_backfill_that_is_stopped_goes_on_when_it_is_repeated(
    folder: Path, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(folder / "dated", "backfill", "daily", "--no-progress")

    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == exits.TERMINATED
    assert errors == "Terminated. What is done is kept. Repeat the command to go on.\n"
    monkeypatch.chdir(folder / "dated")
    (folder / "dated" / "slow").unlink()
    text = (folder / "dated" / "steps.py").read_text().replace('[{"product"', '[{"day": paid[0].day, "product"')
    (folder / "dated" / "steps.py").write_text(text)
    told = json.loads(pipe("backfill", "daily", "--json").stdout)
    assert [(one["status"], one["resumed"]) for one in told] == [
        ("completed", True),
        ("completed", False),
        ("completed", False),
    ]


STREAM = """
catalog:
  log: log.jsonl
  seen: {path: seen.jsonl, mode: append}
nodes:
  copy: {function: streams.copy, input: log, output: seen, streaming: {trigger: 0.05}}
pipelines:
  live: {nodes: [copy], type: streaming}
"""


def test_a_stream_that_is_stopped_goes_on_with_what_is_new(folder: Path) -> None:
    (folder / "pipe.yaml").write_text(STREAM)
    (folder / "streams.py").write_text("def copy(rows):\n    return rows\n")
    log, seen, words = folder / "log.jsonl", folder / "seen.jsonl", ["run", "live"]
    for number, signal_number in enumerate((signal.SIGINT, signal.SIGTERM), 1):
        with log.open("a") as file:
            file.write(f'{{"n":{number}}}\n')
        process = subprocess.Popen(
            [sys.executable, "-m", "pipe_core.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait(lambda: seen.exists() and seen.read_text() == log.read_text(), process)

        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=20)

        assert process.returncode == 128 + signal_number
        assert errors.splitlines()[0] == "copy: started, in micro-batches"
        words = errors.splitlines()[-1].rpartition("with: pipe ")[2].split()
    assert words[0] == "resume"
    assert [json.loads(line)["n"] for line in seen.read_text().splitlines()] == [1, 2]
