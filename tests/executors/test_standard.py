"""What the standard library promises of its executors around shutdown and the interpreter's end, on each of ours.

CPython has tests for most of it; where its scripts know only its own classes, these say the same of any executor.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import wait
from typing import Any

import pytest

from pipe_core import get_executor
from pipe_core.testing.leaks import no_leaks

EXECUTORS = ["threads", "asyncio", "loky"]
PATIENCE = 30


@pytest.fixture(params=EXECUTORS)
def name(request: pytest.FixtureRequest) -> str:
    """Of each executor that runs beside its caller on one machine."""
    return str(request.param)


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_of_workers_below_one_is_a_value_error(name: str, number: int) -> None:
    with pytest.raises(ValueError, match="max_workers"):
        get_executor(name, max_workers=number)


@pytest.mark.parametrize("end", ["", "executor.shutdown(wait=False)"], ids=["left alone", "not waited for"])
def test_what_was_submitted_runs_before_the_interpreter_ends(name: str, end: str) -> None:
    done = run(f"""
import os, time
from pipe_core import get_executor
def late(word):
    time.sleep(0.3)
    os.write(1, word)  # at once, that words do not meet
executor = get_executor({name!r}, max_workers=2)
for word in (b"one ", b"two ", b"three "):
    executor.submit(late, word)
{end}
""")
    assert (done.returncode, sorted(done.stdout.split()), done.stderr) == (0, ["one", "three", "two"], "")


def test_nothing_can_be_submitted_when_the_interpreter_ends(name: str) -> None:
    done = run(f"""
import atexit
@atexit.register
def at_the_very_end():
    try:
        executor.submit(abs, -1)
    except RuntimeError as error:
        print(str(error).partition(":")[0])
from pipe_core import get_executor
executor = get_executor({name!r}, max_workers=1)
print(executor.submit(abs, -1).result())
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\ncannot schedule new futures after shutdown\n", "")


def test_a_call_cancelled_just_before_the_shutdown_does_not_keep_it(name: str) -> None:
    for _ in range(3 if name == "loky" else 50):
        executor = get_executor(name, max_workers=1)
        executor.submit(int).result(PATIENCE)
        executor.submit(int).cancel()
        ended = threading.Thread(target=executor.shutdown)
        ended.start()
        ended.join(PATIENCE)
        assert not ended.is_alive()


def test_a_shutdown_that_cancels_lets_what_runs_end(name: str) -> None:
    executor = get_executor(name, max_workers=2)
    futures = [executor.submit(time.sleep, 0.05) for _ in range(50)]
    futures[0].result(PATIENCE)
    executor.shutdown(cancel_futures=True)
    assert wait(futures, 0).not_done == set()
    ran = [future for future in futures if not future.cancelled()]
    assert 1 <= len(ran) < 50
    assert {future.exception() for future in ran} == {None}


class Thing:
    """Something that can be referred to weakly."""


def make(number: int) -> Any:
    return Thing()


def test_map_keeps_no_result_that_it_has_given(name: str) -> None:
    with get_executor(name, max_workers=2) as executor:
        for thing in executor.map(make, range(10)):
            reference = weakref.ref(thing)
            del thing
            assert reference() is None


def test_an_argument_is_let_go_when_its_call_has_ended(name: str) -> None:
    with get_executor(name, max_workers=2) as executor:
        thing = Thing()
        gone = threading.Event()
        reference = weakref.ref(thing, lambda _: gone.set())
        executor.submit(isinstance, thing, Thing)  # nobody keeps the future
        del thing
        assert gone.wait(PATIENCE)
        assert reference() is None


@pytest.mark.parametrize("name", ["threads", "asyncio"])
def test_a_hundred_executors_leave_nothing_behind(name: str) -> None:
    with no_leaks():
        for _ in range(100):
            with get_executor(name, max_workers=3) as executor:
                assert sorted(executor.map(abs, range(-5, 5))) == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
