"""Programs of the fault kit run as programs do, die where and when they are told to, and leave nobody behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipe_core.kernel.errors import SettingsError
from pipe_core.testing.faulting import drivers as module
from pipe_core.testing.faults import DriverError, Drivers, Gate, Oracle
from pipe_core.testing.leaks import no_leaks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.fixture(scope="module")
def drivers() -> Iterator[Drivers]:
    with Drivers() as drivers:
        yield drivers


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text)
    return path


def test_a_script_runs_as_a_script(drivers: Drivers, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("word = 'beside'")
    text = """
import atexit, json, os, sys
import beside
atexit.register(print, '"at exit"')
print(json.dumps([__name__, sys.argv[1:], os.getcwd(), os.environ["WORD"], beside.word, sys.stdin.read()]))
print("to the other", file=sys.stderr)
"""
    (tmp_path / "elsewhere").mkdir()
    path = script(tmp_path, text)
    ended = drivers.run(path, "one", "two", folder=tmp_path / "elsewhere", environment={"WORD": "said"})
    first, last = ended.output.splitlines()
    assert first == f'["__main__", ["one", "two"], "{tmp_path / "elsewhere"}", "said", "beside", ""]'
    assert (ended.code, last, ended.said, ended.errors) == (0, '"at exit"', "at exit", "to the other\n")
    assert "WORD" not in os.environ


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os._exit(9)", 9, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import os, signal; signal.raise_signal(signal.SIGINT)", -2, "KeyboardInterrupt"),
    ],
)
def test_it_is_told_how_a_program_ended(drivers: Drivers, text: str, code: int, words: str, tmp_path: Path) -> None:
    ended = drivers.run(script(tmp_path, text))
    assert (ended.code, ended.killed) == (code, code == -9)
    assert words in ended.errors
    assert ended.errors == "" or words


RUN = """
import sys
from pipe_core import Pipe
from pipe_core.testing.faults import Oracle

oracle = Oracle(2_000)
pipe = Pipe(list(oracle.records()), "out.jsonl", schema=oracle.schema, errors="bad.jsonl", chunk_size=500,
            checkpoint="runs", checkpoint_seconds=1e-9)
getattr(pipe, sys.argv[1])()
"""


def test_a_program_dies_at_a_failpoint_and_another_goes_on(drivers: Drivers, tmp_path: Path) -> None:
    path = script(tmp_path, RUN)
    assert drivers.run(path, "run", folder=tmp_path, failpoints="checkpoint.kept=kill@2").killed
    assert not (tmp_path / "out.jsonl").exists()
    assert drivers.run(path, "resume", folder=tmp_path).code == 0
    Oracle(2_000).check_files(tmp_path / "out.jsonl", tmp_path / "bad.jsonl")


def test_a_program_dies_after_a_time(drivers: Drivers, tmp_path: Path) -> None:
    text = "import time; open('began', 'w').close(); time.sleep(60)"
    assert drivers.run(script(tmp_path, text), folder=tmp_path, kill_after=0.5).killed
    assert (tmp_path / "began").exists()


def test_a_failpoint_that_is_none_is_refused(drivers: Drivers, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no place 'checkpoint\.keept'"):
        drivers.start(script(tmp_path, ""), failpoints="checkpoint.keept=kill")


CHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=len(sys.argv) > 1)
open("began", "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize("arguments", [[], ["a session of its own"]])
def test_who_outlives_a_program_is_found(drivers: Drivers, arguments: list[str], tmp_path: Path) -> None:
    driver = drivers.start(script(tmp_path, CHILD), *arguments, folder=tmp_path)
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    (child,) = driver.family()
    assert driver.poll() is None
    driver.kill()
    assert driver.wait().killed
    assert driver.orphans(0.1) == [child]
    os.kill(child, signal.SIGKILL)
    assert driver.orphans(30) == []


def test_a_program_that_does_not_end_is_killed_with_all_it_has_started(drivers: Drivers, tmp_path: Path) -> None:
    driver = drivers.start(script(tmp_path, "print('here', flush=True)\n" + CHILD), folder=tmp_path)
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    with pytest.raises(DriverError, match=r"still runs after 0\.1 s. It said: \('here"):
        driver.wait(0.1)
    assert driver.orphans(30) == []
    assert driver.wait().killed


def test_several_run_at_once(drivers: Drivers, tmp_path: Path) -> None:
    gates = [Gate(tmp_path, name) for name in ("one", "two")]
    text = """
import sys
from pipe_core.testing.faults import Gate
Gate(".", sys.argv[1]).pass_through()
"""
    running = [drivers.start(script(tmp_path, text), name, folder=tmp_path) for name in ("one", "two")]
    for gate in gates:
        gate.wait_until_reached()
    gates[1].open()
    assert running[1].wait().code == 0
    assert running[0].poll() is None
    gates[0].open()
    assert running[0].wait().code == 0


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with no_leaks(), Drivers() as drivers:
        driver = drivers.start(script(tmp_path, CHILD), folder=tmp_path)
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
    assert driver.orphans(30) == []
    with pytest.raises(DriverError, match="has ended"):
        drivers.start(tmp_path / "script.py")


def test_a_thread_keeps_a_process_from_being_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True, name='busy').start()"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DriverError, match="as long as it has one thread, and these run: MainThread, busy"):
        Drivers(["threaded"])


def test_a_module_that_is_not_there_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DriverError, match="what it said is on standard error"):
        Drivers(["no_such_module"])
    assert "No module named 'no_such_module'" in capfd.readouterr().err


def test_a_system_without_fork_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module.os, "fork")
    with pytest.raises(DriverError, match=f"{sys.platform} has no fork"):
        Drivers()
