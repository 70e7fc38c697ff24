"""The cluster is lost while every front door has work there: all end soon and say so, and nothing else is lost."""

from __future__ import annotations

import os
import runpy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tried import INSTALLED

from pipe_core import BackendLost, Engine, Executor, Pipe, Pipeline, TaskExecutor, get_executor, node
from pipe_core.project.errors import RunFailedError
from pipe_core.project.project import Project
from pipe_core.project.runs.runner import Runner
from pipe_core.runtime.history import replay
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.testing.leaks import no_leaks

pytestmark = [pytest.mark.timeout(170), pytest.mark.alone]

PLUGINS = Path(__file__).parents[2] / "plugins"
DOORS = 4
SOON = 15.0
LIMIT = 60.0


# --- clusters, and how each is lost ---


@dataclass
class Cluster:
    make: Callable[[], Executor]
    lose: Callable[[Executor], None]


@contextmanager
def dask_own(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    def lose(executor: Any) -> None:
        os.kill(executor._backend._cluster._process.pid, signal.SIGKILL)  # the scheduler is a part of it

    yield Cluster(lambda: get_executor("dask", max_workers=DOORS), lose)


@contextmanager
def dask_of_others(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    start = runpy.run_path(str(PLUGINS / "pipe-dask" / "tests" / "conftest.py"))["start_cluster"]
    cluster = start(folder, 1, threads=DOORS)
    try:
        cluster.wait_for(1)
        yield Cluster(lambda: get_executor("dask", address=cluster.address), lambda executor: cluster.scheduler.kill())
    finally:
        cluster.end()


@contextmanager
def ray_own(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    def lose(executor: Any) -> None:
        kill_child(executor._backend._link._process.pid, "gcs_server")

    yield Cluster(lambda: get_executor("ray", max_workers=DOORS), lose)


@contextmanager
def ray_of_others(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    head = runpy.run_path(str(PLUGINS / "pipe-ray" / "tests" / "conftest.py"))["Head"](cpus=DOORS)
    try:
        patch.setenv("RAY_ADDRESS", head.gcs_address)
        patch.setenv("RAY_AUTH_MODE", "disabled")

        def lose(executor: Executor) -> None:
            os.kill(head.process.pid, signal.SIGSTOP)  # it would notice, and end the rest in order
            kill_child(head.process.pid, "raylet")

        yield Cluster(lambda: get_executor("ray", address="auto"), lose)
    finally:
        head.end()


def kill_child(pid: int, name: str) -> None:
    (child,) = (one for one in psutil.Process(pid).children(recursive=True) if one.name() == name)
    child.kill()


LOSSES = {"dask own": dask_own, "dask": dask_of_others, "ray own": ray_own, "ray": ray_of_others}


@pytest.fixture(params=[name for name in LOSSES if name.split()[0] in INSTALLED])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with LOSSES[request.param](tmp_path, monkeypatch) as cluster:
        yield cluster


# --- front doors ---


def waiting(folder: Path, door: str) -> Callable[[], None]:
    """A function that says that it runs, and waits until it may go on."""
    running, go = str(folder / f"{door} runs"), str(folder / "go")

    def wait() -> None:
        import os
        import time

        os.close(os.open(running, os.O_CREAT))
        while not os.path.exists(go):
            time.sleep(0.01)

    return wait


def pipe(executor: Any, folder: Path) -> Pipe:
    wait = waiting(folder, "records")

    def hook(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 3:
            wait()

    return Pipe(
        [{"n": n} for n in range(10)],
        folder / "out" / "records.jsonl",
        executor=executor,
        mode="overwrite",
        pre_validation_hooks=[hook],
        chunk_size=2,
        max_inflight=2,
    )


def records(executor: Executor, folder: Path) -> None:
    pipe(executor, folder).run()


def graph(executor: Executor, folder: Path) -> None:
    wait = waiting(folder, "graph")
    waits, behind = node(output_name="waited")(lambda x: wait()), node(output_name="behind")(lambda waited: waited)
    Pipeline([waits, behind]).run({"x": 1}, engine=Engine(executor, executor))


def project_in(folder: Path) -> Project:
    wait = waiting(folder, "project")

    def rows() -> list[dict[str, int]]:
        return [{"n": 1}]

    def late(rows: list[dict[str, int]]) -> list[dict[str, int]]:
        wait()
        return rows

    return Project.load(
        {
            "nodes": {
                "rows": {"function": rows, "output": "rows"},
                "late": {"function": late, "input": "rows", "output": "late"},
            },
            "catalog": {"rows": {"path": "out/rows.jsonl"}, "late": {"path": "out/late.jsonl"}},
            "pipelines": {"main": {"nodes": ["rows", "late"]}},
        },
        folder=folder,
    )


def project(executor: Executor, folder: Path) -> None:
    with Runner(project_in(folder), executor) as runner:
        runner.run("main")


def tasks(executor: Executor, folder: Path) -> None:
    wait = waiting(folder, "tasks")
    with TaskExecutor(executor) as made:
        futures = [made.submit(wait), *(made.submit_with(retries=2)(wait) for _ in range(20))]
        errors = [future.exception() for future in futures]
        assert {type(error) for error in errors} == {BackendLost}
        stats = made.get_stats()
        assert (stats.submitted_tasks, stats.failed_tasks) == (21, 21)
        ledger, _ = replay(made.history())
        assert ledger.count(TaskStatus.FAILED) == 21
        assert errors[0] is not None
        raise errors[0]


def ends(executor: Executor, folder: Path, lose: Callable[[Executor], None]) -> dict[str, BaseException | None]:
    """What every front door ends with when the cluster is lost in the middle."""
    doors: list[Callable[[Executor, Path], None]] = [records, graph, project, tasks]
    found: dict[str, BaseException | None] = {}

    def enter(door: Callable[[Executor, Path], None]) -> None:
        try:
            door(executor, folder)
            found[door.__name__] = None
        except BaseException as error:
            found[door.__name__] = error

    threads = [threading.Thread(target=enter, args=(door,), daemon=True) for door in doors]
    for count, thread in enumerate(threads, 1):
        thread.start()
        wait_until(partial(are_running, folder, count))
    assert found == {}
    lose(executor)
    deadline = time.monotonic() + SOON
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert sorted(found) == sorted(door.__name__ for door in doors), "the others hang"
    return found


def are_running(folder: Path, count: int) -> bool:
    return len(list(folder.glob("* runs"))) == count


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_front_door_ends_soon_with_what_to_do(cluster: Cluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("records", "late"):
        (out / f"{name}.jsonl").write_text("as before\n")
    with no_leaks(patience=10):
        executor = cluster.make()
        found = ends(executor, tmp_path, cluster.lose)
        executor.shutdown()

    failed = found.pop("project")
    assert isinstance(failed, RunFailedError)
    assert failed.result.statuses == {"rows": "completed", "late": "failed"}
    found["project"] = failed.__cause__
    for door, error in found.items():
        assert isinstance(error, BackendLost), door
        assert "is lost" in str(error)
        assert "run again" in str(error)
    assert len(set(map(id, found.values()))) == len(found), "each gets tracebacks and notes of its own"

    assert {path.name: path.read_text() for path in out.iterdir()} == {
        "records.jsonl": "as before\n",
        "late.jsonl": "as before\n",
        "rows.jsonl": '{"n":1}\n',
    }

    (tmp_path / "go").touch()  # all can go on elsewhere
    assert pipe("sync", tmp_path).run().valid == 10
    assert (out / "records.jsonl").read_text() == "".join(f'{{"n":{n}}}\n' for n in range(10))
    with Runner(project_in(tmp_path), "sync") as runner:
        result = runner.resume(failed.result.run)
    assert result.nodes["rows"].restored
    assert (out / "late.jsonl").read_text() == '{"n":1}\n'
