"""`Executor.map`: order, errors at their place, laziness, batches; in line and in other processes."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipe_core import Executor, get_executor

LIMIT = 30.0


def fail_at_three(n: int) -> int:
    if n == 3:
        raise KeyError("three")
    return n * n


class Unpicklable(Exception):
    """Its class takes more than its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def odd(n: int) -> Any:
    if n == 1:
        raise Unpicklable(1, 2)
    return threading.Lock() if n == 2 else n


@pytest.fixture
def threads() -> Iterator[Executor]:
    with concurrent.futures.ThreadPoolExecutor(2) as pool, get_executor(pool) as executor:
        yield executor


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool, get_executor(pool) as executor:
        yield executor


@pytest.fixture(params=["sync", "threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param != "sync":
        yield request.getfixturevalue(request.param)
        return
    with get_executor("sync") as made:
        yield made


@pytest.mark.parametrize("chunksize", [1, 3, 100])
@pytest.mark.parametrize("buffersize", [None, 1, 4])
def test_results_come_in_order(executor: Executor, chunksize: int, buffersize: int | None) -> None:
    found = executor.map(pow, range(20), itertools.repeat(2), chunksize=chunksize, buffersize=buffersize)
    assert list(found) == [n**2 for n in range(20)]
    assert list(executor.map(abs, [], chunksize=chunksize, buffersize=buffersize)) == []


@pytest.mark.parametrize("chunksize", [1, 2, 10])
def test_an_error_comes_at_its_place(executor: Executor, chunksize: int) -> None:
    results = executor.map(fail_at_three, range(6), chunksize=chunksize)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(KeyError, match="three"):
        next(results)
    assert list(results) == []


def test_what_cannot_travel_is_its_own_affair(processes: Executor) -> None:
    from pipe_core.runtime.mapping import begin

    first, second, third, fourth = begin(processes, [(odd, (n,)) for n in range(4)], packed=True)
    assert (first.result(LIMIT), fourth.result(LIMIT)) == (0, 3)
    assert "odd" in str(second.exception(LIMIT))
    assert "cannot travel back" in str(third.exception(LIMIT))


def test_a_buffer_reads_no_further_than_it_must(threads: Executor) -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for n in itertools.count():
            read.append(n)
            yield n

    results = threads.map(abs, items(), buffersize=3)
    assert len(read) == 3
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(read) == 8
    results.close()  # type: ignore[attr-defined]  # a generator


def test_without_one_everything_is_submitted_at_once(threads: Executor) -> None:
    done: list[int] = []
    results = threads.map(done.append, range(10))
    deadline = time.monotonic() + LIMIT
    while len(done) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert list(results) == [None] * 10


def test_a_timeout_counts_from_the_call(threads: Executor) -> None:
    go = threading.Event()
    results = threads.map(lambda _: go.wait(LIMIT), range(4), timeout=0.1)
    with pytest.raises(TimeoutError):
        next(results)
    go.set()


def test_who_leaves_early_cancels_what_has_not_begun(threads: Executor) -> None:
    go, begun = threading.Event(), []

    def work(n: int) -> int:
        begun.append(n)
        go.wait(LIMIT)
        return n

    results = threads.map(work, range(50), timeout=0.05)
    with pytest.raises(TimeoutError):
        next(results)
    go.set()
    threads.submit(abs, -1).result(LIMIT)
    assert len(begun) <= 4


@pytest.mark.parametrize("options", [{"chunksize": 0}, {"buffersize": 0}, {"chunksize": -1}])
def test_numbers_start_at_one(executor: Executor, options: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        executor.map(abs, [1], **options)
