"""Memory: what a run holds depends on its window, not on the length of its input, and needs no garbage collector."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, model_validator

from pipe_core import BaseHook, HookStore, Pipe
from pipe_core.records.entry import Entry

SCRIPT = """
import asyncio, json, sys
from typing import Any
from pydantic import BaseModel
from pipe_core import BaseHook, Pipe

COUNT, HOOKS, FRONT = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

class Number(BaseModel):
    n: int
    text: str

seen = {}

def records():
    for i in range(COUNT):
        if i == COUNT // 10:
            seen["early"] = resident()
        yield {"n": "x" if i % 50 == 0 else i, "text": f"some text {i}"}
    seen["late"] = resident()

def fail(entry, store):
    if entry.raw_data["n"] == "x" or entry.raw_data["n"] % 50 == 1:
        raise ValueError("no")

class Look(BaseHook):
    def execute(self, entries, store):
        for entry in entries:
            entry.validated_data["n"] += 1

hooks = {}
if HOOKS == "hooks":
    hooks = {"pre_validation_hooks": [fail], "post_validation_hooks": [Look()]}
rows = 0
def count(row):
    global rows
    rows += 1
pipe = Pipe(records(), count, schema=Number, errors=lambda row: None, **hooks)
if FRONT == "run":
    pipe.run()
else:
    for entry in pipe:
        pass
report = pipe.report
print(json.dumps({**seen, "read": report.read, "valid": report.valid, "rows": rows}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("hooks", "front"), [("none", "run"), ("hooks", "run"), ("none", "iter")])
def test_memory_does_not_grow_with_the_input(hooks: str, front: str) -> None:
    count = 300_000 if front == "run" else 60_000
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(count), hooks, front]
    done = subprocess.run(command, capture_output=True, timeout=50, check=True)
    found = json.loads(done.stdout)
    assert found["read"] == count
    assert found["rows"] == found["valid"] > 0.9 * count
    assert found["late"] - found["early"] < 32 * 1024 * 1024


