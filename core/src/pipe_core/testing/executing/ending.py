"""Ending: calls that are cancelled or given up, executors that are shut down."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipe_core.runtime.executor import Executor
from pipe_core.testing.executing.gates import Gate, Notes, busy, wait_until
from pipe_core.testing.executing.ground import Ground
from pipe_core.testing.executing.limits import limited, together
from pipe_core.testing.leaks import no_leaks


@limited
class EndingTests(Ground):
    """Cancelling and shutting down."""

    # --- calls ---

    def test_a_call_that_waits_can_be_cancelled_and_never_runs(self, ready: Executor, tmp_path: Path) -> None:
        """With a prefetch of 0 that is any call behind those that run."""
        self._needs_background(ready)
        notes = Notes(tmp_path)
        note = notes.writer()
        with busy(ready, tmp_path, self.patience):
            futures = [ready.submit(note, str(i)) for i in range(10)]
            cancelled = [future.cancel() for future in futures[::2]]
        assert cancelled == [True] * 5, "a call could not be cancelled while every slot was busy with another one"
        assert all(future.cancelled() for future in futures[::2])
        with pytest.raises(concurrent.futures.CancelledError):
            futures[0].result(self.patience)
        self._results(futures[1::2])
        self._check_alive(ready)
        assert notes.count() == {str(i): 1 for i in range(1, 10, 2)}

    def test_a_running_call_is_cancelled_only_where_that_is_claimed(self, ready: Executor, tmp_path: Path) -> None:
        """By ``cancel_running``. Elsewhere `cancel` says False, and the call gives its result."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience) as running:
            said = running[0].cancel()
            if ready.capabilities.cancel_running:
                assert said, "it claims cancel_running and did not cancel a running call"
                assert self._works(ready), "the slot of a cancelled call is not free again"
            else:
                assert not said
                assert not running[0].cancelled()
        if ready.capabilities.cancel_running:
            assert running[0].cancelled()
        else:
            assert self._results(running) == list(range(ready.slots))

    def test_a_call_that_has_ended_is_not_cancelled(self, ready: Executor) -> None:
        """Its result stays."""
        future = ready.submit(abs, -1)
        assert self._result(future) == 1
        assert not future.cancel()
        assert not future.cancelled()
        assert self._result(future) == 1

    def test_each_call_either_runs_or_was_cancelled(self, ready: Executor, tmp_path: Path) -> None:
        """While some submit and others cancel, whatever comes first."""
        notes = Notes(tmp_path)
        note = notes.writer()
        said: dict[str, tuple[bool, Future[None]]] = {}

        def work(number: int) -> None:
            futures = {f"{number}-{i}": ready.submit(note, f"{number}-{i}") for i in range(25)}
            for place, (name, future) in enumerate(reversed(futures.items())):
                said[name] = (place % 2 == 0 and future.cancel(), future)

        together(self.patience, [partial(work, number) for number in range(4)])
        assert not concurrent.futures.wait([future for _, future in said.values()], self.patience).not_done
        self._check_alive(ready)
        assert {name for name, (_, future) in said.items() if future.cancelled()} == {n for n in said if said[n][0]}
        assert notes.count() == {name: 1 for name, (cancelled, _) in said.items() if not cancelled}

    def test_those_who_wait_hear_of_a_cancelled_call(self, ready: Executor, tmp_path: Path) -> None:
        """`wait` returns."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience):
            future = ready.submit(abs, -1)
            assert future.cancel()
        assert concurrent.futures.wait([future], self.patience).done == {future}

    # --- executors ---

    def test_shutting_down_may_be_repeated(self, fresh: Executor) -> None:
        """And nothing is taken after it."""
        future = fresh.submit(abs, -1)
        fresh.shutdown()
        assert future.done()
        fresh.shutdown()
        fresh.shutdown(wait=False)
        fresh.shutdown(cancel_futures=True)
        assert future.result(0) == 1
        with pytest.raises(RuntimeError, match="after shutdown"):
            fresh.submit(abs, -1)
        with pytest.raises(RuntimeError, match="after shutdown"):
            fresh.map(abs, [1])

    def test_several_threads_may_shut_it_down_at_once(self, fresh: Executor) -> None:
        """Each comes back when all has ended."""
        futures = [fresh.submit(abs, -i) for i in range(20)]
        together(self.patience + self.start_seconds, [fresh.shutdown] * 4)
        assert [future.result(0) for future in futures] == list(range(20))

    def test_an_executor_that_never_ran_a_call_shuts_down(self, fresh: Executor) -> None:
        """At once."""
        fresh.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            fresh.submit(abs, -1)

    def test_a_block_waits_for_its_calls(self, fresh: Executor, tmp_path: Path) -> None:
        """All have ended behind it, and each ran."""
        notes = Notes(tmp_path)
        note = notes.writer()

        def work(number: int) -> int:
            import time

            time.sleep(0.005)
            note(str(number))
            return number

        with fresh as executor:
            futures = [executor.submit(work, i) for i in range(20)]
        assert all(future.done() for future in futures)
        assert notes.count() == {str(i): 1 for i in range(20)}
        assert [future.result(0) for future in futures] == list(range(20))

    def test_a_block_left_by_an_exception_cancels_what_waits(self, fresh: Executor, tmp_path: Path) -> None:
        """It waits for what runs, and nothing runs after it."""
        self._needs_background(fresh)
        notes = Notes(tmp_path)
        note = notes.writer()
        waiting: list[Future[None]] = []

        gate = Gate(tmp_path, self.patience)
        running = [fresh.submit(gate.holder(number)) for number in range(fresh.slots)]

        def leave() -> None:
            with fresh:
                gate.wait_for(fresh.slots)
                waiting.extend(fresh.submit(note, str(i)) for i in range(10))
                waiting[-1].add_done_callback(lambda _: gate.open())  # it is cancelled while the others still run
                raise LookupError("from the block")

        with pytest.raises(LookupError, match="from the block"):
            leave()
        assert all(future.cancelled() for future in waiting)
        assert [future.result(0) for future in running] == list(range(fresh.slots))
        assert notes.read() == []

    def test_an_asynchronous_block_does_not_hold_the_loop(self, fresh: Executor, tmp_path: Path) -> None:
        """While it waits for its calls."""
        self._needs_background(fresh)

        gate = Gate(tmp_path, self.patience)

        async def main() -> int:
            async with fresh:
                future = fresh.submit(gate.holder(1))
                gate.wait_for(1)
                asyncio.get_running_loop().call_later(0.01, gate.open)  # never comes where the loop is held
            return future.result(0)

        assert asyncio.run(main()) == 1

    def test_an_asynchronous_block_ends_its_executor(self, fresh: Executor) -> None:
        """Also where calls run in the caller's thread."""

        async def main() -> int:
            async with fresh as executor:
                return await asyncio.wrap_future(executor.submit(abs, -1))

        assert asyncio.run(main()) == 1
        with pytest.raises(RuntimeError, match="after shutdown"):
            fresh.submit(abs, -1)

    def test_a_shutdown_that_does_not_wait_lets_calls_end(self, fresh: Executor, tmp_path: Path) -> None:
        """Those that run and those that wait; the next shutdown waits for them."""
        self._needs_background(fresh)
        with busy(fresh, tmp_path, self.patience) as running:
            waiting = [fresh.submit(abs, -i) for i in range(10)]
            fresh.shutdown(wait=False)
            assert not any(future.done() for future in [*running, *waiting])
            with pytest.raises(RuntimeError, match="after shutdown"):
                fresh.submit(abs, -1)
        fresh.shutdown()
        assert all(future.done() for future in [*running, *waiting])
        assert self._results(running) == list(range(fresh.slots))
        assert self._results(waiting) == list(range(10))

    def test_a_cancelling_shutdown_cancels_what_waits(self, fresh: Executor, tmp_path: Path) -> None:
        """And nothing else."""
        self._needs_background(fresh)
        notes = Notes(tmp_path)
        note = notes.writer()
        with busy(fresh, tmp_path, self.patience) as running:
            waiting = [fresh.submit(note, str(i)) for i in range(10)]
            fresh.shutdown(wait=False, cancel_futures=True)
            assert all(future.cancelled() for future in waiting)
        fresh.shutdown()
        assert [future.result(0) for future in running] == list(range(fresh.slots))
        assert notes.read() == []

    def test_a_shutdown_waits_for_what_runs(self, fresh: Executor, tmp_path: Path) -> None:
        """It returns when the last call has ended, not before."""
        self._needs_background(fresh)
        closing = threading.Thread(target=fresh.shutdown, daemon=True)
        with busy(fresh, tmp_path, self.patience) as running:
            closing.start()
            closing.join(0.1)
            assert closing.is_alive(), "the shutdown returned while calls were running"
        closing.join(self.patience)
        assert not closing.is_alive()
        assert all(future.done() for future in running)

    def test_a_call_may_shut_its_executor_down(self, ready: Executor) -> None:
        """Without waiting for itself; in the same process, where it can reach it."""
        self._needs_one_process(ready)
        with self._made() as executor:
            future = executor.submit(lambda: executor.shutdown(wait=False))
            assert self._result(future) is None

    def test_nothing_is_left_behind(self) -> None:
        """No thread, no process, no open file. The first round is for what a library keeps for good."""
        self._go_round()
        with no_leaks(self.patience):
            self._go_round()

    def test_nothing_is_left_behind_by_one_that_was_ended_by_force(self) -> None:
        """With calls that wait."""
        self._go_round()
        with no_leaks(self.patience), self._made() as executor:
            futures = [executor.submit(abs, -i) for i in range(50)]
            executor.terminate()
            wait_until(lambda: all(one.done() for one in futures), self.patience, lambda: "calls have not ended")

    def _go_round(self) -> None:
        async def double(value: int) -> Any:
            return 2 * value

        with self._made() as executor:
            submit: Any = executor.submit
            self._check_alive(executor)
            assert self._results([submit(double, 1)]) == [2]
            self._result(executor.submit(executor.share(1).get))

    # --- giving up, where calls run in threads ---

    def test_a_call_that_is_given_up_frees_its_slot(self, ready: Executor, tmp_path: Path) -> None:
        """Its future has the error at once, and what the call gives in the end is refused."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience) as running:
            given_up = ready.give_up(running[0], TimeoutError("given up"))
            if given_up:
                assert isinstance(self._error(running[0]), TimeoutError)
                assert self._works(ready), "the slot of a call that was given up takes no other one"
            else:
                assert not running[0].done()
        if given_up:
            assert isinstance(self._error(running[0]), TimeoutError)
            running = running[1:]
        self._results(running)
