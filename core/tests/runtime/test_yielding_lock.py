"""The lock of executors, as their workers take it."""

from __future__ import annotations

import threading
import time

import pytest

from pipe_core import get_executor
from pipe_core.runtime.yielding_lock import YieldingLock


def test_one_at_a_time() -> None:
    plain = threading.RLock()
    polite = YieldingLock(plain)
    inside: list[int] = []
    seen: list[int] = []

    def work(lock: threading.RLock | YieldingLock) -> None:
        for _ in range(200):
            with lock:
                inside.append(1)
                time.sleep(0)
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=[lock]) for lock in (plain, polite, polite)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 600


def test_it_may_be_taken_again_by_who_has_it() -> None:
    plain = threading.RLock()
    with YieldingLock(plain), plain, YieldingLock(plain):
        pass
    assert _is_free(plain)


def test_an_error_lets_go_of_it() -> None:
    plain = threading.RLock()
    with pytest.raises(KeyError), YieldingLock(plain):
        raise KeyError
    assert _is_free(plain)


def test_who_waits_for_long_sleeps() -> None:
    plain = threading.RLock()
    used: list[float] = []

    def wait() -> None:
        before = time.thread_time()
        with YieldingLock(plain):
            used.append(time.thread_time() - before)

    with plain:
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
    thread.join()
    assert used[0] < 0.25


def test_the_main_thread_takes_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # a signal's exception could come between taking the other one and the block
    def refuse(self: YieldingLock) -> None:
        raise AssertionError("taken by the main thread")

    monkeypatch.setattr(YieldingLock, "__enter__", refuse)
    with get_executor("sync") as executor:
        assert executor.submit(abs, -1).result() == 1


def _is_free(lock: threading.RLock) -> bool:
    taken: list[bool] = []

    def take() -> None:
        if lock.acquire(blocking=False):
            taken.append(True)
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return bool(taken)
