"""The cluster of this machine that is started where nobody names one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipe_core import BackendLost, Executor, VersionMismatchError, WorkerKilled, get_executor
from pipe_ray.messages import UP

pytestmark = pytest.mark.timeout(240)
LIMIT = 30.0


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    made = get_executor("ray", max_workers=2)
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture
def fresh() -> Iterator[Executor]:
    made = get_executor("ray", max_workers=2)
    try:
        yield made
    finally:
        made.terminate()


def family(executor: Any) -> list[psutil.Process]:
    """The host, and all that came of it."""
    host = psutil.Process(executor._backend._link._process.pid)
    return [host, *host.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# --- who may reach it ---


def test_it_listens_to_this_machine_only(executor: Executor) -> None:
    heard = [
        connection.laddr.ip.removeprefix("::ffff:")
        for process in family(executor)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(heard) >= 4
    assert {ip for ip in heard if not ip.startswith("127.")} == set()


def test_who_has_no_token_is_refused(executor: Executor) -> None:
    def address() -> str:
        import ray

        found: str = ray.get_runtime_context().gcs_address
        return found

    code = f"from ray._raylet import GcsClient; GcsClient(address={executor.submit(address).result(LIMIT)!r})"
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    for token in ({}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
        line = [sys.executable, "-c", f"{code}.internal_kv_keys(b'')"]
        done = subprocess.run(line, env={**env, **token}, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode != 0
        assert "InvalidAuthToken" in done.stderr


# --- where calls run ---


def test_workers_are_where_the_driver_is(executor: Executor) -> None:
    def look() -> tuple[str, list[str], bool, bool]:
        import os
        import signal
        import sys
        import threading

        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        return os.getcwd(), sys.path, threading.current_thread() is threading.main_thread(), ignored

    folder, path, main, ignored = executor.submit(look).result(LIMIT)
    assert folder == os.getcwd()
    assert set(sys.path) <= set(path)
    assert main
    assert ignored


def test_ctrl_c_at_everybody_ends_nobody(executor: Executor) -> None:
    processes = family(executor)
    for process in processes:
        process.send_signal(signal.SIGINT)
    assert list(executor.map(abs, range(-4, 0))) == [4, 3, 2, 1]
    assert alive(processes) == processes


def test_a_call_that_holds_the_interpreter_is_killed(executor: Executor) -> None:
    def backtrack() -> None:
        import re

        re.match(r"(a+)+$", "a" * 50 + "b")

    hanging = executor.submit(backtrack)
    until(hanging.running)
    assert executor.give_up(hanging, TimeoutError("too long"))
    assert isinstance(hanging.exception(LIMIT), TimeoutError)
    assert executor.submit(abs, -1).result(LIMIT) == 1


def test_a_worker_that_dies_tells_where_it_was(executor: Executor) -> None:
    def die() -> None:
        import os

        from pipe_core.runtime import beat

        beat.row[beat.AT], beat.row[beat.HOOK] = 41, 3
        os._exit(1)

    error = executor.submit(die).exception(LIMIT)
    assert isinstance(error, WorkerKilled)
    assert (error.at, error.hook) == (41, 3)
    assert "process" in str(error)


@pytest.mark.skipif(sys.platform != "linux", reason="nobody can be asked there for a process of somebody else's")
def test_a_death_is_told_although_a_child_of_the_worker_lives_on(tmp_path: Path) -> None:
    """It has the worker's sockets, so that they are not closed."""
    child, over = tmp_path / "child", tmp_path / "over"

    def fork_and_die() -> None:
        import os
        import time

        if number := os.fork():
            child.write_text(str(number))
            os._exit(1)
        for _ in range(6_000):  # a minute
            time.sleep(0.01)
            if over.exists():
                break
        os._exit(0)

    with get_executor("ray", max_workers=1) as executor:
        before = executor.submit(os.getpid).result(LIMIT)
        dying = executor.submit(fork_and_die)
        behind = executor.submit(os.getpid)
        try:
            error = dying.exception(LIMIT)
            assert behind.result(LIMIT) != before
            assert psutil.pid_exists(int(child.read_text()))
        finally:
            over.touch()
    assert isinstance(error, WorkerKilled)
    assert "Ray has not said why" in str(error)


