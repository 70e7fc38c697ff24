"""Calls: submitted, mapped, awaited, in their order, with anything that can be called and anything for an argument."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import itertools
import operator
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import pytest

from pipe_core.runtime.executor import Executor
from pipe_core.runtime.loops import shared_loop
from pipe_core.testing.executing.gates import Gate, Notes, busy, wait_until
from pipe_core.testing.executing.ground import Ground
from pipe_core.testing.executing.limits import limited, together

_MANY: Final = 300
_LARGE: Final = 10_000_000
_VARIABLE: Final[ContextVar[str]] = ContextVar("variable", default="none")


@limited
class CallTests(Ground):
    """What a call is given, and what comes back."""

    # --- the interface of the standard library ---

    def test_it_is_an_executor_of_the_standard_library(self, ready: Executor) -> None:
        """And gives its futures."""
        assert isinstance(ready, concurrent.futures.Executor)
        assert isinstance(ready.submit(abs, -1), Future)
        assert ready.slots == ready.max_workers >= 1

    def test_a_call_gets_its_arguments(self, ready: Executor) -> None:
        """Whatever they are called."""

        def echo(*args: Any, **kwargs: Any) -> Any:
            return args, kwargs

        future = ready.submit(echo, 1, [2], fn=3, self=4, wait=5)
        assert self._result(future) == ((1, [2]), {"fn": 3, "self": 4, "wait": 5})

    def test_every_future_has_the_result_of_its_own_call(self, ready: Executor) -> None:
        """And each call runs once."""
        futures = [ready.submit(pow, i, 2) for i in range(_MANY)]
        assert self._results(futures) == [i * i for i in range(_MANY)]

    def test_every_call_runs_exactly_once(self, ready: Executor, tmp_path: Path) -> None:
        """Counted where it runs."""
        notes = Notes(tmp_path)
        note = notes.writer()
        self._results([ready.submit(note, str(i)) for i in range(50)])
        assert notes.count() == {str(i): 1 for i in range(50)}

    def test_a_call_has_ended_when_its_future_says_so(self, ready: Executor, tmp_path: Path) -> None:
        """Not before."""
        notes = Notes(tmp_path)
        note = notes.writer()

        def work() -> str:
            import time

            note("begun")
            time.sleep(0.02)
            note("ended")
            return "given"

        future = ready.submit(work)
        concurrent.futures.wait([future], self.patience)
        assert notes.read() == ["begun", "ended"]
        assert self._result(future) == "given"

    def test_calls_begin_in_the_order_in_which_they_came(self, ready: Executor, tmp_path: Path) -> None:
        """None begins while one that came before it by all slots waits."""
        notes = Notes(tmp_path)
        note = notes.writer()
        self._results([ready.submit(note, str(i)) for i in range(40)])
        begun = [int(text) for text in notes.read()]
        # Calls that run at once may note in any order, and no other ones.
        early = [i for place, i in enumerate(begun) if i - place >= ready.slots]
        assert early == [], f"began before their turn: {early} of {begun}"

    def test_map_keeps_the_order(self, ready: Executor) -> None:
        """With any size of chunks."""
        for chunksize in (1, 7):
            found = list(ready.map(pow, range(20), range(20), timeout=self.patience, chunksize=chunksize))
            assert found == [i**i for i in range(20)]
        assert list(ready.map(abs, [])) == []

    def test_map_raises_where_its_call_failed(self, ready: Executor) -> None:
        """Behind the results before it."""
        results = ready.map(divmod, [5, 5, 5], [5, 0, 5], timeout=self.patience)
        assert next(results) == (1, 0)
        with pytest.raises(ZeroDivisionError):
            next(results)

    def test_map_gives_up_after_its_timeout(self, ready: Executor, tmp_path: Path) -> None:
        """While all slots are busy."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience), pytest.raises(TimeoutError):
            list(ready.map(abs, [1], timeout=0.01))

    def test_the_standard_wait_works(self, ready: Executor) -> None:
        """And `as_completed`."""
        futures = [ready.submit(abs, -i) for i in range(5)]
        done, pending = concurrent.futures.wait(futures, self.patience)
        assert (done, pending) == (set(futures), set())
        found = concurrent.futures.as_completed(futures, self.patience)
        assert {future.result(0) for future in found} == set(range(5))

    def test_waiting_for_the_first_does_not_wait_for_all(self, ready: Executor, tmp_path: Path) -> None:
        """One slot is busy, another one goes on."""
        self._needs_background(ready)
        if ready.slots < 2:
            pytest.skip("it has one slot")
        with busy(ready, tmp_path, self.patience, calls=1) as [slow]:
            quick = ready.submit(abs, -1)
            done, pending = concurrent.futures.wait([slow, quick], self.patience, return_when=FIRST_COMPLETED)
            assert (done, pending) == ({quick}, {slow})

    def test_a_result_may_be_waited_for_with_a_timeout(self, ready: Executor, tmp_path: Path) -> None:
        """And asked for again."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience) as [first, *_]:
            with pytest.raises(TimeoutError):
                first.result(timeout=0.01)
            with pytest.raises(TimeoutError):
                first.exception(timeout=0.01)
            assert first.running()
        assert self._result(first) == 0

    def test_submitting_does_not_wait_for_a_slot(self, ready: Executor, tmp_path: Path) -> None:
        """However many calls wait."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience):
            futures = [ready.submit(abs, -i) for i in range(50)]
            assert not any(future.done() for future in futures)
        assert self._results(futures) == list(range(50))

    def test_calls_run_where_they_are_submitted_without_isolation(self, ready: Executor) -> None:
        """They have ended when `submit` returns."""
        if ready.capabilities.isolation != "none":
            pytest.skip("calls run beside the one who submits them")
        future = ready.submit(threading.get_ident)
        assert future.done()
        assert future.result(0) == threading.get_ident()
        assert not future.cancel()

    def test_asyncio_runs_calls_in_it(self, ready: Executor) -> None:
        """By `run_in_executor`."""

        async def main() -> list[int]:
            loop = asyncio.get_running_loop()
            calls = [loop.run_in_executor(ready, abs, -i) for i in range(5)]
            return await asyncio.wait_for(asyncio.gather(*calls), self.patience)

        assert asyncio.run(main()) == list(range(5))

    def test_callbacks_are_called(self, ready: Executor) -> None:
        """Each once, and what one raises harms nothing."""
        seen: list[int] = []
        futures = [ready.submit(abs, -i) for i in range(10)]
        for future in futures:
            future.add_done_callback(lambda future: seen.append(future.result(0)))
        self._results(futures)
        wait_until(lambda: len(seen) >= 10, self.patience, lambda: f"only {seen} were told")
        assert sorted(seen) == list(range(10))
        self._check_alive(ready)

    def test_a_callback_may_submit(self, ready: Executor) -> None:
        """It runs on a thread of the backend's, which must not wait for itself."""
        later: list[Future[int]] = []
        ready.submit(abs, -1).add_done_callback(lambda _: later.append(ready.submit(abs, -2)))
        wait_until(lambda: later, self.patience, lambda: "the callback did not come back from its submit")
        assert self._result(later[0]) == 2

    # --- many, large, from everywhere ---

    def test_eight_threads_submit_at_once(self, ready: Executor) -> None:
        """Each gets its own results."""

        def work(number: int) -> list[int]:
            return self._results([ready.submit(operator.add, 100 * number, i) for i in range(20)])

        found = together(2 * self.patience, [functools.partial(work, number) for number in range(8)])
        assert found == [[100 * number + i for i in range(20)] for number in range(8)]

    def test_the_first_submit_comes_from_a_thread_that_then_ends(self, fresh: Executor) -> None:
        """Workers must not end with it."""
        futures: list[Future[int]] = []
        thread = threading.Thread(target=lambda: futures.append(fresh.submit(abs, -1)), daemon=True)
        thread.start()
        thread.join(self.patience)
        assert not thread.is_alive()
        assert self._result(futures[0]) == 1
        self._check_alive(fresh)

    def test_large_arguments_and_results(self, ready: Executor) -> None:
        """Ten megabytes there and back."""
        data = bytes(range(256)) * (_LARGE // 256)
        assert self._same(ready, bytes.swapcase, data) == data.swapcase()
        assert self._same(ready, len, ["x" * 1000] * 10_000) == 10_000

    def test_calls_held_ready_behind_a_running_one_are_not_lost(self, prefetching: Executor) -> None:
        """With a prefetch, as runs of records ask for it."""
        futures = [prefetching.submit(pow, i, 2) for i in range(_MANY)]
        assert self._results(futures) == [i * i for i in range(_MANY)]

    # --- anything that can be called ---

    def test_anything_that_can_be_called_runs(self, ready: Executor) -> None:
        """Lambdas, closures, partials, methods, and what is defined in a function."""
        for kind, fn in _callables().items():
            assert self._same(ready, fn, 41) == 42, kind

    def test_objects_of_local_classes_travel(self, ready: Executor) -> None:
        """There and back."""

        class Point:
            def __init__(self, x: int) -> None:
                self.x = x

        def moved(point: Point) -> Point:
            return Point(point.x + 1)

        assert self._same(ready, moved, Point(1)).x == 2

    def test_what_cannot_be_called_is_refused_at_once(self, ready: Executor) -> None:
        """Not by the future."""
        for thing in (None, 3, "abs", [abs]):
            with pytest.raises(TypeError):
                ready.submit(thing)  # type: ignore[arg-type]  # that is the point

    def test_asynchronous_functions_run(self, ready: Executor) -> None:
        """On all executors, and what they raise comes back."""

        async def double(value: int) -> int:
            import asyncio

            await asyncio.sleep(0)
            return 2 * value

        async def fail() -> None:
            import asyncio

            await asyncio.sleep(0)
            raise KeyError("deep")

        submit: Any = ready.submit  # its type says that a coroutine comes back, where its result does
        assert self._results([submit(double, i) for i in range(10)]) == [2 * i for i in range(10)]
        error = self._error(ready.submit(fail))
        assert (type(error), error.args) == (KeyError, ("deep",))

    def test_asynchronous_functions_run_on_its_own_loop(self, ready: Executor, tmp_path: Path) -> None:
        """Where it claims ``native_async``: one loop a process, and a call that awaits does not hold it."""
        if not ready.capabilities.native_async:
            pytest.skip("it does not claim native_async")

        async def where() -> tuple[int, int]:
            import asyncio
            import os

            return os.getpid(), id(asyncio.get_running_loop())

        submit: Any = ready.submit  # its type says that a coroutine comes back, where its result does
        found = set(self._results([submit(where) for _ in range(20)]))
        assert len(found) == len({pid for pid, _ in found}), f"more than one loop in a process: {found}"
        if ready.capabilities.in_process:
            assert id(shared_loop().loop) not in {loop for _, loop in found}, "core's own loop ran it"
            assert {loop for _, loop in found} == {id(ready.coroutine_loop())}, "coroutine_loop() gives another one"
        gate = Gate(tmp_path, self.patience)
        try:
            futures = [ready.submit(gate.async_holder(i)) for i in range(ready.slots)]
            gate.wait_for(ready.slots)
        finally:
            gate.open()
        assert self._results(futures) == list(range(ready.slots))

    # --- in the same process ---

    def test_a_call_sees_the_context_of_its_submit(self, ready: Executor) -> None:
        """Context variables, as they were then; and cannot change them for others."""
        self._needs_one_process(ready)

        async def look_later() -> str:
            await asyncio.sleep(0)
            return _VARIABLE.get()

        for look in (_VARIABLE.get, look_later):
            token = _VARIABLE.set("at submit")
            future: Future[Any] = ready.submit(look)
            _VARIABLE.reset(token)
            assert self._result(future) == "at submit"
            assert self._same(ready, look) == "none"
        self._result(ready.submit(_VARIABLE.set, "changed"))
        assert _VARIABLE.get() == self._same(ready, _VARIABLE.get) == "none"

    def test_what_a_call_was_given_is_let_go(self, ready: Executor) -> None:
        """An idle worker keeps neither the argument nor the result of its last call."""
        self._needs_one_process(ready)

        class Thing:
            pass

        thing = Thing()
        gone = weakref.ref(thing)
        future = ready.submit(lambda given: [given], thing)
        self._result(future)
        del thing, future
        wait_until(lambda: gc.collect() >= 0 and gone() is None, self.patience, lambda: "the argument is still held")


def _callables() -> dict[str, Callable[[int], int]]:
    class Local:
        @staticmethod
        def static(value: int) -> int:
            return value + 1

        @classmethod
        def of_class(cls, value: int) -> int:
            return value + 1

        def method(self, value: int) -> int:
            return value + 1

        def __call__(self, value: int) -> int:
            return value + 1

    more = next(itertools.count(1))

    def plain(value: int) -> int:
        return value + more

    return {
        "a lambda": lambda value: value + 1,
        "a closure": lambda value: value + more,
        "a function of a function": plain,
        "a partial": functools.partial(operator.add, 1),
        "a partial of a closure": functools.partial(lambda more, value: value + more, 1),
        "a built-in": (1).__add__,
        "an object": Local(),
        "a method": Local().method,
        "a static method": Local.static,
        "a class method": Local.of_class,
        "a class of a function": _adding(41),
    }


def _adding(expected: int) -> Callable[[int], int]:
    class Sum(int):
        def __new__(cls, value: int) -> Sum:
            return super().__new__(cls, value + 1)

    return lambda value: int(Sum(value)) if value == expected else value
