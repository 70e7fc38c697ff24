"""The threads themselves: when they start, what they are, how they end, and what becomes of one that hangs."""

from __future__ import annotations

import contextlib
import contextvars
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from pipe_core import OptionsError, UnsupportedCapabilityError, get_executor
from pipe_core.testing.leaks import no_leaks
from pipe_threads import ThreadExecutor
from pipe_threads.backend import ThreadBackend

PATIENCE = 20


def ours() -> list[Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pipe-thread-")]


@contextlib.contextmanager
def hanging(executor: ThreadExecutor) -> Iterator[tuple[Future[Any], Event]]:
    """A call that runs until its gate opens, which it does at the end of the block at the latest."""
    runs, gate = Event(), Event()

    def hang() -> str:
        runs.set()
        assert gate.wait(PATIENCE)
        return "late"

    future = executor.submit(hang)
    assert runs.wait(PATIENCE)
    try:
        yield future, gate
    finally:
        gate.set()


# --- when threads start ---


def test_no_thread_starts_before_the_first_call() -> None:
    with ThreadExecutor(max_workers=3) as executor:
        assert ours() == []
        executor.submit(abs, -1).result()
        assert 1 <= len(ours()) <= 3


def test_threads_are_daemons_with_names() -> None:
    with ThreadExecutor(max_workers=2) as executor:
        thread = executor.submit(threading.current_thread).result()
        assert thread.daemon
        assert thread.name == "pipe-thread-0"


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_as_many_calls_run_at_once_as_there_are_slots(slots: int) -> None:
    for _ in range(50):  # the counting of idle threads is a race that must not be lost once
        with ThreadExecutor(max_workers=slots) as executor:
            executor.submit(abs, -1).result()
            together = Barrier(slots)
            list(executor.map(together.wait, [PATIENCE] * slots))
            assert len(ours()) == slots


def test_calls_from_many_threads_run_once_each() -> None:
    ran: list[tuple[int, int]] = []

    def submit(number: int) -> None:
        for i in range(200):
            executor.submit(ran.append, (number, i))

    with ThreadExecutor(max_workers=3) as executor:
        submitters = [Thread(target=submit, args=[number]) for number in range(8)]
        for thread in submitters:
            thread.start()
        for thread in submitters:
            thread.join()
    assert sorted(ran) == [(number, i) for number in range(8) for i in range(200)]
    assert len(ours()) == 0


def test_where_there_are_no_threads_to_be_had_the_calls_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with ThreadExecutor(max_workers=2) as executor:
        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(abs, -1).result(PATIENCE)
        assert executor.submit(abs, -1).result(PATIENCE) == 1


def test_fewer_threads_than_slots_do_all_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadExecutor(max_workers=4) as executor:
        executor.submit(abs, -1).result()

        def refuse(thread: Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(Thread, "start", refuse)
        assert list(executor.map(abs, range(50))) == list(range(50))


# --- what threads leave alone ---


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), ValueError("no")], ids=repr)
def test_whatever_a_call_raises_its_thread_goes_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with ThreadExecutor(max_workers=1) as executor:
        thread = executor.submit(threading.current_thread).result()
        assert executor.submit(fail).exception() is error
        assert executor.submit(threading.current_thread).result() is thread


def test_calls_see_the_context_of_their_submit_and_keep_what_they_set_to_themselves() -> None:
    who = contextvars.ContextVar("who", default="nobody")

    def swap() -> str:
        before = who.get()
        who.set("a call")
        return before

    with ThreadExecutor(max_workers=1) as executor:
        who.set("one")
        first = executor.submit(swap)
        who.set("two")
        second = executor.submit(swap)
        assert (first.result(), second.result()) == ("one", "two")
        assert who.get() == "two"


def test_an_idle_thread_keeps_no_result_alive() -> None:
    class Large:
        pass

    with ThreadExecutor(max_workers=1) as executor:
        large = weakref.ref(executor.submit(Large).result())
        executor.submit(abs, -1).result()
        assert large() is None


# --- how they end ---


def test_a_hundred_rounds_leave_nothing_behind() -> None:
    with no_leaks():
        for _ in range(100):
            with ThreadExecutor(max_workers=2) as executor:
                assert list(executor.map(abs, [-1, -2, -3])) == [1, 2, 3]


def test_shutdown_joins_the_threads() -> None:
    executor = ThreadExecutor(max_workers=2)
    assert list(executor.map(abs, range(10))) == list(range(10))
    executor.shutdown()
    assert ours() == []
    executor.shutdown()


def test_a_callback_may_shut_down_without_waiting() -> None:
    executor = ThreadExecutor(max_workers=2)
    closed = Event()

    def close(future: Future[int]) -> None:
        executor.shutdown(wait=False)
        closed.set()

    with no_leaks():
        executor.submit(abs, -1).add_done_callback(close)
        assert closed.wait(PATIENCE)
        executor.shutdown()


