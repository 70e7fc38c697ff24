"""What is asked of workers, and said to them, beside the calls that they run."""

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipe_core import Executor, get_executor
from pipe_dask import costs

LIMIT = 50


@pytest.fixture(name="executor", scope="module")
def _executor(cluster: Any) -> Iterator[Executor]:
    with get_executor("dask", address=cluster.address) as made:
        yield made


def stand(folder: str, begun: int, sleep: Any = time.sleep) -> int:
    Path(folder, f"begun-{begun}").touch()
    while not Path(folder, "end").exists():
        sleep(0.01)
    return os.getpid()


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_workers_that_run_calls_are_asked_beside_them(executor: Executor, tmp_path: Path) -> None:
    futures = [executor.submit(stand, str(tmp_path), n) for n in range(2)]
    wait_until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    found = executor.costs()
    assert not any(future.done() for future in futures)
    (tmp_path / "end").touch()
    assert {cost.pid for cost in found} == {future.result(LIMIT) for future in futures}
    for cost in found:
        assert cost.memory == pytest.approx(psutil.Process(cost.pid).memory_info().rss, rel=0.3)
        assert cost.cpu > 0


def hold_the_interpreter(folder: str, begun: int) -> int:
    Path(folder, f"begun-{begun}").touch()
    ctypes.PyDLL(None).sleep(4)
    return os.getpid()


def test_one_whose_interpreter_is_held_is_left_out_in_time(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_PATIENCE", 1.0)
    pids = {outcome.value for outcome in executor.everywhere(os.getpid)}
    held = executor.submit(hold_the_interpreter, str(tmp_path), 0)
    wait_until(lambda: (tmp_path / "begun-0").exists())
    found = executor.costs()
    assert not held.done(), "nobody has waited for it"
    assert {cost.pid for cost in found} == pids - {held.result(LIMIT)}


def note(folder: str) -> None:
    Path(folder, f"heard-{os.getpid()}").touch()


def test_a_broadcast_reaches_workers_that_run_calls(executor: Executor, tmp_path: Path) -> None:
    futures = [executor.submit(stand, str(tmp_path), n) for n in range(2)]
    wait_until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    assert executor.broadcast(note, str(tmp_path))
    wait_until(lambda: len(list(tmp_path.glob("heard-*"))) == 2)
    assert not any(future.done() for future in futures)
    (tmp_path / "end").touch()
    assert {f"heard-{future.result(LIMIT)}" for future in futures} == {one.name for one in tmp_path.glob("heard-*")}
