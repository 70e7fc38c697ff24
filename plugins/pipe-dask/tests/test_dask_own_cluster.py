"""The cluster that is started here: where it listens, what it takes with it, how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipe_core import BackendLost, Executor, WorkerKilled, get_executor

LIMIT = 40


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    made = get_executor("dask", max_workers=2, prefetch=2)
    try:
        yield made
    finally:
        made.shutdown()


def host_of(executor: Executor) -> psutil.Process:
    backend: Any = executor._backend
    return psutil.Process(backend._cluster._process.pid)


def results(futures: list[Future[Any]]) -> list[Any]:
    _done, pending = wait(futures, LIMIT)
    assert not pending
    return [future.result() for future in futures]


def holder(folder: Path, name: str = "open") -> Any:
    """A call that says that it runs, and waits for a file."""
    here, gate = str(folder / "here"), str(folder / name)

    def hold() -> int:
        import os
        import time
        from pathlib import Path

        Path(f"{here}-{os.getpid()}").touch()
        deadline = time.monotonic() + 60
        while not Path(gate).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return os.getpid()

    return hold


def wait_until(holds: Any, seconds: float = LIMIT) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- what it is ---


def test_it_listens_on_loopback_only(executor: Executor) -> None:
    host = host_of(executor)
    listening = [
        one.laddr.ip
        for process in [host, *host.children(recursive=True)]
        for one in process.net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3, "a scheduler and two workers listen"
    assert set(listening) <= {"127.0.0.1", "::1"}


def test_workers_run_in_the_working_folder_and_import_from_where_this_process_does(executor: Executor) -> None:
    def look() -> tuple[str, list[str]]:
        import os
        import sys

        return os.getcwd(), sys.path

    folder, path = executor.submit(look).result(LIMIT)
    assert folder == os.getcwd()
    assert {place for place in sys.path if place} <= set(path)


def test_workers_ignore_ctrl_c(executor: Executor) -> None:
    def interrupted() -> str:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGINT)
        return "still here"

    assert executor.submit(interrupted).result(LIMIT) == "still here"


def test_a_worker_has_one_thread_for_calls(executor: Executor) -> None:
    backend: Any = executor._backend
    threads = backend._there.ask(lambda client: client.scheduler.ncores())
    assert list(threads.values()) == [1, 1]


def test_no_worker_is_given_up_for_having_died_twice(executor: Executor) -> None:
    """Dask's own setting ends it for good if it is away fifteen seconds after it died before."""

    def look() -> str:
        import dask.config

        return str(dask.config.get("distributed.deploy.lost-worker-timeout"))

    backend: Any = executor._backend
    assert backend._there.ask(lambda client: client.run_on_scheduler(look)) == "365 days"


def test_dask_s_settings_here_stay_as_they_were() -> None:
    import dask.config
    import distributed  # its import adds settings

    before = dask.config.config.copy(), distributed.client._get_global_client()
    with get_executor("dask", max_workers=1) as executor:
        assert executor.submit(abs, -1).result(LIMIT) == 1
        assert (dask.config.config, distributed.client._get_global_client()) == before
    assert (dask.config.config, distributed.client._get_global_client()) == before


# --- what travels ---


@pytest.mark.parametrize("size", [0, 1, 4000, 5000, 3_000_000, 12_000_000])
def test_arguments_and_results_of_any_size_come_through(executor: Executor, size: int) -> None:
    """Small results come with an event, larger ones are fetched; Dask warns of arguments beyond ten megabytes."""
    data = os.urandom(size)
    assert executor.submit(bytes.upper, data).result(LIMIT) == data.upper()


def test_what_looks_like_dask_s_own_is_data(executor: Executor) -> None:
    """Keys, tasks and tuples with functions: Dask replaces or runs them where it sees them."""
    values = [("abs", -1), (abs, -1), {"key": (sum, [1, 2])}, ["pipe_call"], b"pipe_call", ("pipe_call", 0)]
    assert results([executor.submit(lambda value: value, value) for value in values]) == values


def test_keyword_arguments_that_dask_would_take_for_itself_are_the_call_s(executor: Executor) -> None:
    given = {"key": 1, "workers": 2, "pure": 3, "resources": 4, "retries": 5, "dask_worker": 6}
    assert executor.submit(dict, **given).result(LIMIT) == given


def test_large_and_small_results_do_not_mix(executor: Executor) -> None:
    sizes = [10, 9000, 3, 5000, 100_000, 1, 8000] * 6
    found = results([executor.submit(lambda n, i: (i, b"x" * n), n, i) for i, n in enumerate(sizes)])
    assert [(i, len(data)) for i, data in found] == list(enumerate(sizes))


# --- deaths ---


def test_a_killer_is_told_alone_and_what_it_had_noted(executor: Executor, tmp_path: Path) -> None:
    """Twenty calls around it are handed over, some to the worker that dies."""
    log = tmp_path / "log"

    def innocent(number: int) -> int:
        with open(log, "a") as file:
            file.write(f"{number}\n")
        return number

    def killer() -> None:
        import os

        from pipe_core.runtime import beat

        beat.row[beat.AT] = 41
        beat.row[beat.HOOK] = 3
        os._exit(1)

    futures = [executor.submit(innocent, i) for i in range(10)]
    dying = executor.submit(killer)
    futures += [executor.submit(innocent, i) for i in range(10, 20)]
    error = dying.exception(LIMIT)
    assert isinstance(error, WorkerKilled)
    assert (error.at, error.hook) == (41, 3)
    assert results(futures) == list(range(20))
    assert sorted({int(line) for line in log.read_text().split()}) == list(range(20))