def test_terminate_does_not_wait_for_a_call_that_hangs() -> None:
    executor = ThreadExecutor(max_workers=1)
    with no_leaks():
        with hanging(executor) as (hung, _):
            waiting = executor.submit(abs, -1)
            executor.terminate()
            assert waiting.cancelled()
            assert not hung.done()
        assert hung.result(PATIENCE) == "late"


# --- a call that hangs ---


def test_a_call_that_is_given_up_leaves_its_slot_to_others() -> None:
    with no_leaks(), ThreadExecutor(max_workers=1) as executor:
        with hanging(executor) as (hung, _):
            (left_behind,) = ours()
            assert executor.give_up(hung, TimeoutError("too long"))
            with pytest.raises(TimeoutError, match="too long"):
                hung.result()
            others = {executor.submit(threading.current_thread).result(PATIENCE) for _ in range(3)}
            assert left_behind not in others
        left_behind.join(PATIENCE)
        assert not left_behind.is_alive()
        assert isinstance(hung.exception(), TimeoutError)
        assert executor.submit(threading.current_thread).result(PATIENCE) in others


def test_shutdown_waits_for_the_others_not_for_what_was_given_up() -> None:
    executor = ThreadExecutor(max_workers=2)
    with hanging(executor) as (hung, _):
        executor.give_up(hung, TimeoutError())
        quick = executor.submit(abs, -1)
        executor.shutdown()
        assert quick.result() == 1
        assert len(ours()) == 1


def test_a_call_that_has_ended_cannot_be_given_up() -> None:
    with ThreadExecutor(max_workers=1) as executor:
        future = executor.submit(abs, -1)
        assert future.result() == 1
        assert not executor.give_up(future, TimeoutError())
        assert executor.submit(abs, -2).result() == 2


def test_giving_up_a_call_just_as_it_ends_loses_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadExecutor(max_workers=1) as executor, hanging(executor) as (hung, gate):
        behind = executor.submit(abs, -1)
        (thread,) = ours()
        abandon = executor._backend.abandon

        def end_first(slot: int) -> None:
            gate.set()
            thread.join(0.1)  # it cannot tell its end now, and not take the next call either
            assert thread.is_alive()
            assert not behind.done()
            abandon(slot)

        monkeypatch.setattr(executor._backend, "abandon", end_first)
        assert executor.give_up(hung, TimeoutError())
        assert behind.result(PATIENCE) == 1
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_slot_whose_thread_could_not_be_replaced_gets_one_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with ThreadExecutor(max_workers=1) as executor:
        for _ in range(5):
            executor.submit(abs, -1).result()
        with hanging(executor) as (hung, _):
            with monkeypatch.context() as patch:
                patch.setattr(Thread, "start", refuse)
                assert executor.give_up(hung, TimeoutError())
            assert executor.submit(abs, -1).result(PATIENCE) == 1


@pytest.mark.parametrize(
    "end",
    ["executor.give_up(hung, TimeoutError())", "executor.terminate()"],
    ids=["given up", "terminated"],
)
def test_a_thread_that_hangs_does_not_keep_the_interpreter(end: str) -> None:
    script = f"""
import threading
from pipe_threads import ThreadExecutor
executor = ThreadExecutor(max_workers=2)
runs = threading.Event()
def hang():
    runs.set()
    threading.Event().wait()
hung = executor.submit(hang)
runs.wait()
print(executor.submit(abs, -1).result())
{end}
print("end")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\nend\n", "")


# --- what is not offered ---


@pytest.mark.parametrize(("method", "args"), [("kill", [0]), ("put", ["", b""])])
def test_what_threads_cannot_do_is_refused(method: str, args: list[Any]) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="threads") as caught:
        getattr(ThreadBackend(), method)(*args)
    assert caught.value.executor == "threads"


def test_threads_have_the_stack_that_was_asked_for_and_others_have_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, set_size = [], threading.stack_size

    def recorded(size: int = 0) -> int:
        sizes.append(size)
        return set_size(size)

    monkeypatch.setattr(threading, "stack_size", recorded)
    before = set_size()
    with get_executor("threads", max_workers=1, thread_stack_size=4 * 1024 * 1024) as executor:
        executor.submit(int).result(60)
    assert sizes == [4 * 1024 * 1024, before]
    assert set_size() == before


@pytest.mark.parametrize("size", [0, 32_767, "big"])
def test_a_stack_that_is_too_small_is_refused(size: object) -> None:
    with pytest.raises(OptionsError, match="thread_stack_size"):
        get_executor("threads", thread_stack_size=size)
