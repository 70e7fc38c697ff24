"""Clusters that somebody else started: used, and left as they were."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipe_core import BackendLost, VersionMismatchError, WorkerKilled, get_executor

pytestmark = pytest.mark.timeout(240)
LIMIT = 30.0


@pytest.fixture(name="wherever", params=["near", "far"])
def _wherever(request: pytest.FixtureRequest, auto: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The head, with workers of this machine, or of one that seems to be another."""
    if request.param == "far":
        monkeypatch.setattr("pipe_ray.link.machine", lambda: "elsewhere")
    return auto


def left_as(head: Any, before: Any) -> None:
    """What is in use there is what was, as soon as Ray has counted."""
    deadline = time.monotonic() + LIMIT
    while (now := head.look()) != before:
        assert time.monotonic() < deadline, f"{now} is left of {before}"


def test_auto_finds_the_cluster_and_leaves_it_as_it_was(wherever: Any) -> None:
    before = wherever.look()
    with get_executor("ray", address="auto") as executor:
        assert executor.slots == 2, "as many as the cluster has CPUs"
        shared = executor.share(list(range(1000)))
        assert list(executor.map(lambda i: sum(shared.get()) + i, range(10))) == [499500 + i for i in range(10)]
        assert [name.rpartition(".")[2] for name in wherever.look()[2]] == ["PipeWorker"] * 2
        assert len({outcome.value for outcome in executor.everywhere(os.getpid)}) == 2
    left_as(wherever, before)


def test_it_is_left_as_it_was_also_by_force(wherever: Any) -> None:
    before = wherever.look()
    executor = get_executor("ray", address="auto")
    executor.share(bytes(1_000_000))
    hanging = executor.submit(time.sleep, 1000)
    executor.terminate()
    assert isinstance(hanging.exception(LIMIT), WorkerKilled)
    left_as(wherever, before)


def test_a_worker_that_dies_is_replaced_and_what_was_shared_is_there(wherever: Any) -> None:
    with get_executor("ray", address="auto", max_workers=1) as executor:
        shared = executor.share("kept")
        for _ in range(2):
            assert isinstance(executor.submit(os._exit, 3).exception(LIMIT), WorkerKilled)
            assert executor.submit(shared.get).result(LIMIT) == "kept"


def test_a_death_takes_one_call_with_it(wherever: Any) -> None:
    with get_executor("ray", address="auto", max_workers=1, prefetch=3) as executor:
        before = [executor.submit(abs, -i) for i in range(3)]
        dying = executor.submit(os._exit, 1)
        behind = executor.submit(abs, -1)
        assert [future.result(LIMIT) for future in [*before, behind]] == [0, 1, 2, 1]
        assert isinstance(dying.exception(LIMIT), WorkerKilled)


@pytest.mark.parametrize(("machine", "at"), [(None, 41), ("elsewhere", None)])
def test_only_a_near_worker_says_where_it_was(
    auto: Any, monkeypatch: pytest.MonkeyPatch, machine: str | None, at: int | None
) -> None:
    if machine is not None:
        monkeypatch.setattr("pipe_ray.link.machine", lambda: machine)

    def die() -> None:
        import os

        from pipe_core.runtime import beat

        beat.row[beat.AT] = 41
        os._exit(1)

    with get_executor("ray", address="auto", max_workers=1) as executor:
        error = executor.submit(die).exception(LIMIT)
    assert isinstance(error, WorkerKilled)
    assert error.at == at


def test_a_call_can_be_killed(wherever: Any) -> None:
    with get_executor("ray", address="auto", max_workers=1) as executor:
        hanging = executor.submit(time.sleep, 1000)
        behind = executor.submit(abs, -1)
        until(hanging.running)
        assert executor.give_up(hanging, TimeoutError("too long"))
        assert isinstance(hanging.exception(LIMIT), TimeoutError)
        assert behind.result(LIMIT) == 1


def test_the_namespace_is_the_one_that_was_asked_for(auto: Any) -> None:
    def namespace() -> str:
        import ray

        found: str = ray.get_runtime_context().namespace
        return found

    with get_executor("ray", address="auto", max_workers=1, namespace="orders") as executor:
        assert executor.submit(namespace).result(LIMIT) == "orders"