KEPT = """
import json, sys
import psutil
from pydantic import BaseModel
from pipe_core import Pipe

COUNT, EXECUTOR = int(sys.argv[1]), sys.argv[2]

class Number(BaseModel):
    n: int
    text: str

seen = {}

def resident():
    me = psutil.Process()
    return {str(one.pid): one.memory_info().rss for one in [me, *me.children(recursive=True)]}

def records():
    for i in range(COUNT):
        if i == COUNT // 10:
            seen["early"] = resident()
        yield {"n": "x" if i % 5000 == 0 else i, "text": f"some text {i}"}
    seen["late"] = resident()

report = Pipe(records(), "out.jsonl", schema=Number, errors="bad.jsonl", checkpoint="runs", checkpoint_seconds=0.5,
              executor=EXECUTOR).run()
print(json.dumps({**seen, "read": report.read, "valid": report.valid}))
"""


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("executor", ["sync", "threads", "loky"])
def test_memory_does_not_grow_over_ten_million_records_with_checkpoints(executor: str, tmp_path: Path) -> None:
    if executor not in entry_points(group="pipe_core.executors").names:
        pytest.skip(f"{executor} is not installed")
    count = 10_000_000
    command = [sys.executable, "-c", KEPT, str(count), executor]
    done = subprocess.run(command, capture_output=True, timeout=1700, check=True, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["read"], found["valid"]) == (count, count - count // 5000)
    grown = {pid: size - found["early"][pid] for pid, size in found["late"].items() if pid in found["early"]}
    assert max(grown.values()) < 64 * 1024 * 1024, grown


# --- objects are freed without the garbage collector ------------------------------------------------------------------


class Counted(BaseModel):
    """Counts how many of itself are alive."""

    n: int
    _alive: int = 0

    @model_validator(mode="after")
    def count(self) -> Counted:
        ALIVE.add(self)
        PEAK[0] = max(PEAK[0], len(ALIVE))
        return self

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


ALIVE: weakref.WeakSet[Counted] = weakref.WeakSet()
PEAK = [0]


class Record(dict[str, Any]):
    """A record that can be counted."""

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__  # type: ignore[assignment]  # so that it fits into a set


@pytest.fixture(scope="module", autouse=True)
def what_was_there_before_is_not_looked_at() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # a collection takes a millisecond then
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def without_the_garbage_collector() -> Iterator[None]:
    gc.collect()
    ALIVE.clear()
    PEAK[0] = 0
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def fail_some(entry: Entry, store: HookStore) -> None:
    if entry.raw_data["n"] % 50 == 7:
        raise ValueError("no")


def fail_later(entry: Entry, store: HookStore) -> None:
    if entry.validated_data["n"] % 50 == 7:
        raise ValueError("no")


async def fail_async(entry: Entry, store: HookStore) -> None:
    fail_later(entry, store)


class FailMany(BaseHook):
    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            fail_later(entry, store)


def drop_some(entry: Entry, store: HookStore) -> Any:
    return [] if entry.raw_data["n"] % 50 == 7 else None


def double_some(entry: Entry, store: HookStore) -> Any:
    return [entry, entry.copy()] if entry.validated_data["n"] % 50 == 7 else None


class Once(BaseHook):
    scope = "run"
    may_fail = True

    def value(self, entry: Entry, store: HookStore) -> Any:
        return entry.validated_data["n"]

    def decide(self, value: Any, position: int) -> Any:
        return "fail" if value % 50 == 7 else "keep"


WAYS: dict[str, dict[str, Any]] = {
    "no hooks": {},
    "a failing pre hook": {"pre_validation_hooks": [fail_some]},
    "a failing post hook": {"post_validation_hooks": [fail_later]},
    "a failing async hook": {"post_validation_hooks": [fail_async]},
    "a failing hook for many": {"post_validation_hooks": [FailMany()]},
    "a dropping hook": {"pre_validation_hooks": [drop_some]},
    "a doubling hook": {"post_validation_hooks": [double_some]},
    "a deciding hook": {"post_validation_hooks": [Once()]},
}
COUNT = 3000
CHUNK = 200


def records(bad_every: int | None = 50) -> Iterator[Any]:
    for i in range(COUNT):
        yield Record(n="x" if bad_every and i % bad_every == 0 else i)


@pytest.mark.parametrize(
    "way",
    WAYS,
)
@pytest.mark.parametrize("source", ["generator", "list"])
def test_models_are_freed_chunk_by_chunk_without_the_garbage_collector(way: str, source: str, executor: Any) -> None:
    given: Any = records() if source == "generator" else [dict(one) for one in records()]
    report = Pipe(
        given,
        lambda row: None,
        schema=Counted,
        errors=lambda row: None,
        chunk_size=CHUNK,
        executor=executor,
        **WAYS[way],
    ).run()
    assert report.read == COUNT
    assert report.failed >= COUNT // 50
    assert len(ALIVE) == 0
    assert 0 < PEAK[0] <= (2 if executor == "sync" else 4) * CHUNK


@pytest.mark.parametrize("way", ["no hooks", "a failing post hook"])
def test_adaptive_chunks_are_freed_too(way: str) -> None:
    Pipe(records(), lambda row: None, schema=Counted, errors=lambda row: None, **WAYS[way]).run()
    assert len(ALIVE) == 0
    assert PEAK[0] < COUNT // 2  # models live for a batch of 100, whatever the chunk


def test_a_run_that_fails_leaves_no_model_behind() -> None:
    pipe = Pipe(records(), schema=Counted, errors=lambda row: None, max_errors=20, chunk_size=CHUNK)
    with pytest.raises(Exception, match="max_errors"):
        pipe.run()
    assert len(ALIVE) == 0


def test_a_stream_holds_only_the_window() -> None:
    pipe = Pipe(records(), schema=Counted, errors=lambda row: None, chunk_size=50, max_inflight=4)
    for entry in pipe:
        assert entry.validated_data is not None
    del entry
    assert len(ALIVE) == 0
    assert 0 < PEAK[0] <= 6 * 50


def test_the_source_is_read_no_further_than_the_window() -> None:
    alive: weakref.WeakSet[Record] = weakref.WeakSet()
    peak = 0

    def source() -> Iterator[Any]:
        nonlocal peak
        for one in records(None):
            alive.add(one)
            peak = max(peak, len(alive))
            yield one

    with ThreadPoolExecutor(2) as pool:
        report = Pipe(source(), lambda row: None, executor=pool, chunk_size=50, max_inflight=4).run()
    assert report.valid == COUNT
    assert len(alive) <= 1  # the one that the generator's loop held
    assert 0 < peak <= (4 + 4) * 50  # the window, and what the reading thread holds ready


def test_finished_runs_leave_nothing_behind() -> None:
    def run() -> None:
        Pipe(records(), [], schema=Counted, errors=[], pre_validation_hooks=[fail_some], chunk_size=CHUNK).run()

    run()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(3):
        run()
    gc.collect()
    assert len(gc.get_objects()) - before < 200
