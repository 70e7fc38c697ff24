"""What is special about worker processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipe_core import BackendLost, Executor, OptionsError, Outcome, WorkerKilled, get_executor
from pipe_core.runtime import beat
from pipe_core.runtime.task import Task
from pipe_core.runtime.wire import open_answer
from pipe_loky import MultiProcessingExecutor, MultiprocessingExecutor
from pipe_loky.backend import LokyBackend

LIMIT = 40


@pytest.fixture
def one() -> Iterator[Executor]:
    with get_executor("loky", max_workers=1) as executor:
        yield executor


def note_and_die(at: int, hook: int) -> None:
    beat.row[beat.AT] = at
    beat.row[beat.HOOK] = hook
    os._exit(9)


def test_a_death_tells_what_the_call_had_come_to(one: Executor) -> None:
    error = one.submit(note_and_die, 7, 2).exception(LIMIT)

    assert isinstance(error, WorkerKilled)
    assert (error.exit_code, error.at, error.hook) == (9, 7, 2)


def test_a_new_worker_does_not_inherit_the_notes_of_a_dead_one(one: Executor) -> None:
    one.submit(note_and_die, 7, 2).exception(LIMIT)
    error = one.submit(os._exit, 4).exception(LIMIT)

    assert isinstance(error, WorkerKilled)
    assert (error.exit_code, error.at, error.hook) == (4, None, None)


def test_a_signal_is_named(one: Executor) -> None:
    error = one.submit(lambda: os.kill(os.getpid(), signal.SIGSEGV)).exception(LIMIT)

    assert isinstance(error, WorkerKilled)
    assert error.exit_code == -signal.SIGSEGV
    assert "SIGSEGV" in str(error)


def append_and_sleep(file: str, line: str, seconds: float = 0) -> str:
    with open(file, "a") as lines:
        lines.write(line + "\n")
    time.sleep(seconds)
    return line


def test_calls_held_ready_behind_a_dying_one_run_exactly_once(tmp_path: Path) -> None:
    file = str(tmp_path / "lines")
    with get_executor("loky", max_workers=1, prefetch=3) as executor:
        first = executor.submit(append_and_sleep, file, "first", 0.3)
        dying = executor.submit(os._exit, 3)
        rest = [executor.submit(append_and_sleep, file, f"call {i}") for i in range(6)]
        assert first.result(LIMIT) == "first"
        assert isinstance(dying.exception(LIMIT), WorkerKilled)
        assert [future.result(LIMIT) for future in rest] == [f"call {i}" for i in range(6)]
    assert Path(file).read_text().splitlines() == ["first", *(f"call {i}" for i in range(6))]


def test_large_calls_and_answers_pass_each_other() -> None:
    """With calls held ready, both sides write more than a pipe holds at the same time."""
    data = os.urandom(4_000_000)
    with get_executor("loky", max_workers=2, prefetch=2) as executor:
        futures = [executor.submit(bytes.join, b"", [data, bytes([i])]) for i in range(12)]
        assert all(future.result(LIMIT) == data + bytes([i]) for i, future in enumerate(futures))


def test_workers_do_not_hear_ctrl_c(one: Executor) -> None:
    pid = one.submit(os.getpid).result(LIMIT)
    running = one.submit(time.sleep, 0.3)
    os.kill(pid, signal.SIGINT)
    running.result(LIMIT)

    assert one.submit(os.getpid).result(LIMIT) == pid


def test_workers_run_where_the_driver_does(one: Executor, tmp_path: Path) -> None:
    assert one.submit(os.getcwd).result(LIMIT) == os.getcwd()
    assert set(filter(None, sys.path)) <= set(one.submit(lambda: __import__("sys").path).result(LIMIT))


def leave_a_child_and_die() -> None:
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    os._exit(5)


def test_a_child_of_a_dead_worker_does_not_hide_its_death(one: Executor) -> None:
    error = one.submit(leave_a_child_and_die).exception(15)

    assert isinstance(error, WorkerKilled)
    assert error.exit_code == 5


def never_comes_up(*_: Any) -> None:
    """The worker cannot even import this module."""


def test_workers_that_do_not_come_up_are_not_started_for_ever(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setattr("pipe_loky.process.work", never_comes_up)
    with get_executor("loky", max_workers=1) as executor:
        errors = [executor.submit(abs, -i).exception(LIMIT) for i in range(3)]

    assert {type(error) for error in errors} == {BackendLost}
    assert "3 worker processes of 'loky' died" in str(errors[0])


DRIVER = """
import sys, time
from pipe_core import get_executor

