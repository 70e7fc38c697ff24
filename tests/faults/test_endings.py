"""Runs that end early give everything back, soon; runs that end well do so however many there are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from oracle import Number, check, numbers
from programs import started as program_started
from tried import ALL, INSTALLED, NEEDS_LOKY

from pipe_core import Executor, FlowStatus, Pipe, get_executor
from pipe_core.kernel.errors import RunCancelledError
from pipe_core.testing.leaks import no_leaks

pytestmark = pytest.mark.timeout(170)

SOON = 2.0
MARGIN = 4.0


def endless() -> Iterator[dict[str, int]]:
    n = 0
    while True:
        yield {"n": n}
        n += 1


def napping(seconds: float, folder: Path) -> Any:
    path = str(folder / "running")

    def nap(entry: Any, store: Any) -> None:
        import time
        from pathlib import Path

        Path(path).touch()
        time.sleep(seconds)

    return nap


def async_napping(seconds: float, folder: Path) -> Any:
    path = str(folder / "running")

    async def nap(entry: Any, store: Any) -> None:
        import asyncio
        import os

        os.close(os.open(path, os.O_CREAT))
        await asyncio.sleep(seconds)

    return nap


def abort(executor: Any, hook: Any, folder: Path) -> Any:
    """Start a run, abort it when a hook runs, and give its report."""
    target = folder / "out.jsonl"
    target.write_text("as before\n")
    pipe = Pipe(endless(), target, schema=Number, executor=executor, mode="overwrite", pre_validation_hooks=[hook])
    report = pipe.start()
    deadline = time.monotonic() + 60
    while not (folder / "running").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    report.abort()
    with pytest.raises(RunCancelledError):
        assert report.wait(60)
    assert time.monotonic() - began <= SOON + MARGIN
    assert report.status is FlowStatus.CANCELLED
    assert target.read_text() == "as before\n"
    return report


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[pytest.mark.thorough] if name in ("dask", "ray") and kind == "async" else [])
        for name in ALL
        for kind in ("short", "async")
    ],
)
def test_an_abort_ends_a_run_soon(name: str, kind: str, tmp_path: Path) -> None:
    hook = napping(0.02, tmp_path) if kind == "short" else async_napping(30, tmp_path)
    abort(name if name == "sync" else (name, {"max_workers": 2}), hook, tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_an_executor_is_free_again_after_an_abort(name: str, tmp_path: Path) -> None:
    executor = get_executor(name) if name == "sync" else get_executor(name, max_workers=2)
    try:
        abort(executor, async_napping(30, tmp_path), tmp_path)
        good: list[Any] = []
        bad: list[Any] = []
        report = Pipe(numbers(50), good, schema=Number, errors=bad, executor=executor).start()
        free = report.wait(60)  # new workers take their time; what was aborted would sleep for minutes
        report.abort()
        assert free, "the workers still sleep for the run before"
        check(good, bad, 50, (), report)
    finally:
        executor.terminate()


@pytest.mark.parametrize("name", [name for name in ALL if name != "sync"])  # there the hook is what the driver runs
def test_an_abort_does_not_wait_for_hooks_that_sleep(name: str, tmp_path: Path) -> None:
    abort((name, {"max_workers": 2}), napping(20, tmp_path), tmp_path)


@NEEDS_LOKY
def test_an_abort_while_hooks_sleep_leaves_no_process(tmp_path: Path) -> None:
    with no_leaks(patience=10):
        abort(("loky", {"max_workers": 2}), napping(60, tmp_path), tmp_path)


@pytest.mark.parametrize("name", [name for name in ("sync", "threads", "asyncio") if name in INSTALLED])
def test_thirty_runs_leave_nothing_behind(name: str, tmp_path: Path) -> None:
    async def hook(entry: Any, store: Any) -> None:
        pass

    def run(number: int) -> None:
        Pipe(
            numbers(20),
            tmp_path / f"{number}.jsonl",
            schema=Number,
            errors=tmp_path / f"{number}-bad.jsonl",
            executor=name if name == "sync" else (name, {"max_workers": 1}),
            pre_validation_hooks=[hook],
        ).run()

    run(0)  # what is imported or opened once and for good
    with no_leaks(patience=10):
        for number in range(1, 31):
            run(number)


class Watch:
    """The memory of this process and of its workers, looked at again and again."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, dict[int, int]]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.1):
            sizes = {}
            for process in [me, *me.children(recursive=True)]:
                try:
                    sizes[process.pid] = process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.seen.append((time.monotonic(), sizes))

    def growth(self, since: float) -> dict[int, float]:
        """By how many MiB each process was larger than at *since*, at most."""
        later = [sizes for at, sizes in self.seen if at >= since]
        return {pid: max(sizes.get(pid, 0) - size for sizes in later) / 2**20 for pid, size in later[0].items()}


@NEEDS_LOKY
def test_memory_stays_flat_over_a_million_records(loky: Executor) -> None:
    total, settled = 1_000_000, []

    def source() -> Iterator[dict[str, Any]]:
        for n in range(total):
            if n == total // 5:  # the window has reached its size
                settled.append(time.monotonic())
            yield {"n": n, "text": "a record of an ordinary length", "number": n * 1.5}

    last, count = -1, 0

    def sink(row: dict[str, Any]) -> None:
        nonlocal last, count
        assert row["n"] == last + 1
        last, count = row["n"], count + 1

    with Watch() as watch:
        report = Pipe(source(), sink, schema=Number, executor=loky).run()
    assert (report.read, report.valid, count) == (total, total, total)
    growth = watch.growth(settled[0])
    assert len(growth) >= 3
    assert max(growth.values()) <= 32, growth


# --- workers that cannot start ---

BROKEN = """
import os, sys
if os.environ.get("PIPE_BROKEN") and "--process-name" in sys.orig_argv:  # a worker
    file = os.open(os.environ["PIPE_STARTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"x")
    os.close(file)
    os._exit(7)
"""
STARTING = """
import os
from pipe_core import Pipe, PipeError
os.environ["PIPE_BROKEN"] = "1"
try:
    Pipe([{"n": n} for n in range(100)], "out.jsonl", executor=("loky", {"max_workers": 2})).run()
except PipeError as error:
    print(type(error).__name__, error)
"""


@NEEDS_LOKY
def test_workers_that_cannot_start_end_the_run_with_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(BROKEN)
    (tmp_path / "script.py").write_text(STARTING)
    starts = tmp_path / "starts"
    places = {"PYTHONPATH": str(tmp_path / "broken"), "PIPE_STARTS": str(starts)}
    with program_started(tmp_path, ["script.py"], **places) as program:
        out, errors = program.process.communicate(timeout=100)
        assert out.startswith("BackendLost"), out + errors
        assert "died one after the other before they ran a call" in out
        assert program.process.returncode == 0, errors
        assert program.orphans(SOON + MARGIN) == []
    assert len(starts.read_text()) <= 6, "workers were started again and again"
    assert not (tmp_path / "out.jsonl").exists()
