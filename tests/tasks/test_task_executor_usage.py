"""What an executor says that it costs: cores and memory of its own process, its children and workers elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import psutil
import pytest
from held_calls import LIMIT, ON_THREADS, wait_for

from pipe_core import BackendLost, Executor, TaskExecutor
from pipe_core.runtime import costs
from pipe_core.tasks import usage

pytestmark = [pytest.mark.timeout(200), pytest.mark.alone]

INSTALLED = entry_points(group="pipe_core.executors").names
PLACES = [
    name if name == "loky" else pytest.param(name, marks=pytest.mark.thorough)
    for name in sorted(INSTALLED & {"dask", "loky", "ray"})
]
ELSEWHERE = pytest.mark.parametrize("started", sorted(INSTALLED & {"dask", "loky", "ray"}), indirect=True)
ON_CLUSTERS = pytest.mark.parametrize("started", sorted(INSTALLED & {"dask", "ray"}), indirect=True)

QUIET = 10.0
"""Per cent of the cores that others may use while a test says how many we do."""


def spin(until: str, begun: str) -> int:
    """Keep a core busy until there is a file. Gives the process that did."""
    Path(begun, str(os.getpid())).touch()
    while not os.path.exists(until):
        for _ in range(10_000):
            pass
    return os.getpid()


def fill(megabytes: int, until: str, begun: str) -> int:
    held = b"x" * (megabytes * 2**20)
    Path(begun, str(os.getpid())).touch()
    while not os.path.exists(until):
        time.sleep(0.005)
    return len(held)


class Calls:
    """As many calls as there are slots, all at work, until the block ends."""

    def __init__(self, executor: TaskExecutor, folder: Path, fn: Any, *args: Any) -> None:
        self._executor, self._call = executor, (fn, *args)
        self._folder = folder / f"calls-{time.monotonic_ns()}"
        self._folder.mkdir()

    def __enter__(self) -> list[Any]:
        begun = self._folder / "begun"
        begun.mkdir()
        fn, *args = self._call
        self.futures = [
            self._executor.submit(fn, *args, str(self._folder / "end"), str(begun)) for _ in range(self._executor.slots)
        ]
        wait_for(lambda: len(list(begun.iterdir())) == self._executor.slots)
        return self.futures

    def __exit__(self, *_: Any) -> None:
        (self._folder / "end").touch()
        for future in self.futures:
            future.result(LIMIT)


def is_quiet() -> bool:
    return psutil.cpu_percent(0.4) < QUIET


IDLE = """
import sys, time
from pipe_core import TaskExecutor

with TaskExecutor(sys.argv[1], 2) as executor:
    executor.wait([executor.submit(pow, 2, 3) for _ in range(2)], 60)
    assert executor.get_cpu_usage() == 0.0, "nothing was before"
    for _ in range(8):
        time.sleep(0.5)
        found = executor.get_cpu_usage()
        if found < float(sys.argv[2]):
            sys.exit()
sys.exit(f"never less than {found} %")
"""


@pytest.mark.parametrize("name", PLACES)
def test_idle_slots_use_no_cores(name: str) -> None:
    """In a process of its own: what other tests have left in this one, and its children, would count."""
    most = "5" if name == "loky" else "15"  # a cluster here has work of its own
    command = [sys.executable, "-c", IDLE, name, most]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("started", PLACES, indirect=True)
def test_busy_slots_use_their_cores(started: Executor, tmp_path: Path) -> None:
    cores = psutil.cpu_count() or 1
    if cores < started.slots:
        pytest.skip(f"{started.slots} slots and {cores} cores")
    with TaskExecutor(started) as executor:
        for _ in range(5):
            before = is_quiet()
            with Calls(executor, tmp_path, spin) as futures:
                executor.get_cpu_usage()
                time.sleep(1.0)
                found = executor.get_cpu_usage()
                assert not any(future.done() for future in futures), "it is asked beside the calls"
            assert 0 < found <= 100
            if before and is_quiet():
                assert found > 80
                return
    pytest.skip("others keep the cores busy")


@ELSEWHERE
def test_what_calls_hold_in_memory_counts(started: Executor, tmp_path: Path) -> None:
    with TaskExecutor(started) as executor:
        executor.wait([executor.submit(pow, 2, 3) for _ in range(executor.slots)], LIMIT)
        before = executor.get_memory_usage()
        with Calls(executor, tmp_path, fill, 100) as futures:
            more = executor.get_memory_usage() - before
            assert not any(future.done() for future in futures), "it is asked beside the calls"
        assert 0.8 < more / (executor.slots * 100 * 2**20) < 1.5


@ON_CLUSTERS
def test_workers_that_are_no_children_count_too(
    started: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TaskExecutor(started) as executor:
        both = executor.get_memory_usage()
        monkeypatch.setattr(usage, "family", lambda: {("elsewhere", os.getpid())})
        monkeypatch.setattr(usage, "cost_of", lambda: costs.Cost("elsewhere", os.getpid(), 0.0, 1))
        with Calls(executor, tmp_path, spin) as futures:
            alone = executor.get_memory_usage()
            executor.get_cpu_usage()
            time.sleep(0.5)
            assert executor.get_cpu_usage() > 0
        pids = {future.result(LIMIT) for future in futures}
        assert len(pids) == executor.slots
        assert alone == pytest.approx(sum(psutil.Process(pid).memory_info().rss for pid in pids), rel=0.3)
        assert alone < both, "a worker that is a child of this process is counted once"


@ON_CLUSTERS
def test_the_costs_of_each_worker_are_told_once(started: Executor) -> None:
    pids = {outcome.value for outcome in started.everywhere(os.getpid)}
    found = started.costs()
    assert {cost.pid for cost in found} == pids
    assert len(found) == started.slots
    assert all(cost.cpu > 0 and cost.memory > 2**20 for cost in found)


@ON_THREADS[1]
def test_the_memory_of_children_counts() -> None:
    with TaskExecutor(max_workers=1) as executor, psutil.Popen(["sleep", "60"]) as child:
        try:
            before = executor.get_memory_usage()
            own = psutil.Process().memory_info().rss
            assert before >= own + child.memory_info().rss // 2
        finally:
            child.kill()


@ON_THREADS[1]
def test_a_cluster_that_is_gone_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> list[costs.Cost]:
        raise BackendLost("it is gone")

    with TaskExecutor(max_workers=1) as executor:
        monkeypatch.setattr(executor, "costs", gone)
        assert executor.get_memory_usage() > 2**20


def test_cores_that_a_child_used_count_when_it_has_ended() -> None:
    before = costs.cost_of()
    code = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    with psutil.Popen([sys.executable, "-c", code]) as child:
        child.wait(LIMIT)
    after = costs.cost_of()
    assert before is not None
    assert after is not None
    assert after.cpu - before.cpu > 0.45


def test_a_process_that_is_not_there_costs_nothing() -> None:
    with psutil.Popen(["true"]) as gone:
        gone.wait(LIMIT)
    assert costs.cost_of(gone.pid) is None
