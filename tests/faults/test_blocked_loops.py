"""Async hooks that block the event loop which all async hooks of a run share: the run goes on with a fresh one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from exiting import check_exit
from oracle import Number, check, numbers
from starting import Started
from tried import INSTALLED

from pipe_core import BaseHook, Pipe, RunCancelledError

pytestmark = pytest.mark.timeout(120)

LIMIT = 0.5
COUNT = 300


class Blocking:
    """Blocks whatever thread calls it, until the test is over."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self.released.wait(60)


def work(seconds: float) -> None:
    """A call that takes its time, and ends."""
    time.sleep(seconds)


@pytest.fixture
def block() -> Iterator[Blocking]:
    blocking = Blocking()
    yield blocking
    blocking.released.set()


@pytest.fixture(params=["threads", "asyncio", "ThreadPoolExecutor"])
def workers(request: pytest.FixtureRequest, started: Started) -> Iterator[Any]:
    """Each executor whose workers are threads."""
    if request.param == "ThreadPoolExecutor":
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param in INSTALLED:
        yield started[request.param]
    else:
        pytest.skip(f"{request.param} is not installed")


def run(executor: Any, hooks: list[Any], source: Any = None, **options: Any) -> tuple[list[Any], list[Any], Any]:
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(
        numbers(COUNT) if source is None else source,
        good,
        schema=Number,
        errors=bad,
        executor=executor,
        pre_validation_hooks=hooks,
        **{"hook_timeout": LIMIT, "chunk_size": 50, **options},
    ).run()
    return good, bad, report


def check_blocked(found: tuple[list[Any], list[Any], Any], culprits: set[int], name: str = "blocks") -> None:
    good, bad, report = found
    check(good, bad, COUNT, culprits, report)
    for row in bad:
        assert (row["hook"], row["phase"]) == (name, "pre")
        assert row["errors"][0]["type"] == "HookTimeout"
        assert "blocked its event loop for more than hook_timeout = 0.5 s" in row["errors"][0]["message"]
    assert report.poisoned == len(culprits)
    assert f"a thread still hangs in {name}; it was left behind" in report.notes


def test_what_else_was_on_the_loop_runs_again(workers: Any, block: Blocking) -> None:
    async def blocks(entry: Any, store: Any) -> None:
        assert "seen" not in entry.raw_data  # those that run again are as they were read
        entry.raw_data["seen"] = True
        await asyncio.sleep(0.001)  # so that others are in flight
        if entry.raw_data["n"] in (5, 60, 61, 299):
            block()

    check_blocked(run(workers, [blocks]), {5, 60, 61, 299})


def test_what_comes_back_late_is_refused(workers: Any, block: Blocking) -> None:
    late = threading.Event()

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            block()
            entry.raw_data["n"] = -1
            late.set()

    found = run(workers, [blocks])
    assert not late.is_set()
    block.released.set()
    assert late.wait(10)
    check_blocked(found, {120})


def test_the_loop_that_was_left_ends_when_it_can(workers: Any, block: Blocking) -> None:
    threads: list[threading.Thread] = []

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            threads.append(threading.current_thread())
            block()

    check_blocked(run(workers, [blocks]), {120})
    (thread,) = threads
    assert thread.is_alive()
    assert thread.daemon
    block.released.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("how", ["wait_for", "gather", "task"])
def test_a_task_that_the_hook_started_blocks(how: str, workers: Any, block: Blocking) -> None:
    async def careless() -> None:
        await asyncio.sleep(0)
        block()

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            if how == "wait_for":
                await asyncio.wait_for(careless(), 30)
            elif how == "gather":
                await asyncio.gather(asyncio.sleep(0), careless())
            else:
                await asyncio.create_task(careless())

    check_blocked(run(workers, [blocks]), {120})


def test_a_hook_over_many_entries_blocks(workers: Any, block: Blocking) -> None:
    class Blocks(BaseHook):
        async def execute(self, entries: list[Any], store: Any) -> None:
            if any(entry.raw_data["n"] == 120 for entry in entries):
                block()

    check_blocked(run(workers, [Blocks()]), {120}, "Blocks")
    assert block.calls == 2  # in its chunk, and alone


def test_workers_are_set_up_again_on_the_fresh_loop(workers: Any, block: Blocking) -> None:
    events: list[str] = []

    class Session(BaseHook):
        async def setup(self, store: Any) -> None:
            events.append("setup")
            store["loop"] = asyncio.get_running_loop()

        async def execute(self, entries: list[Any], store: Any) -> None:
            assert store["loop"] is asyncio.get_running_loop()
            await asyncio.sleep(0)

        async def teardown(self, store: Any) -> None:
            events.append("teardown")
            assert store["loop"] is asyncio.get_running_loop()

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            block()

    found = run(workers, [Session(), blocks])
    check_blocked(found, {120})
    left = [note for note in found[2].notes if note.startswith("in teardown of the hook Session: LoopLeft")]
    assert left
    assert events.count("setup") == events.count("teardown") + len(left)


