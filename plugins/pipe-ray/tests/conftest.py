"""A Ray cluster that somebody else started: a head in processes of its own, with ports and folders of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

PATIENCE = 90.0

_LOOK = """
import json, sys, ray
from ray._private.state import state
ray.init(sys.argv[1], namespace="look", log_to_driver=False, logging_level="error")
actors = [one["ActorClassName"] for one in ray._private.state.actors().values() if one["State"] != "DEAD"]
named = [one for one in ray.util.list_named_actors(all_namespaces=True)]
print(json.dumps([ray.cluster_resources(), ray.available_resources(), actors, named]))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Head:
    """The head of a cluster."""

    env: dict[str, str] = field(default_factory=dict)
    client: bool = False
    cpus: int = 2

    def __post_init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="ph-", dir="/tmp")
        self.port, self.client_port = free_port(), free_port()
        ports = [f"--port={self.port}", "--dashboard-agent-listen-port=0"]
        ports += [f"--ray-client-server-port={self.client_port}"] if self.client else []
        self.process = subprocess.Popen(
            [
                Path(sys.executable).parent / "ray",
                *("start", "--head", "--block", f"--num-cpus={self.cpus}", f"--temp-dir={self.folder}", *ports),
                *("--include-dashboard=false", "--no-monitor", "--include-log-monitor=false", "--disable-usage-stats"),
                "--object-store-memory=100000000",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RAY_AUTH_MODE": "disabled", **self.env},
            start_new_session=True,
        )
        self.address = f"ray://127.0.0.1:{self.client_port}"
        self._wait_for()

    def _wait_for(self) -> None:
        deadline = time.monotonic() + PATIENCE
        found = Path(self.folder) / "ray_current_cluster"
        while not found.exists() or (self.client and not _listens(self.client_port)):
            assert self.process.poll() is None, "the head did not start"
            assert time.monotonic() < deadline, "the head does not come up"
            time.sleep(0.05)
        self.gcs_address = found.read_text("utf-8").strip()
        if self.client:
            self.look()  # its client port is open before the rest of it is there, and fails then

    def look(self) -> Any:
        """What is in use there, and by whom."""
        env = {**os.environ, "RAY_AUTH_MODE": "disabled"}
        line = [sys.executable, "-c", _LOOK, self.gcs_address]
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, env=env, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def end(self) -> None:
        end_tree(self.process.pid)
        self.process.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def end_tree(pid: int) -> None:
    """Kill a process and all that came of it."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in family:
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            pass


@pytest.fixture(name="new_head", scope="session")
def _new_head() -> Any:
    """Starts a head."""
    return Head


@pytest.fixture(name="head", scope="module")
def _head() -> Iterator[Head]:
    """One that the tests of a module share."""
    head = Head()
    try:
        yield head
    finally:
        head.end()


@pytest.fixture(name="auto")
def _auto(head: Head, monkeypatch: pytest.MonkeyPatch) -> Head:
    """The head of the module, which "auto" finds."""
    monkeypatch.setenv("RAY_ADDRESS", head.gcs_address)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return head
