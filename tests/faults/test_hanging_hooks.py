"""Hooks that hang: ended by force in worker processes, left behind in threads; the run goes on without them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from exiting import check_exit
from killing import HANGS, async_hanging, chunk_hanging, hanging
from oracle import Number, check, numbers
from starting import Started
from tried import INSTALLED, NEEDS_LOKY, NEEDS_THREADS

from pipe_core import BaseHook, Executor, FlowStatus, Pipe

pytestmark = pytest.mark.timeout(120)

LIMIT = 1.0


def run(executor: Any, hook: Any, count: int = 300, **options: Any) -> tuple[list[Any], list[Any], Any]:
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(
        numbers(count),
        good,
        schema=Number,
        errors=bad,
        executor=executor,
        pre_validation_hooks=[hook],
        **{"hook_timeout": LIMIT, "chunk_size": 50, **options},
    ).run()
    return good, bad, report


def check_hung(found: tuple[list[Any], list[Any], Any], culprits: set[int], count: int = 300) -> None:
    good, bad, report = found
    check(good, bad, count, culprits, report)
    assert {error["type"] for row in bad for error in row["errors"]} == {"HookTimeout"}
    assert {row["phase"] for row in bad} == {"pre"}
    assert report.poisoned == len(culprits)
    assert report.status is FlowStatus.COMPLETED


# --- processes ---


@NEEDS_LOKY
@pytest.mark.parametrize(
    ("make", "how"),
    [
        pytest.param(make, how, marks=[] if make is hanging or how == "sleep" else [pytest.mark.thorough])
        for make in (hanging, async_hanging, chunk_hanging)
        for how in HANGS
    ],
)
def test_a_worker_is_ended_at_the_limit(make: Any, how: str, loky: Executor) -> None:
    found = run(loky, make({120}, how))
    check_hung(found, {120})
    assert found[2].worker_deaths <= 3
    assert "more than hook_timeout = 1 s; its worker was killed" in found[1][0]["errors"][0]["message"]


@NEEDS_LOKY
def test_several_hang(loky: Executor) -> None:
    check_hung(run(loky, hanging({0, 120, 121, 299}, "sleep")), {0, 120, 121, 299})


# --- threads ---


@NEEDS_THREADS
@pytest.mark.parametrize("unit", ["entry", "chunk"])
def test_a_thread_is_left_behind_and_the_run_goes_on(unit: str, started: Started) -> None:
    release, late = threading.Event(), threading.Event()

    def hangs(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            release.wait(60)
            entry.raw_data["n"] = -1
            late.set()

    class Hangs(BaseHook):
        def execute(self, entries: list[Any], store: Any) -> None:
            for entry in entries:
                hangs(entry, store)

    try:
        found = run(started["threads"], hangs if unit == "entry" else Hangs())
        check_hung(found, {120})
        name = "hangs" if unit == "entry" else "Hangs"
        assert f"a thread still hangs in {name}; it was left behind" in found[2].notes
        counts = (found[2].read, found[2].valid, found[2].failed)
    finally:
        release.set()
    assert late.wait(10)  # what comes back late is refused
    assert (found[2].read, found[2].valid, found[2].failed) == counts
    check(found[0], found[1], 300, {120})
    assert started["threads"].submit(abs, -1).result(10) == 1


@NEEDS_THREADS
def test_as_many_threads_hang_as_there_are(started: Started) -> None:
    release = threading.Event()

    def hangs(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] in (5, 60, 120, 180):
            release.wait(60)

    try:
        check_hung(run(started["threads"], hangs), {5, 60, 120, 180})
    finally:
        release.set()


@pytest.mark.parametrize("name", ["threads", "asyncio"])
def test_an_async_hook_that_blocks_its_loop_is_given_up(name: str, started: Started) -> None:
    if name not in INSTALLED:
        pytest.skip(f"{name} is not installed")
    release = threading.Event()

    async def blocks(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            release.wait(20)  # that is the fault

    found: list[Any] = []
    runner = threading.Thread(target=lambda: found.append(run(started[name], blocks)), daemon=True)
    runner.start()
    runner.join(8)
    went_on = not runner.is_alive()
    release.set()
    runner.join(30)
    assert went_on, "the run waited for the hook"
    check_hung(found[0], {120})


@pytest.mark.parametrize("name", ["threads", "loky"])
def test_the_interpreter_exits(name: str, tmp_path: Path) -> None:
    check_exit("def", name, tmp_path)


def test_on_sync_it_is_noticed_when_it_returns() -> None:
    def slow(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 120:
            time.sleep(1.5)  # the workload

    good, bad, report = run("sync", slow)
    check(good, bad, 300, {120}, report)
    assert bad[0]["errors"][0]["type"] == "HookTimeout"
    assert "noticed when it returned" in bad[0]["errors"][0]["message"]