def test_a_setup_that_waits_for_the_blocked_loop_begins_again(workers: Any, block: Blocking) -> None:
    ready: list[int] = []

    class Session(BaseHook):
        async def setup(self, store: Any) -> None:
            if ready:  # the first worker is ready at once, and blocks the loop
                await asyncio.sleep(0.01)
            ready.append(1)
            store["ready"] = True

        def execute(self, entries: list[Any], store: Any) -> None:
            assert store["ready"]

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] in (0, 50):
            block()

    check_blocked(run(workers, [Session(), blocks]), {0, 50})


def test_sync_hooks_of_workers_that_were_left_are_torn_down(workers: Any, block: Blocking) -> None:
    events: list[str] = []

    class File(BaseHook):
        def setup(self, store: Any) -> None:
            events.append("setup")

        def execute(self, entries: list[Any], store: Any) -> None:
            pass

        def teardown(self, store: Any) -> None:
            events.append("teardown")

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            block()

    check_blocked(run(workers, [File(), blocks]), {120})
    assert events.count("setup") == events.count("teardown")


def test_many_short_blocks_one_after_the_other_are_nobodys_fault(workers: Any) -> None:
    async def slow(entry: Any, store: Any) -> None:
        work(0.1)  # ten in one turn of the loop are twice the limit

    good, bad, report = run(workers, [slow], numbers(40), chunk_size=10)
    check(good, bad, 40, set(), report)
    assert report.notes == []


def test_a_loop_that_the_source_lives_on_is_waited_for(workers: Any) -> None:
    async def source() -> AsyncIterator[dict[str, int]]:
        loop = asyncio.get_running_loop()
        for record in numbers(COUNT):
            assert asyncio.get_running_loop() is loop
            yield record

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            work(3 * LIMIT)

    good, bad, report = run(workers, [blocks], source())
    check(good, bad, COUNT, {120}, report)
    assert "noticed when it returned" in bad[0]["errors"][0]["message"]


def test_a_source_that_blocks_the_loop_is_waited_for(workers: Any) -> None:
    async def source() -> AsyncIterator[dict[str, int]]:
        for record in numbers(COUNT):
            if record["n"] == 120:
                await asyncio.sleep(1.0)  # a hook that is awaited while the loop is blocked takes as long itself
                work(3 * LIMIT)
            yield record

    async def fine(entry: Any, store: Any) -> None:
        await asyncio.sleep(0)

    good, bad, report = run(workers, [fine], source())
    check(good, bad, COUNT, set(), report)


def test_the_users_own_loop_is_waited_for(workers: Any) -> None:
    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            work(3 * LIMIT)

    good: list[Any] = []
    bad: list[Any] = []
    pipe = Pipe(numbers(COUNT), good, errors=bad, executor=workers, pre_validation_hooks=[blocks], hook_timeout=LIMIT)
    check(good, bad, COUNT, {120}, asyncio.run(pipe.arun()))
    assert "noticed when it returned" in bad[0]["errors"][0]["message"]


def test_an_aborted_run_does_not_wait_for_the_blocked_loop(workers: Any, block: Blocking) -> None:
    blocked = threading.Event()

    class Blocks(BaseHook):
        async def execute(self, entries: list[Any], store: Any) -> None:
            blocked.set()
            block()

        async def teardown(self, store: Any) -> None:
            raise AssertionError("there is no loop to run it on")

    report = Pipe(numbers(COUNT), [], executor=workers, pre_validation_hooks=[Blocks()]).start()
    assert blocked.wait(10)
    report.abort()
    with pytest.raises(RunCancelledError):
        report.wait(30)
    assert not block.released.is_set()
    assert "the event loop of the run: RunError: a call still blocks it; its thread was left behind" in report.notes


def test_an_aborted_run_tears_down_on_a_loop_that_goes_on(workers: Any) -> None:
    waiting, closed = threading.Event(), threading.Event()

    class Waits(BaseHook):
        async def execute(self, entries: list[Any], store: Any) -> None:
            waiting.set()
            await asyncio.sleep(60)

        async def teardown(self, store: Any) -> None:
            await asyncio.sleep(0.01)
            closed.set()

    report = Pipe(numbers(1), [], executor=workers, pre_validation_hooks=[Waits()]).start()
    assert waiting.wait(10)
    report.abort()
    with pytest.raises(RunCancelledError):
        report.wait(30)
    assert closed.is_set()
    assert report.notes == []


@pytest.mark.parametrize("name", ["threads", "asyncio"])
def test_the_interpreter_exits_with_a_blocked_loop(name: str, tmp_path: Path) -> None:
    check_exit("async def", name, tmp_path)
