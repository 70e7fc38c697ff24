"""What workers cost: said beside the calls that they run, whether they are on this machine or on another one."""

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipe_core import BackendLost, Executor, get_executor

pytestmark = pytest.mark.timeout(240)
LIMIT = 60.0


def stand(folder: str) -> int:
    Path(folder, f"begun-{os.getpid()}").touch()
    while not Path(folder, "end").exists():
        time.sleep(0.01)
    return os.getpid()


def check(executor: Executor, folder: Path) -> None:
    futures = [executor.submit(stand, str(folder)) for _ in range(2)]
    deadline = time.monotonic() + LIMIT
    while len(list(folder.glob("begun-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found = executor.costs()
    assert not any(future.done() for future in futures)
    (folder / "end").touch()
    assert sorted(cost.pid for cost in found) == sorted(future.result(LIMIT) for future in futures)
    for cost in found:
        assert cost.memory == pytest.approx(psutil.Process(cost.pid).memory_info().rss, rel=0.3)
        assert cost.cpu > 0


def left_as(head: Any, before: Any) -> None:
    deadline = time.monotonic() + LIMIT
    while (now := head.look()) != before:
        assert time.monotonic() < deadline, f"{now} is left of {before}"


@pytest.mark.parametrize("where", ["near", "far"])
def test_workers_of_others_say_it_beside_their_calls(
    where: str, auto: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "far":
        monkeypatch.setattr("pipe_ray.link.machine", lambda: "elsewhere")
    before = auto.look()
    with get_executor("ray", address="auto") as executor:
        check(executor, tmp_path)
    left_as(auto, before)


def test_those_of_a_cluster_of_our_own_do(tmp_path: Path) -> None:
    with get_executor("ray", max_workers=2) as executor:
        check(executor, tmp_path)
        backend: Any = executor._backend
        backend._there.kill()
        backend._listener.join(LIMIT)
        with pytest.raises(BackendLost):
            executor.costs()