def test_it_begins_with_the_workers_that_a_busy_cluster_gives(auto: Any) -> None:
    with get_executor("ray", address="auto", max_workers=1), get_executor("ray", address="auto") as executor:
        assert executor.slots == 2
        assert len(executor.everywhere(os.getpid)) == 1
        assert len(set(executor.map(lambda _: os.getpid(), range(20)))) == 1


def test_a_cluster_without_a_free_cpu_is_told_so(auto: Any) -> None:
    with get_executor("ray", address="auto", max_workers=2), pytest.raises(BackendLost, match="CPU"):
        get_executor("ray", address="auto", max_workers=1, timeout=3)


def test_a_cluster_that_is_not_there_is_told_so(auto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(BackendLost, match="The Ray cluster at 'auto'"):
        get_executor("ray", address="auto", timeout=4)


def test_other_versions_on_the_workers_are_a_table(new_head: Any, tmp_path: Path) -> None:
    metadata = tmp_path / "pipe_ray-0.0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pipe-ray\nVersion: 0.0.1\n", "utf-8")
    head = new_head(env={"PYTHONPATH": str(tmp_path)})
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_ADDRESS", head.gcs_address)
            patch.setenv("RAY_AUTH_MODE", "disabled")
            with pytest.raises(VersionMismatchError, match=r"0\.0\.1") as caught:
                get_executor("ray", address="auto")
        assert {found["pipe-ray"] for found in caught.value.workers.values()} == {"0.0.1"}
    finally:
        head.end()


@pytest.mark.parametrize(("through", "lost"), [("auto", "gcs_server"), ("auto", "raylet"), ("client", "all")])
def test_a_lost_head_is_told_to_all(new_head: Any, monkeypatch: pytest.MonkeyPatch, through: str, lost: str) -> None:
    if through == "client":
        pytest.importorskip("grpc")
    head = new_head(client=through == "client")
    try:
        monkeypatch.setenv("RAY_ADDRESS", head.gcs_address)
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        address = head.address if through == "client" else "auto"
        with get_executor("ray", address=address, max_workers=1) as executor:
            running, waiting = executor.submit(time.sleep, 1000), executor.submit(abs, -1)
            until(running.running)
            os.kill(head.process.pid, signal.SIGSTOP)  # it would notice, and end the others in order
            children = psutil.Process(head.process.pid).children(recursive=True)
            for child in children:
                if lost in ("all", child.name()):
                    child.kill()
            ends = [running.exception(LIMIT), waiting.exception(LIMIT), executor.submit(abs, -1).exception(LIMIT)]
            assert {type(end) for end in ends} == {BackendLost}  # no worker is blamed that dies with its raylet
            assert len(set(map(id, ends))) == 3, "each gets tracebacks and notes of its own"
            assert all("Start it again, or name another executor" in str(end) for end in ends)
            if lost == "raylet":
                workers = [child for child in children if "PipeWorker" in child.name()]
                assert len(workers) == 1
                until(lambda: workers[0].status() == psutil.STATUS_ZOMBIE or not workers[0].is_running())
    finally:
        head.end()


def test_it_works_through_the_client(new_head: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("grpc")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    head = new_head(client=True)
    try:
        before = head.look()
        with get_executor(f"{head.address}?namespace=orders") as executor:
            assert executor.slots == 2
            shared = executor.share(bytes(500_000))
            assert list(executor.map(lambda i: len(shared.get()) + i, range(10))) == [500_000 + i for i in range(10)]
            assert executor.submit(bytes.swapcase, b"a" * 5_000_000).result(LIMIT) == b"A" * 5_000_000
            assert isinstance(executor.submit(os._exit, 3).exception(LIMIT), WorkerKilled)
            assert executor.submit(lambda: len(shared.get())).result(LIMIT) == 500_000
            assert len({outcome.value for outcome in executor.everywhere(os.getpid)}) in (1, 2)
            with ThreadPoolExecutor(4) as threads:
                assert list(threads.map(lambda i: executor.submit(abs, -i).result(LIMIT), range(40))) == list(range(40))
        left_as(head, before)
    finally:
        head.end()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
