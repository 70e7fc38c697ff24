"""Abort, cancel, pause: a run ends soon, gives back what it took, and leaves its targets as they were."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from numbered import endless, numbers

from pipe_core import BaseHook, FlowStatus, HookStore, Pipe
from pipe_core.kernel.errors import RunCancelledError, RunningError, SourceError, SourceNotFoundError
from pipe_core.records.entry import Entry
from pipe_core.testing.leaks import no_leaks

SOON = 5.0
"""Seconds that an abort may take: two are meant, the rest is for a machine that is busy with other things."""


class Gate:
    """A hook that waits at its third call, and counts all of them."""

    def __init__(self) -> None:
        self.calls = 0
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, entry: Entry, store: HookStore) -> None:
        self.calls += 1
        if self.calls == 3:
            self.reached.set()
            assert self.open.wait(10)


def test_abort_ends_as_cancelled_and_closes_the_source(executor: Any) -> None:
    closed, arrived = threading.Event(), threading.Event()
    with no_leaks():
        report = Pipe(endless(closed), lambda row: arrived.set(), executor=executor).start()
        assert arrived.wait(5)
        began = time.monotonic()
        report.abort()
        with pytest.raises(RunCancelledError):
            report.wait(5)
        assert time.monotonic() - began < SOON
        assert closed.wait(1)
        if executor != "sync":
            executor.shutdown()
    assert report.status is FlowStatus.CANCELLED
    report.abort()
    assert report.status is FlowStatus.CANCELLED


def test_abort_after_the_end_changes_nothing() -> None:
    report = Pipe(numbers(3)).run()
    report.abort()
    assert report.status is FlowStatus.COMPLETED


def test_abort_starts_no_more_calls_of_a_slow_hook() -> None:
    gate = Gate()
    report = Pipe(numbers(1000), pre_validation_hooks=[gate]).start()
    assert gate.reached.wait(5)
    report.abort()
    gate.open.set()
    with pytest.raises(RunCancelledError):
        report.wait(5)
    assert gate.calls <= 4


@pytest.mark.parametrize("where", ["pre_validation_hooks", "sink"])
def test_abort_cancels_an_async_hook_or_sink_that_waits(where: str) -> None:
    waiting, release = threading.Event(), threading.Event()

    async def wait(given: Any, store: Any = None) -> None:
        waiting.set()
        await asyncio.to_thread(release.wait, 10)

    options: dict[str, Any] = {where: wait if where == "sink" else [wait]}
    report = Pipe(numbers(10), **options).start()
    assert waiting.wait(5)
    report.abort()
    try:
        with pytest.raises(RunCancelledError):
            assert report.wait(SOON), "the abort did not end the run"
    finally:
        release.set()
        report._finished.wait(5)


class Cleaning(BaseHook):
    """An async hook that awaits again and again in its clean-up, for which it needs what its teardown takes away."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()
        self.done: list[str] = []

    async def execute(self, entries: list[Entry], store: HookStore) -> None:
        try:
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0.01)
            self.done.append("cleaned up")

    async def teardown(self, store: HookStore) -> None:
        self.done.append("torn down")


def test_abort_lets_an_async_hook_clean_up_before_it_is_torn_down(executor: Any) -> None:
    hook = Cleaning()
    report = Pipe(numbers(10), pre_validation_hooks=[hook], executor=executor, chunk_size=10).start()
    assert hook.waiting.wait(5)
    report.abort()
    with pytest.raises(RunCancelledError):
        report.wait(5)
    assert hook.done == ["cleaned up", "torn down"]


def test_a_source_that_blocks_is_left_behind_and_named() -> None:
    gate, arrived = threading.Event(), threading.Event()

    def blocking() -> Iterator[dict[str, Any]]:
        yield {"n": 0}
        gate.wait(10)

    report = Pipe(blocking(), lambda row: arrived.set()).start()
    assert arrived.wait(5)
    report.abort()
    with pytest.raises(RunCancelledError):
        report.wait(SOON)
    gate.set()
    assert any("still blocked" in note and "generator" in note for note in report.notes)


def test_abort_of_an_async_source_leaves_no_thread() -> None:
    arrived, closed = threading.Event(), threading.Event()

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            yield {"n": 0}
            await asyncio.Event().wait()
        finally:
            closed.set()

    with no_leaks(patience=2.0):
        report = Pipe(source(), lambda row: arrived.set()).start()
        assert arrived.wait(5)
        report.abort()
        with pytest.raises(RunCancelledError):
            report.wait(SOON)
        assert closed.wait(2)


def test_cancelling_the_task_that_awaits_arun_aborts_and_raises(tmp_path: Path) -> None:
    closed, arrived = threading.Event(), threading.Event()
    target = tmp_path / "out.jsonl"

    async def main() -> FlowStatus:
        pipe = Pipe(endless(closed), target, pre_validation_hooks=[lambda entry, store: arrived.set()])
        task = asyncio.create_task(pipe.arun())
        assert await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pipe.report is not None
        return pipe.report.status

    assert asyncio.run(main()) is FlowStatus.CANCELLED
    assert closed.is_set()
    assert not list(tmp_path.iterdir())


