from __future__ import annotations

import os
import threading
from concurrent.futures import Executor as StandardExecutor
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from held_slots import held

from pipe_core import CodecError, Executor, UnsupportedCapabilityError, get_executor
from pipe_core.kernel.contracts import Outcome
from pipe_core.runtime.foreign import ForeignBackend
from pipe_core.runtime.ledger import TaskStatus

MANY = 3000
"""More than a stack is deep."""


def test_the_pool_stays_its_owner_s() -> None:
    with ThreadPoolExecutor(1) as pool:
        with get_executor(pool) as executor:
            executor.submit(abs, -1)
        with get_executor(pool) as executor:
            assert executor.submit(abs, -2).result() == 2
        assert pool.submit(abs, -3).result() == 3


def test_a_cancelling_shutdown_leaves_the_pool_usable(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    executor = get_executor(pool)
    with held(executor, tmp_path, calls=executor.slots):
        waiting = [executor.submit(abs, -i) for i in range(20)]
        executor.shutdown(wait=False, cancel_futures=True)
    executor.shutdown()

    assert all(future.cancelled() for future in waiting)
    assert pool.submit(abs, -3).result() == 3


def test_no_more_calls_are_handed_over_than_run(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool, get_executor(pool) as executor, held(executor, tmp_path, calls=2):
        executor.submit(abs, -1)
        assert pool._work_queue.qsize() == 0
        assert executor.ledger.count(TaskStatus.PENDING) == 1


def test_a_prefetch_is_handed_over_beside_those_that_run(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        backend = ForeignBackend(pool, in_process=True)
        with Executor(backend, prefetch=2) as executor, held(executor, tmp_path):
            futures = [executor.submit(abs, -i) for i in range(5)]
            assert pool._work_queue.qsize() == 2
            assert executor.ledger.count(TaskStatus.PENDING) == 3
        assert [future.result() for future in futures] == list(range(5))


class LastFirst:
    """A scheduler that gives the latest task first."""

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def push(self, task: Any, /) -> None:
        self.tasks.append(task)

    def pop(self, slot: int, now: float, /) -> Any | None:
        return self.tasks.pop() if self.tasks else None

    def remove(self, task: Any, /) -> bool:
        return task in self.tasks and not self.tasks.remove(task)

    def __len__(self) -> int:
        return len(self.tasks)


def test_a_later_call_may_overtake_all_that_wait(tmp_path: Path) -> None:
    order: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        backend = ForeignBackend(pool, in_process=True)
        with Executor(backend, scheduler=LastFirst()) as executor, held(executor, tmp_path):
            for i in range(4):
                executor.submit(order.append, i)

    assert order == [3, 2, 1, 0]


def test_a_pool_that_its_owner_closed_is_an_error_of_every_call() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with get_executor(pool) as executor:
        errors = [executor.submit(abs, -1).exception() for _ in range(3)]

    assert [str(error) for error in errors] == ["cannot schedule new futures after shutdown"] * 3


def test_calls_that_the_owner_cancels_end(tmp_path: Path) -> None:
    pool = ThreadPoolExecutor(1)
    executor = Executor(ForeignBackend(pool, in_process=True), prefetch=1)
    with held(executor, tmp_path):
        handed, waiting = executor.submit(abs, -1), executor.submit(abs, -2)
        pool.shutdown(wait=False, cancel_futures=True)
    executor.shutdown()

    assert handed.done()
    assert isinstance(waiting.exception(), RuntimeError)


def test_the_death_of_a_worker_ends_every_call(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, get_executor(pool) as executor:
        with held(executor, tmp_path):
            futures = [executor.submit(os._exit, 3), *(executor.submit(abs, -1) for _ in range(MANY))]
        _done, pending = wait(futures, timeout=30)

        assert not pending
        assert {type(future.exception()) for future in futures} == {BrokenProcessPool}
        assert isinstance(executor.submit(abs, -1).exception(), BrokenProcessPool)


def test_many_calls_that_fail_while_they_are_handed_over_do_not_pile_up(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    lock = threading.Lock()
    with get_executor(pool) as executor:
        with held(executor, tmp_path, calls=executor.slots):
            futures = [executor.submit(id, lock) for _ in range(MANY)]
            last = executor.submit(abs, -7)
        _done, pending = wait([*futures, last], timeout=30)

        assert not pending
        assert {type(future.exception()) for future in futures} == {CodecError}
        assert last.result() == 7


class AtOnce(StandardExecutor):
    """A pool whose calls have ended when submit returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_many_calls_that_end_at_once_do_not_pile_up() -> None:
    backend = ForeignBackend(AtOnce(), in_process=True)
    calls = [Call() for _ in range(MANY)]
    waiting = list(calls)
    backend.start(2, lambda slot: waiting.pop() if waiting else None, lambda call, outcome: None)
    backend.wake()

    assert all(call.ran for call in calls)


class Call:
    id = 1
    ran = False

    def run(self) -> Outcome:
        self.ran = True
        return Outcome()

    def frame(self) -> bytes:
        return b""


def test_a_call_that_comes_while_another_thread_finds_none_is_not_forgotten() -> None:
    """The other thread holds the only place for a moment, so the one that submits finds none."""
    with ThreadPoolExecutor(1) as pool:
        backend = ForeignBackend(pool, in_process=True)
        call, waiting, ended = Call(), [], threading.Event()
        looks: list[int] = []

        def take(slot: int) -> Call | None:
            looks.append(slot)
            if len(looks) == 1:
                submitting = threading.Thread(target=lambda: (waiting.append(call), backend.wake()))
                submitting.start()
                submitting.join()
                return None
            return waiting.pop() if waiting else None

        backend.start(1, take, lambda call, outcome: ended.set())
        backend.wake()
        assert ended.wait(10)


def test_a_foreign_executor_cannot_kill(threads: Executor) -> None:
    with pytest.raises(UnsupportedCapabilityError) as caught:
        threads._backend.kill(0)

    assert (caught.value.capability, caught.value.executor) == ("hard_timeout", "ThreadPoolExecutor")


def test_the_slots_are_the_pool_s_workers() -> None:
    with ThreadPoolExecutor(3) as pool:
        assert get_executor(pool).slots == 3
    assert get_executor(AtOnce()).slots == 2


def test_calls_are_held_ready_for_as_long_as_somebody_asks(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, get_executor(pool) as executor, held(executor, tmp_path):
        release = executor.hold_ready(2)
        for _ in range(4):
            executor.submit(abs, -1)
        assert pool._work_queue.qsize() == 2
        release()
        executor.submit(abs, -1)
        assert pool._work_queue.qsize() == 2


def test_whoever_said_a_prefetch_keeps_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        backend = ForeignBackend(pool, in_process=True)
        with Executor(backend, prefetch=0) as executor, held(executor, tmp_path):
            executor.hold_ready(2)
            executor.submit(abs, -1)
            assert pool._work_queue.qsize() == 0