def pids(path, i):
    import os, time
    open(f"{path}/{os.getpid()}", "w").close()
    BUSY

executor = get_executor("loky", max_workers=2)
for i in range(2):
    executor.submit(pids, sys.argv[1], i)
time.sleep(60)
"""
BUSY = {
    "sleeping": "time.sleep(60)",
    "never giving up the interpreter": 'import re; re.match("(a+)+$", "a" * 60 + "b")',
}


@pytest.mark.parametrize("what", BUSY)
def test_workers_end_with_their_driver(what: str, tmp_path: Path) -> None:
    script, folder = tmp_path / "driver.py", tmp_path / "pids"
    folder.mkdir()
    script.write_text(DRIVER.replace("BUSY", BUSY[what]))
    with subprocess.Popen([sys.executable, str(script), str(folder)], stderr=subprocess.PIPE) as driver:
        try:
            until = time.monotonic() + LIMIT
            while len(list(folder.iterdir())) < 2:
                assert time.monotonic() < until, driver.stderr and driver.stderr.read()
                time.sleep(0.02)
        finally:
            driver.kill()
    workers = [int(file.name) for file in folder.iterdir()]
    until = time.monotonic() + 10
    while left := [pid for pid in workers if _lives(pid)]:
        assert time.monotonic() < until, f"still there: {left}"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_is_submitted_still_runs_when_the_program_ends(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pipe_core import get_executor\n"
        "executor = get_executor('loky', max_workers=1)\n"
        "executor.submit(print, 'apple', flush=True)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LIMIT)

    assert (done.stdout, done.stderr, done.returncode) == ("apple\n", "", 0)


def test_the_classes_take_the_options_of_pipes() -> None:
    assert MultiProcessingExecutor is MultiprocessingExecutor
    with MultiprocessingExecutor(max_workers=1, chunksize=100, compression="lz4", max_inflight=5) as executor:
        assert executor.max_workers == 1
        assert executor.defaults == {"chunk_size": 100, "compression": "lz4", "max_inflight": 5}


def test_a_schema_belongs_to_the_pipe() -> None:
    with pytest.raises(OptionsError, match=re.escape("executor=MultiprocessingExecutor()")):
        MultiprocessingExecutor(dict)


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"max_workers": 0}, "max_workers"), ({"compression": "zip"}, "lz4"), ({"workers": 2}, "max_workers")],
)
def test_a_wrong_option_is_named(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(OptionsError, match=problem):
        get_executor("loky", **options)


def test_an_answer_that_was_given_before_the_death_counts(tmp_path: Path) -> None:
    """Its slot's thread hears of the death when it sends the next call, with the answer still unread."""
    calls = [Task(1, int, ("7",), {}), Task(2, os._exit, (3,), {}), Task(3, int, ("9",), {})]
    given: list[Task] = []
    ends: dict[int, Outcome | bytes] = {}
    over = threading.Event()

    def take(slot: int, wait: bool = False) -> Task | None:
        if len(given) == 2:
            time.sleep(2)  # the worker answers the first call and dies of the second one
        if len(given) < 3:
            given.append(calls[len(given)])
            return given[-1]
        if wait:
            over.wait(LIMIT)
        return None

    def done(call: Any, outcome: Outcome | bytes) -> None:
        ends[call.id] = outcome
        if len(ends) == 3:
            over.set()

    backend = LokyBackend()
    backend.start(1, take, done)
    assert over.wait(LIMIT)
    backend.stop()
    first, second, third = ends[1], ends[2], ends[3]
    assert isinstance(first, bytes)
    assert open_answer(first).value == 7
    assert isinstance(second, Outcome)
    assert isinstance(second.error, WorkerKilled)
    assert isinstance(third, Outcome)
    assert third.unstarted
