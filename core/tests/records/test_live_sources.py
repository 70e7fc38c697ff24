"""Sources that give a record now and then, and sinks and workers that are slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from numbered import numbers

from pipe_core import HookStore, Pipe
from pipe_core.records.entry import Entry

# --- live sources -----------------------------------------------------------------------------------------------------


def test_a_live_record_reaches_the_sink_although_the_source_blocks_then(executor: Any) -> None:
    gate, arrived = threading.Event(), threading.Event()
    seen: list[Any] = []

    def live() -> Iterator[dict[str, Any]]:
        yield from numbers(3)
        gate.wait(10)
        yield {"n": 3}

    def sink(row: Any) -> None:
        seen.append(row)
        if len(seen) == 3:
            arrived.set()

    report = Pipe(live(), sink, executor=executor).start()
    try:
        assert arrived.wait(2)
    finally:
        gate.set()
    assert report.wait(5)
    assert seen == numbers(4)


def test_a_limit_ends_a_run_whose_source_blocks() -> None:
    gate = threading.Event()

    def live() -> Iterator[dict[str, Any]]:
        yield from numbers(5)
        gate.wait(10)

    out: list[Any] = []
    report = Pipe(live(), out, limit=3).start()
    assert report.wait(3)
    gate.set()
    assert out == numbers(3)


@pytest.mark.parametrize("kind", ["sized", "generator"])
def test_a_slow_sink_stops_the_source(kind: str, executor: Any) -> None:
    read = written = ahead = 0

    def reading() -> Iterator[dict[str, Any]]:
        nonlocal read
        for one in numbers(2000):
            read += 1
            yield one

    class Sized:
        def __len__(self) -> int:
            return 2000

        def __iter__(self) -> Iterator[dict[str, Any]]:
            return reading()

    def sink(row: Any) -> None:
        nonlocal written, ahead
        ahead = max(ahead, read - written)
        written += 1

    source = Sized() if kind == "sized" else reading()
    Pipe(source, sink, chunk_size=10, max_inflight=3, executor=executor).run()
    assert written == 2000
    # The thread that reads a live source holds two chunks of its own, and the record in its hand.
    assert ahead <= (30 if kind == "sized" else 51)


def test_one_chunk_larger_than_the_window_goes_through(executor: Any) -> None:
    out: list[Any] = []
    Pipe(numbers(100), out, chunk_size=50, max_bytes_inflight=10, executor=executor).run()
    assert out == numbers(100)


def test_a_run_that_waits_for_its_workers_uses_no_processor() -> None:
    gate, waiting = threading.Event(), threading.Event()

    def wait(entry: Entry, store: HookStore) -> None:
        waiting.set()
        assert gate.wait(10)

    with ThreadPoolExecutor(1) as pool:
        report = Pipe(
            (one for one in numbers(1000)), pre_validation_hooks=[wait], executor=pool, chunk_size=5, max_inflight=2
        ).start()
        assert waiting.wait(5)
        threading.Event().wait(0.2)  # workload: the window fills and the reader stops
        before = time.process_time()
        threading.Event().wait(0.5)  # workload: nothing at all
        spent = time.process_time() - before
        gate.set()
        assert report.wait(5)
    assert spent < 0.2
