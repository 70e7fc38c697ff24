"""`hook_timeout`: a hook that takes too long fails its entry, and nothing else."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbered import Number, numbers

from pipe_core import BaseHook, HookStore, Pipe
from pipe_core.records.entry import Entry

SLOW = 0.4
TIMEOUT = 0.2

pytestmark = pytest.mark.alone  # hooks that are quick enough must stay so


def slow_at(entry: Entry) -> bool:
    return bool(entry.raw_data["n"] == 2)


def run(hook: Any, side: str = "pre", **options: Any) -> tuple[list[int], list[Any], Any]:
    good: list[Any] = []
    bad: list[Any] = []
    hooks: dict[str, Any] = {f"{side}_validation_hooks": [hook]}
    options = {"hook_timeout": TIMEOUT, "schema": Number, **options}
    report = Pipe(numbers(5), good, errors=bad, **hooks, **options).run()
    return [row["n"] for row in good], bad, report


@pytest.mark.parametrize("side", ["pre", "post"])
def test_a_sync_hook_is_noticed_when_it_returns(side: str, executor: Any) -> None:
    ended: list[int] = []

    def slow(entry: Entry, store: HookStore) -> None:
        if slow_at(entry):
            time.sleep(SLOW)  # workload
        ended.append(entry.raw_data["n"])

    good, bad, report = run(slow, side, executor=executor)
    assert good == [0, 1, 3, 4]
    assert sorted(ended) == [0, 1, 2, 3, 4]  # a thread cannot be stopped
    [row] = bad
    assert (row["position"], row["phase"], row["hook"]) == (2, side, "slow")
    [error] = row["errors"]
    assert error["type"] == "HookTimeout"
    assert error["message"].startswith("slow: took 0.")
    assert f"hook_timeout = {TIMEOUT:g} s" in error["message"]
    assert [(kind.type, kind.location) for kind in report.histogram] == [("HookTimeout", "slow")]


@pytest.mark.parametrize("side", ["pre", "post"])
def test_an_async_hook_is_cancelled_at_its_timeout(side: str, executor: Any) -> None:
    cancelled: list[int] = []

    async def stuck(entry: Entry, store: HookStore) -> None:
        if slow_at(entry):
            try:
                await asyncio.Event().wait()  # for ever
            except asyncio.CancelledError:
                cancelled.append(entry.raw_data["n"])
                raise

    good, bad, _ = run(stuck, side, executor=executor)
    assert good == [0, 1, 3, 4]
    assert cancelled == [2]
    assert [(row["position"], row["errors"][0]["type"]) for row in bad] == [(2, "HookTimeout")]


def test_async_hooks_that_wait_beside_each_other_have_their_own_time() -> None:
    async def stuck(entry: Entry, store: HookStore) -> None:
        await asyncio.Event().wait()

    started = time.monotonic()
    good, bad, _ = run(stuck)
    assert good == []
    assert [row["errors"][0]["type"] for row in bad] == ["HookTimeout"] * 5
    assert time.monotonic() - started < 5 * TIMEOUT + 5


def test_an_async_hook_that_ends_in_time_is_left_alone_although_all_together_take_longer() -> None:
    async def short(entry: Entry, store: HookStore) -> None:
        await asyncio.sleep(TIMEOUT / 2)  # workload

    good, bad, _ = run(short, concurrency=1, hook_timeout=4 * TIMEOUT)
    assert (good, bad) == ([0, 1, 2, 3, 4], [])


def test_sync_hooks_have_their_time_for_each_call() -> None:
    def short(entry: Entry, store: HookStore) -> None:
        time.sleep(TIMEOUT)  # workload

    good, bad, _ = run(short, hook_timeout=4 * TIMEOUT)
    assert (good, bad) == ([0, 1, 2, 3, 4], [])


class SlowChunk(BaseHook):
    """Slow for as long as the slow entry is there."""

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        if any(map(slow_at, entries)):
            time.sleep(SLOW)  # workload


class StuckChunk(BaseHook):
    async def execute(self, entries: list[Entry], store: HookStore) -> None:
        if any(map(slow_at, entries)):
            await asyncio.Event().wait()


@pytest.mark.parametrize("hook", [SlowChunk(), StuckChunk()])
def test_a_hook_for_many_entries_fails_the_one_that_makes_it_slow(hook: BaseHook, executor: Any) -> None:
    good, bad, _ = run(hook, executor=executor)
    assert good == [0, 1, 3, 4]
    assert [(row["position"], row["errors"][0]["type"]) for row in bad] == [(2, "HookTimeout")]


def test_a_hook_that_must_not_be_repeated_fails_its_chunk_by_its_timeout() -> None:
    class Send(SlowChunk):
        repeatable = False
        chunk_size = 2

    good, bad, _ = run(Send())
    assert good == [0, 1, 4]
    assert [(row["position"], row["errors"][0]["type"]) for row in bad] == [(2, "HookTimeout"), (3, "HookTimeout")]


@pytest.mark.parametrize(
    "asynchronous",
    [False, True],
)
def test_what_a_late_hook_answers_is_not_taken(asynchronous: bool) -> None:
    def late(entry: Entry, store: HookStore) -> Any:
        if slow_at(entry):
            time.sleep(SLOW)  # workload
            return [entry, entry.copy()]
        return None

    async def late_too(entry: Entry, store: HookStore) -> Any:
        return late(entry, store)  # blocks its loop: it cannot be cancelled, only noticed

    good, bad, report = run(late_too if asynchronous else late)
    assert 2 not in good
    assert (report.expanded, report.failed) == (0, 1)
    assert [row["position"] for row in bad] == [2]


def test_the_timeout_of_one_hook_is_not_that_of_the_next() -> None:
    """The slow time belongs to the hook that took it."""

    def slow(entry: Entry, store: HookStore) -> None:
        if slow_at(entry):
            time.sleep(SLOW)  # workload

    def quick(entry: Entry, store: HookStore) -> None:
        assert not slow_at(entry)

    bad: list[Any] = []
    Pipe(numbers(5), errors=bad, pre_validation_hooks=[slow, quick], hook_timeout=TIMEOUT).run()
    assert [(row["position"], row["hook"]) for row in bad] == [(2, "slow")]


@pytest.mark.parametrize("timeout", [math.inf, None, 1e9])
def test_without_a_limit_or_with_a_long_one_nobody_is_late(timeout: float | None) -> None:
    async def slow(entry: Entry, store: HookStore) -> None:
        await asyncio.sleep(SLOW if slow_at(entry) else 0)  # workload

    def slow_too(entry: Entry, store: HookStore) -> None:
        time.sleep(SLOW if slow_at(entry) else 0)  # workload

    for hook in (slow, slow_too, SlowChunk()):
        good, bad, _ = run(hook, hook_timeout=timeout)
        assert (good, bad) == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("said", ["environment", "file"])
def test_no_limit_is_inf_in_files_too(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if said == "environment":
        monkeypatch.setenv("PIPE_HOOK_TIMEOUT", "inf")
    else:
        (tmp_path / "pipe.toml").write_text('hook_timeout = "inf"\n')
    good, _, _ = run(SlowChunk(), hook_timeout=None)
    assert good == [0, 1, 2, 3, 4]


def test_a_timeout_error_of_the_hook_itself_is_no_timeout_of_ours() -> None:
    async def own(entry: Entry, store: HookStore) -> None:
        if slow_at(entry):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

    _, bad, _ = run(own, hook_timeout=30)
    assert [(row["errors"][0]["type"], row["position"]) for row in bad] == [("HookError", 2)]


def test_no_task_and_no_thread_is_left_of_hooks_that_were_late() -> None:
    before = set(threading.enumerate())

    async def stuck(entry: Entry, store: HookStore) -> None:
        await asyncio.Event().wait()

    async def main() -> set[Any]:
        report = await Pipe(numbers(5), errors=[], pre_validation_hooks=[stuck], hook_timeout=TIMEOUT).arun()
        assert report.failed == 5
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    run(stuck)
    assert set(threading.enumerate()) <= before


def test_the_row_of_a_late_hook_is_written(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    Pipe(numbers(5), errors=bad, pre_validation_hooks=[SlowChunk()], hook_timeout=TIMEOUT).run()
    row = json.loads(bad.read_text())
    assert (row["raw"], row["errors"][0]["type"]) == ({"n": 2}, "HookTimeout")


class LateOnce(BaseHook):
    """Takes far longer than it may, once, and counts how often it is set up and torn down."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def setup(self, store: HookStore) -> None:
        self.counts["set up"] += 1

    def teardown(self, store: HookStore) -> None:
        self.counts["torn down"] += 1

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        if entries[0].raw_data["n"] == 2:
            time.sleep(5 * SLOW)  # workload


def test_a_thread_that_nobody_can_give_up_keeps_its_hooks_and_tears_them_down() -> None:
    hook = LateOnce()
    with ThreadPoolExecutor(1) as pool:
        good, bad, report = run(hook, executor=pool, chunk_size=1)
    assert (good, [row["position"] for row in bad]) == ([0, 1, 3, 4], [2])
    assert hook.counts == {"set up": 1, "torn down": 1}
    assert report.notes == []
