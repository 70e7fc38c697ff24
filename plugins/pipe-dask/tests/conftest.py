"""Clusters that somebody else started: a scheduler and workers in processes of their own, on loopback."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from distributed import Client


@dataclass
class Cluster:
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def add_worker(self, *, path: str | None = None, nanny: bool = True, threads: int = 1) -> None:
        env = {**os.environ, "PYTHONPATH": path} if path else None
        extra = ["--nanny" if nanny else "--no-nanny", "--nthreads", str(threads), "--no-dashboard", *self.options]
        self.workers.append(start("worker", self.address, "--host", "127.0.0.1", *extra, env=env))

    def wait_for(self, count: int) -> None:
        with self.client() as client:
            client.wait_for_workers(count, timeout=40)

    @contextmanager
    def client(self, **options: Any) -> Iterator[Client]:
        client: Any = Client(self.address, set_as_default=False, timeout=20, **options)
        try:
            yield client
        finally:
            client.close()

    def end(self) -> None:
        for process in [*self.workers, self.scheduler]:
            end(process)


def start(command: str, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "dask", command, *args]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def start_cluster(
    folder: Path, workers: int, options: list[str] | None = None, failures: int | None = None, **how: Any
) -> Cluster:
    file = Path(tempfile.mkdtemp(dir=folder)) / "scheduler.json"  # of this cluster and no other
    where = ["--host", "tls://127.0.0.1"] if options else ["--host", "127.0.0.1"]
    args = [*where, "--port", "0", "--no-dashboard", "--scheduler-file", str(file), *(options or [])]
    env = {} if failures is None else {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(failures)}
    scheduler = start("scheduler", *args, env={**os.environ, **env})
    deadline = time.monotonic() + 40
    while not file.exists() or not file.read_text("utf-8"):
        assert time.monotonic() < deadline
        assert scheduler.poll() is None
        time.sleep(0.05)
    cluster = Cluster(json.loads(file.read_text("utf-8"))["address"], scheduler, options=options or [])
    for _ in range(workers):
        cluster.add_worker(**how)
    return cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers of one thread, for all tests of a module."""
    made = start_cluster(tmp_path_factory.mktemp("cluster"), 2)
    try:
        made.wait_for(2)
        yield made
    finally:
        made.end()


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Any]:
    """A cluster of the test's own: ``make_cluster(workers)``."""
    made: list[Cluster] = []

    def make(workers: int, **how: Any) -> Cluster:
        made.append(start_cluster(tmp_path, workers, **how))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture(scope="session", name="start_cluster")
def _start_cluster() -> Any:
    """For fixtures of another scope, which end what they start."""
    return start_cluster
