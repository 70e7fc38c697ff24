"""SIGINT and SIGTERM at random moments, and the death of the driver: a clean end, no orphan, an untouched target."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from programs import WAYS, Program, looping, script, started
from tried import INSTALLED

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

LIMIT = 2.0
MARGIN = 4.0
"""For a machine that is busy with other things."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
EXECUTORS = [name for name in ("sync", "threads", "loky") if name in INSTALLED]
ROUNDS = [
    (way, EXECUTORS[number % len(EXECUTORS)], (signal.SIGINT, signal.SIGTERM)[number // 3 % 2], number)
    for way in WAYS
    for number in range(10)
]


def check_end(program: Program, code: int, began: float, limit: float = LIMIT) -> None:
    out, errors = program.process.communicate(timeout=60)
    took = time.monotonic() - began
    assert program.process.returncode == code, errors
    assert took <= limit + MARGIN
    assert program.orphans(LIMIT + MARGIN) == []
    assert "Traceback" not in errors
    assert out == ""
    left = {path.name for path in program.folder.iterdir()}
    assert (program.folder / "out.jsonl").read_text() == "as before\n"
    assert not {name for name in left if name.endswith(".part") or name.startswith("bad")}


@pytest.mark.parametrize(("way", "executor", "number", "seed"), ROUNDS)
def test_a_signal_at_a_random_moment(
    way: str, executor: str, number: signal.Signals, seed: int, tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").write_text("as before\n")
    with started(tmp_path, WAYS[way](tmp_path, executor)) as program:
        program.wait_until_ready()
        time.sleep(random.Random(f"{way} {seed}").choice([0.2, 0.5, 1.0, 2.0]) * random.random() + 0.1)
        began = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(program.process.pid, number)  # as the terminal does: the workers get it too
        else:
            program.process.send_signal(number)
        check_end(program, CODES[number], began)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("seed", [1, 2])
def test_ctrl_c_while_a_program_loops_over_its_pipe(executor: str, seed: int, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("as before\n")
    with started(tmp_path, looping(tmp_path, executor)) as program:
        program.wait_until_ready()
        time.sleep(random.Random(seed).random() + 0.2)
        began = time.monotonic()
        os.killpg(program.process.pid, signal.SIGINT)
        check_end(program, 130, began)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal(executor: str, first: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("as before\n")
    with started(tmp_path, script(tmp_path, executor)) as program:
        program.wait_until_ready()
        time.sleep(1.0)
        began = time.monotonic()
        program.process.send_signal(first)
        time.sleep(random.uniform(0, 0.3))
        program.process.send_signal(signal.SIGINT)
        program.process.communicate(timeout=60)
        assert program.process.returncode in (130, 143, -signal.SIGINT)
        assert time.monotonic() - began <= LIMIT + MARGIN
        assert program.orphans(LIMIT + MARGIN) == []
        assert (tmp_path / "out.jsonl").read_text() == "as before\n"


SLEEPING = """
import sys, time
from pathlib import Path
from pipe_core import Pipe

def sleep(entry, store):
    Path("asleep").touch()
    time.sleep(60)

Pipe([{"n": 1}], "out.jsonl", executor="sync", pre_validation_hooks=[sleep]).run(handle_sigterm=True)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_user_code_that_does_not_come_back_hides_no_signal(number: signal.Signals, code: int, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SLEEPING)
    with started(tmp_path, ["script.py"]) as program:
        deadline = time.monotonic() + 60
        while not (tmp_path / "asleep").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        program.process.send_signal(number)
        program.process.communicate(timeout=60)
        assert program.process.returncode == code
        assert not (tmp_path / "out.jsonl").exists()


# --- the driver's death ---


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("executor", [name for name in ("threads", "loky", "dask", "ray") if name in INSTALLED])
def test_nobody_outlives_a_driver_that_is_killed(executor: str, seed: int, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("as before\n")
    with started(tmp_path, script(tmp_path, executor)) as program:
        program.wait_until_ready()
        deadline = time.monotonic() + 60
        while executor != "threads" and len(program.family()) < 2:
            assert program.process.poll() is None, program.process.communicate()
            assert time.monotonic() < deadline, "it starts no workers"
            time.sleep(0.05)
        time.sleep({1: 0.0, 2: 3.0}[seed])
        program.process.kill()
        program.process.wait(30)
        assert program.orphans(LIMIT + MARGIN) == []
        assert (tmp_path / "out.jsonl").read_text() == "as before\n"