def test_many_killers_among_many_calls_are_each_told(executor: Executor) -> None:
    def work(number: int) -> int:
        import os
        import signal

        if number % 12 == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    futures = [executor.submit(work, i) for i in range(36)]
    wait(futures, 2 * LIMIT)
    told = {i for i, future in enumerate(futures) if isinstance(future.exception(0), WorkerKilled)}
    assert told == {5, 17, 29}
    assert [future.result(0) for i, future in enumerate(futures) if i not in told] == [
        i for i in range(36) if i not in told
    ]


# --- the end ---


def test_the_end_of_its_host_is_told_to_all_who_wait(tmp_path: Path) -> None:
    executor = get_executor("dask", max_workers=2, prefetch=1)
    try:
        futures = [executor.submit(holder(tmp_path)) for _ in range(6)]
        wait_until(lambda: len(list(tmp_path.glob("here-*"))) == 2)
        host = host_of(executor)
        workers = host.children(recursive=True)
        host.kill()
        _done, pending = wait(futures, 15)
        assert not pending
        assert {type(future.exception(0)) for future in futures} == {BackendLost}
        assert isinstance(executor.submit(abs, -1).exception(LIMIT), BackendLost)
        with pytest.raises(BackendLost):
            executor.everywhere(os.getpid)
        with pytest.raises(BackendLost):
            executor.share(1)
    finally:
        executor.shutdown()
    assert not psutil.wait_procs(workers, timeout=5)[1]


def test_terminating_ends_calls_that_run_at_once(tmp_path: Path) -> None:
    executor = get_executor("dask", max_workers=2, prefetch=1)
    futures = [executor.submit(holder(tmp_path)) for _ in range(8)]
    wait_until(lambda: len(list(tmp_path.glob("here-*"))) == 2)
    host = host_of(executor)
    processes = [host, *host.children(recursive=True)]
    executor.terminate()
    _done, pending = wait(futures, LIMIT)
    assert not pending
    running = [future for future in futures if not future.cancelled() and isinstance(future.exception(), WorkerKilled)]
    others = [future for future in futures if future not in running]
    assert len(running) == 2
    assert all(one.cancelled() or isinstance(one.exception(), CancelledError) for one in others)
    assert not psutil.wait_procs(processes, timeout=5)[1]


def test_its_folder_is_gone_with_it() -> None:
    with get_executor("dask", max_workers=1) as executor:
        backend: Any = executor._backend
        folder: Path = backend._cluster._folder
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def run_script(folder: Path, code: str) -> subprocess.Popen[str]:
    script = folder / "script.py"
    script.write_text(code)
    return subprocess.Popen(
        [sys.executable, str(script)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_script_that_loses_workers_says_nothing_but_what_it_prints(tmp_path: Path) -> None:
    """Nor does its end: no log lines, no tracebacks, no warnings. It needs no guard."""
    code = """
import os
from pipe_core import get_executor, WorkerKilled

def die():
    os._exit(1)

with get_executor("dask", max_workers=2, prefetch=2) as executor:
    dying = executor.submit(die)
    print(sum(executor.map(abs, range(10))), type(dying.exception()).__name__)

executor = get_executor("dask", max_workers=1)
print(executor.submit(abs, -1).result())
executor._backend._cluster.kill()
print(type(executor.submit(abs, -1).exception()).__name__)
executor.shutdown()

executor = get_executor("dask", max_workers=1)
executor.terminate()

executor = get_executor("dask", max_workers=1)
executor.submit(print, "from a worker", flush=True)
"""
    script = run_script(tmp_path, code)
    out, errors = script.communicate(timeout=55)
    assert errors == ""
    assert out.split("\n") == ["45 WorkerKilled", "1", "BackendLost", "from a worker", ""]
    assert script.returncode == 0


@pytest.mark.parametrize("busy", ["sleeping", "stubborn"])
def test_nothing_is_left_when_the_driver_is_killed(tmp_path: Path, busy: str) -> None:
    """Also not a worker that is in the middle of something that lets no other thread of it run."""
    code = f"""
import time
from pipe_core import get_executor
from pathlib import Path

def sleeping():
    Path("here").touch()
    time.sleep(100)

def stubborn():
    Path("here").touch()
    return sum(range(10 ** 12))

executor = get_executor("dask", max_workers=2)
executor.submit({busy})
while not Path("here").exists():
    time.sleep(0.01)
process = executor._backend._cluster._process
print(process.pid, executor._backend._cluster._folder, flush=True)
time.sleep(100)
"""
    script = run_script(tmp_path, code)
    assert script.stdout is not None
    pid, _, folder = script.stdout.readline().strip().partition(" ")
    host = psutil.Process(int(pid))
    processes = [host, *host.children(recursive=True)]
    assert len(processes) >= 3
    os.kill(script.pid, signal.SIGKILL)
    script.wait(LIMIT)
    left = psutil.wait_procs(processes, timeout=2)[1]
    script.communicate(timeout=LIMIT)
    assert [one for one in left if one.status() != psutil.STATUS_ZOMBIE] == []
    assert not Path(folder).exists()


def test_a_cluster_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['dask'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BackendLost, match=r"(?s)did not come up.*dask.config"):
        get_executor("dask", max_workers=1)
