"""The future of a call is one of the standard library in all that anybody can see."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, CancelledError, Future, as_completed, wait
from typing import Any

import pytest

from pipe_core.runtime.call_future import CallFuture

PATIENCE = 20


def test_it_is_made_as_the_standard_ones_are() -> None:
    future = CallFuture()
    assert isinstance(future, Future)
    assert {name: getattr(future, name) for name in vars(Future()) if name != "_condition"} == {
        name: value for name, value in vars(Future()).items() if name != "_condition"
    }
    assert type(future) is not Future  # else this Python makes them in another way, and the lean one needs a look


def test_somebody_who_waits_hears_of_the_end() -> None:
    future: Future[Any] = CallFuture()
    heard: list[Any] = []
    waits = threading.Event()

    def listen() -> None:
        waits.set()
        heard.append(future.result(PATIENCE))

    threads = [threading.Thread(target=listen) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert waits.wait(PATIENCE)
    future.set_result("end")
    for thread in threads:
        thread.join(PATIENCE)
    assert heard == ["end"] * 3


def test_waiting_has_a_limit() -> None:
    future = CallFuture()
    with pytest.raises(TimeoutError):
        future.result(0.01)
    assert wait([future], 0) == (set(), {future})
    future.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        future.result(0)


def test_a_cancelled_one_says_so() -> None:
    future = CallFuture()
    assert future.cancel()
    assert not future.set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        future.result(0)


def test_it_is_waited_for_together_with_others() -> None:
    ours, theirs = CallFuture(), Future[int]()
    threading.Timer(0.01, ours.set_result, [1]).start()
    assert wait([ours, theirs], PATIENCE, FIRST_COMPLETED).done == {ours}
    threading.Timer(0.01, theirs.set_result, [2]).start()
    assert wait([ours, theirs], PATIENCE, ALL_COMPLETED).done == {ours, theirs}
    assert {future.result() for future in as_completed([ours, theirs], PATIENCE)} == {1, 2}


def test_an_event_loop_awaits_it() -> None:
    async def main() -> Any:
        future = CallFuture()
        threading.Timer(0.01, future.set_result, [1]).start()
        return await asyncio.wrap_future(future)

    assert asyncio.run(main()) == 1