def test_an_answer_given_before_a_death_counts() -> None:
    with get_executor("ray", max_workers=1, prefetch=3) as executor:
        for _ in range(4):
            before = [executor.submit(abs, -i) for i in range(3)]
            dying = executor.submit(os._exit, 1)
            behind = executor.submit(abs, -1)
            assert [future.result(LIMIT) for future in [*before, behind]] == [0, 1, 2, 1]
            assert isinstance(dying.exception(LIMIT), WorkerKilled)


def test_a_call_is_killed_while_a_child_of_its_worker_lives(executor: Executor, tmp_path: Path) -> None:
    """It holds what its parent held, also the socket."""
    there, forked = tmp_path / "there", tmp_path / "forked"
    there.touch()

    def hang_with_a_child(there: str, forked: str) -> None:
        import os
        import time

        child = not os.fork()
        if not child:
            os.close(os.open(forked, os.O_CREAT))
        deadline = time.monotonic() + 120
        while os.path.exists(there) and time.monotonic() < deadline:
            time.sleep(0.01)
        if child:
            os._exit(0)

    hanging = executor.submit(hang_with_a_child, str(there), str(forked))
    until(forked.exists)
    assert executor.give_up(hanging, TimeoutError("too long"))
    assert isinstance(hanging.exception(LIMIT), TimeoutError)
    assert list(executor.map(abs, range(-4, 0))) == [4, 3, 2, 1]
    there.unlink()  # and the child ends


def test_what_is_shared_while_calls_run_is_there_for_the_next(executor: Executor) -> None:
    running = [executor.submit(time.sleep, 0.2) for _ in range(4)]
    shared = executor.share("kept")
    assert [executor.submit(shared.get).result(LIMIT) for _ in range(4)] == ["kept"] * 4
    assert [future.result(LIMIT) for future in running] == [None] * 4


def test_a_worker_that_cannot_answer_is_replaced(executor: Executor) -> None:
    """As one whose memory is out."""

    def fail() -> None:
        from pipe_core.runtime import wire

        def run_out(frame: bytes) -> bytes:
            raise MemoryError("no room")

        wire.run_frame = run_out

    executor.submit(fail).result(LIMIT)
    errors = [executor.submit(abs, -1).exception(LIMIT) for _ in range(10)]
    told = [error for error in errors if error is not None]
    assert [type(error) for error in told] == [WorkerKilled]
    assert "no room" in str(told[0])


def test_workers_end_in_order(tmp_path: Path) -> None:
    note = tmp_path / "note"

    def remember(path: str) -> int:
        import atexit
        import multiprocessing.util
        import os
        from pathlib import Path

        def left() -> None:
            with Path(path).open("a") as file:
                file.write("finalized\n")

        multiprocessing.util.Finalize(None, left, exitpriority=10)
        atexit.register(left)
        return os.getpid()

    with get_executor("ray", max_workers=1) as executor:
        executor.submit(remember, str(note)).result(LIMIT)
    assert note.read_text("utf-8").splitlines() == ["finalized"] * 2


def test_a_worker_of_other_versions_that_comes_late_gets_no_call(fresh: Executor) -> None:
    """As one that takes the place of a dead one, on another machine."""
    backend: Any = fresh._backend
    there = {**next(iter(backend._workers.values())), "pipe-core": "0.0.1"}
    running = fresh.submit(time.sleep, 1000)
    backend._hear(UP, 0, json.dumps({"name": "elsewhere", "versions": there}).encode())
    for future in [running, fresh.submit(abs, -1)]:
        error = future.exception(LIMIT)
        assert isinstance(error, VersionMismatchError)
        assert list(error.workers) == ["elsewhere"]


# --- what is lost ---


@pytest.mark.parametrize("name", ["gcs_server", "raylet", "python"])
def test_the_loss_of_the_cluster_is_told_to_all(fresh: Executor, name: str) -> None:
    """Its head, what runs the workers, and the host itself."""
    processes = family(fresh)
    running = [fresh.submit(time.sleep, 1000) for _ in range(2)]
    waiting = [fresh.submit(abs, -1) for _ in range(5)]
    until(lambda: all(future.running() for future in running))
    host = fresh._backend._link._process.pid  # type: ignore[attr-defined]  # Ray's backend has a link
    victim = host if name == "python" else next(one.pid for one in processes if one.name() == name)
    os.kill(victim, signal.SIGKILL)
    ends = [future.exception(LIMIT) for future in [*running, *waiting, fresh.submit(abs, -1)]]
    assert {type(end) for end in ends} == {BackendLost}  # no worker is blamed that dies with its raylet
    assert all("A new executor starts another one" in str(end) for end in ends)
    fresh.shutdown()
    until(lambda: not alive(processes))