def test_cancelling_arun_awaits_the_clean_up_of_an_async_source() -> None:
    async def main() -> tuple[bool, int]:
        arrived, closed = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[dict[str, Any]]:
            try:
                yield {"n": 0}
                arrived.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        task = asyncio.create_task(Pipe(source()).arun())
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return closed.is_set(), len(asyncio.all_tasks())

    assert asyncio.run(main()) == (True, 1)


def test_cancelling_arun_cancels_an_async_hook_that_waits() -> None:
    async def main() -> float:
        waiting, release = asyncio.Event(), asyncio.Event()

        async def wait(entry: Entry, store: HookStore) -> None:
            waiting.set()
            await release.wait()

        task = asyncio.create_task(Pipe(numbers(3), pre_validation_hooks=[wait]).arun())
        await asyncio.wait_for(waiting.wait(), 5)
        asyncio.get_running_loop().call_later(SOON + 0.5, release.set)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(main()) < SOON


def test_leaving_the_loop_over_a_pipe_aborts_and_closes_the_source() -> None:
    closed = threading.Event()
    pipe = Pipe(endless(closed))
    for entry in pipe:
        if entry.raw_data["n"] == 3:
            break
    assert closed.wait(5)
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED


def test_pause_freezes_the_counts_and_resume_goes_on() -> None:
    arrived = threading.Semaphore(0)
    step = threading.Semaphore(0)

    def sink(row: Any) -> None:
        arrived.release()
        assert step.acquire(timeout=10)

    report = Pipe(numbers(50), sink, chunk_size=1).start()
    for _ in range(5):
        assert arrived.acquire(timeout=5)
        step.release()
    assert arrived.acquire(timeout=5)  # the sixth is in the sink
    report.pause()
    assert report.status is FlowStatus.PAUSED
    for _ in range(50):
        step.release()
    assert not report.wait(0.2)
    assert report.read == 6
    report.resume()
    assert report.wait(5)
    assert (report.status, report.read) == (FlowStatus.COMPLETED, 50)


def test_a_paused_run_can_be_aborted() -> None:
    gate = Gate()
    report = Pipe(numbers(500), pre_validation_hooks=[gate]).start()
    assert gate.reached.wait(5)
    report.pause()
    gate.open.set()
    report.abort()
    with pytest.raises(RunCancelledError):
        report.wait(5)
    assert report.status is FlowStatus.CANCELLED


def test_a_second_start_is_refused_while_the_first_runs_and_allowed_afterwards() -> None:
    gate = Gate()
    pipe = Pipe(numbers(5), pre_validation_hooks=[gate])
    first = pipe.start()
    assert gate.reached.wait(5)
    for again in (pipe.start, pipe.run, lambda: next(iter(pipe))):
        with pytest.raises(RunningError):
            again()
    gate.open.set()
    assert first.wait(5)
    second = pipe.run()
    assert second is not first
    assert (first.read, second.read) == (5, 5)
    assert first.run != second.run


@pytest.mark.parametrize("mode", ["error", "overwrite", "append"])
def test_abort_leaves_the_targets_as_they_were(mode: Any, tmp_path: Path) -> None:
    gate = Gate()
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    if mode != "error":
        good.write_text('{"old":1}\n')
    report = Pipe(numbers(500), good, errors=bad, mode=mode, pre_validation_hooks=[gate], chunk_size=1).start()
    assert gate.reached.wait(5)
    report.abort()
    gate.open.set()
    with pytest.raises(RunCancelledError):
        report.wait(5)
    assert {one.name for one in tmp_path.iterdir()} == (set() if mode == "error" else {"good.jsonl"})
    assert mode == "error" or good.read_text() == '{"old":1}\n'


def test_a_missing_input_fails_before_anything_starts(tmp_path: Path) -> None:
    ran: list[Any] = []
    pipe = Pipe(
        tmp_path / "missing.csv",
        tmp_path / "out.jsonl",
        errors=tmp_path / "bad.jsonl",
        mode="overwrite",
        pre_validation_hooks=[lambda entry, store: ran.append(entry)],
    )
    for front in (pipe.run, pipe.start, lambda: asyncio.run(pipe.arun()), lambda: list(pipe)):
        with pytest.raises(SourceNotFoundError):
            front()
        assert pipe.report is not None
        assert pipe.report.status is FlowStatus.FAILED
        with pytest.raises(SourceNotFoundError):
            pipe.report.wait()
    assert not ran
    assert not list(tmp_path.iterdir())


def test_what_a_broken_source_gave_is_kept_beside_the_target_and_named(tmp_path: Path) -> None:
    def breaking() -> Iterator[dict[str, Any]]:
        yield from numbers(250)
        raise ValueError("the wire is cut")

    target = tmp_path / "out.jsonl"
    pipe = Pipe(breaking(), target)
    with pytest.raises(SourceError, match="the wire is cut"):
        pipe.run()
    partial = tmp_path / "out.jsonl.partial"
    assert partial.read_text().splitlines() == [f'{{"n":{i}}}' for i in range(250)]
    assert pipe.report is not None
    assert pipe.report.read == 250
    assert any(str(partial) in note for note in pipe.report.notes)
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl.partial"]