def test_nothing_is_left_of_it() -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    with get_executor("ray", max_workers=1) as executor:
        executor.share(bytes(10_000))
        processes = family(executor)
        assert len(processes) >= 4
        folder = executor._backend._link._folder  # type: ignore[attr-defined]  # as above
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert not alive(processes)
    left = {name for name in set(os.listdir(tempfile.gettempdir())) - before if name == folder.name}
    assert left == set()


_DRIVER = """
import json, os, sys, time
import psutil
from pipe_core import get_executor

executor = get_executor("ray", max_workers=2)

def hang():
    import re
    re.match(r"(a+)+$", "a" * 50 + "b")

running = [executor.submit(hang) for _ in range(2)]
while not all(future.running() for future in running):
    time.sleep(0.01)
time.sleep(0.2)
pids = [child.pid for child in psutil.Process().children(recursive=True)]
print(json.dumps([pids, str(executor._backend._link._folder)]), flush=True)
time.sleep(1000)
"""


def test_nothing_outlives_a_driver_that_is_killed() -> None:
    """Not even workers that never give the interpreter up."""
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    pids, folder = json.loads(driver.stdout.readline())
    processes = [psutil.Process(pid) for pid in pids]
    assert len(processes) >= 5
    driver.kill()
    driver.wait(LIMIT)
    driver.stdout.close()
    until(lambda: not alive(processes) and not os.path.exists(folder))


def test_what_a_driver_left_that_was_killed_with_its_host_goes_with_the_next_one() -> None:
    driver = subprocess.Popen([sys.executable, "-c", _DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    pids, folder = json.loads(driver.stdout.readline())
    processes = [psutil.Process(pid) for pid in pids]
    driver.send_signal(signal.SIGSTOP)  # it would notice, and tidy up
    for process in processes:
        process.kill()
    driver.kill()
    driver.wait(LIMIT)
    driver.stdout.close()
    until(lambda: not alive(processes))
    assert os.path.exists(folder)
    with get_executor("ray", max_workers=1):
        assert not os.path.exists(folder)


# --- what is seen of it ---

_SCRIPT = """
import os
from pipe_core import get_executor

with get_executor("ray", max_workers=2) as executor:
    def work(number):
        print("from a worker")
        if number == 3:
            os._exit(1)
        return number

    futures = [executor.submit(work, number) for number in range(6)]
    print([type(f.exception()).__name__ if f.exception() else f.result() for f in futures])
    print("ray" in __import__("sys").modules)
"""


def test_a_script_prints_what_it_prints() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=2 * LIMIT)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[0, 1, 2, 'WorkerKilled', 4, 5]", "False"]


_MINE = """
import os, sys
import ray
from pipe_core import get_executor

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error", _temp_dir=sys.argv[1])
kept = ray.put("mine")
before = ray.available_resources()
with get_executor("ray") as executor:
    def where():
        import ray
        return ray.get_runtime_context().gcs_address
    assert executor.slots == 2, executor.slots
    assert executor.submit(where).result() == ray.get_runtime_context().gcs_address
assert ray.is_initialized()
assert ray.get(kept) == "mine"

@ray.remote(num_cpus=2)
def all_of_it():
    return "free"

print(ray.get(all_of_it.remote(), timeout=30))
ray.shutdown()
"""


def test_the_ray_of_this_process_is_used_and_stays() -> None:
    with tempfile.TemporaryDirectory(prefix="pm-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        env = {**os.environ, "RAY_AUTH_MODE": "disabled"}
        line = [sys.executable, "-c", _MINE, folder]
        done = subprocess.run(line, capture_output=True, text=True, timeout=3 * LIMIT, env=env)
    assert done.stdout.splitlines()[-1:] == ["free"], done.stderr
