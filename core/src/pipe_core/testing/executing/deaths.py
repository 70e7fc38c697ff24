"""Deaths: a worker process that ends takes one call with it, and where it is claimed nothing else."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import pytest

from pipe_core.kernel.errors import BackendLost, WorkerKilled
from pipe_core.runtime.executor import Executor
from pipe_core.testing.executing.gates import Gate, Notes, alive, busy, wait_until
from pipe_core.testing.executing.ground import Ground
from pipe_core.testing.executing.limits import limited

_WAYS: Final[dict[str, int]] = {"exit": 7, "SIGKILL": -9, "SIGSEGV": -11}
"""How a worker dies, and what its exit code is then."""

_LOST: Final = (WorkerKilled, BackendLost, BrokenExecutor)


@limited
class DeathTests(Ground):
    """What the death of a worker process does."""

    @pytest.mark.parametrize("way", _WAYS)
    def test_a_call_that_kills_its_worker_is_told(self, ready: Executor, fresh_if_mortal: Any, way: str) -> None:
        """By `WorkerKilled`, with the exit code where it is known; later calls run, or are refused at once."""
        executor: Executor = fresh_if_mortal or ready
        error = self._error(executor.submit(_dying(way)))
        self._check_blame(executor, error)
        if isinstance(error, WorkerKilled):
            assert error.exit_code in (None, _WAYS[way])
        self._check_after(executor)

    def test_a_dying_call_harms_no_other(self, ready: Executor, fresh_if_mortal: Any, tmp_path: Path) -> None:
        """Those that run beside it and those that wait end with their right results, each having run once."""
        executor: Executor = fresh_if_mortal or ready
        notes = Notes(tmp_path)
        note = notes.writer()
        gate = Gate(tmp_path, self.patience)

        def innocent(number: int) -> int:
            note(str(number))
            return number

        def meeting(number: int, hold: Callable[[], int]) -> int:
            note(str(number))
            return hold()

        def killer(hold: Callable[[], int]) -> None:
            import os
            import signal

            hold()
            os.kill(os.getpid(), signal.SIGKILL)

        beside = executor.slots - 1
        dying = executor.submit(killer, gate.holder(0))
        running = [executor.submit(meeting, i, gate.holder(i)) for i in range(1, 1 + beside)]
        gate.wait_for(1 + beside)
        waiting = [executor.submit(innocent, i) for i in range(100, 120)]
        gate.open()
        self._check_blame(executor, self._error(dying))
        if not executor.capabilities.survives_worker_death:
            self._check_all_end([*running, *waiting])
            return
        assert self._results(running) == list(range(1, 1 + beside))
        assert self._results(waiting) == list(range(100, 120))
        assert notes.count() == {str(i): 1 for i in [*range(1, 1 + beside), *range(100, 120)]}

    def test_a_call_that_outlives_the_death_of_a_neighbour_goes_on(
        self, ready: Executor, fresh_if_mortal: Any, tmp_path: Path
    ) -> None:
        """It was in the middle of its work."""
        executor: Executor = fresh_if_mortal or ready
        if executor.slots < 2:
            pytest.skip("it has one slot: no call runs beside another one")
        with busy(executor, tmp_path, self.patience):
            pass  # all its workers have come up
        gate, notes = Gate(tmp_path, self.patience), Notes(tmp_path)
        note = notes.writer()
        hold = gate.holder(5)

        def work() -> int:
            note("begun")
            return hold()

        neighbour = executor.submit(work)
        gate.wait_for(1)
        try:
            self._check_blame(executor, self._error(executor.submit(_dying("SIGKILL"))))
        finally:
            gate.open()
        if executor.capabilities.survives_worker_death:
            assert self._result(neighbour) == 5
            assert notes.read() == ["begun"]
        else:
            self._check_all_end([neighbour])

    def test_every_worker_in_turn_may_die(self, ready: Executor) -> None:
        """And what was shared before is there for those that come after, time and again."""
        self._needs_survival(ready)
        handle = ready.share({"kept": os.urandom(1000)})
        seen: set[int] = set()
        for _ in range(2 * ready.slots):
            self._check_blame(ready, self._error(ready.submit(_dying("SIGKILL"))))
            found = self._results([ready.submit(_using(), handle) for _ in range(2 * ready.slots)])
            assert {size for _, size in found} == {1000}
            seen |= {pid for pid, _ in found}
        assert len(seen) > ready.slots, f"only the workers {seen} were ever seen, and more have died"

    def test_workers_that_die_while_they_are_idle_harm_nothing(self, ready: Executor) -> None:
        """Killed from outside, all of them. No call is blamed that began on none of them."""
        self._needs_survival(ready)
        pids = {self._result(ready.submit(os.getpid)) for _ in range(4 * ready.slots)}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)), self.patience, lambda: f"{pids} do not die")
        self._check_alive(ready)
        assert not pids & {self._result(ready.submit(os.getpid)) for _ in range(2 * ready.slots)}

    def test_workers_do_not_hear_of_ctrl_c(self, ready: Executor) -> None:
        """It is sent to them as well, and is their driver's to answer: they go on with what they do."""
        if ready.capabilities.isolation != "process" or self._choice() is None:
            pytest.skip("no worker processes of this machine that the plugin has started")
        pids = {self._result(ready.submit(os.getpid)) for _ in range(4 * ready.slots)}

        def hit() -> int:
            import os
            import signal
            import time

            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            return os.getpid()

        for _ in range(2 * ready.slots):
            pids.add(self._result(ready.submit(hit)))
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        self._check_alive(ready)
        assert all(map(alive, pids))

    def test_calls_held_ready_behind_a_dying_one_run_elsewhere(self, prefetching: Executor, tmp_path: Path) -> None:
        """With a prefetch: they have not begun, so they are not blamed and not lost."""
        self._needs_survival(prefetching)
        notes, count = Notes(tmp_path), 6 * prefetching.slots
        note = notes.writer()
        work = [_dying("exit") if i == 1 else _noting(note, i) for i in range(count)]
        futures: list[Future[Any]] = [prefetching.submit(fn) for fn in work]
        self._check_blame(prefetching, self._error(futures.pop(1)))
        wanted = [i for i in range(count) if i != 1]
        assert self._results(futures) == wanted
        assert notes.count() == {str(i): 1 for i in wanted}

    def test_calls_that_are_given_up_make_room(self, prefetching: Executor, tmp_path: Path) -> None:
        """The one that runs and one that is held ready behind it, by the death of the worker; those of others run."""
        self._needs_hard_timeout(prefetching)
        notes, gate = Notes(tmp_path), Gate(tmp_path, self.patience)
        note = notes.writer()
        running = [prefetching.submit(gate.holder(i)) for i in range(prefetching.slots)]
        gate.wait_for(prefetching.slots)
        behind = [prefetching.submit(_noting(note, i)) for i in range(2 * prefetching.slots)]
        held = [future for future in behind if future.running()]
        given_up = [*running, *held[:1]]
        over = TimeoutError("nobody waits for it any more")
        for future in given_up:
            assert prefetching.give_up(future, over)
        assert [self._error(future) for future in given_up] == [over] * len(given_up)
        others = [i for i, future in enumerate(behind) if future not in held[:1]]
        assert self._results([behind[i] for i in others]) == others
        assert notes.count() == {str(i): 1 for i in others}
        assert not prefetching.give_up(running[0], over), "it has ended"
        self._check_alive(prefetching)

    def test_workers_that_are_ended_again_and_again_are_replaced(self, ready: Executor) -> None:
        """They have been killed before they did anything, and not because they cannot."""
        self._needs_hard_timeout(ready)
        for _ in range(8):
            futures = [ready.submit(_napping(self.patience)) for _ in range(ready.slots)]
            for future in futures:
                wait_until(future.running, self.patience, lambda: "a call does not run")
                assert ready.give_up(future, TimeoutError())
            assert {type(self._error(future)) for future in futures} == {TimeoutError}
        self._check_alive(ready)

    # --- helpers ---

    def _needs_hard_timeout(self, executor: Executor) -> None:
        if not executor.capabilities.hard_timeout:
            pytest.skip("it does not claim hard_timeout")

    @pytest.fixture(name="fresh_if_mortal")
    def _fresh_if_mortal(self, ready: Executor) -> Any:
        """A fresh executor where the shared one would not survive the test; None where it does."""
        self._needs_processes(ready)
        survives = ready.capabilities.survives_worker_death
        with nullcontext() if survives else self._made() as executor:
            yield executor

    def _needs_survival(self, executor: Executor) -> None:
        self._needs_processes(executor)
        if not executor.capabilities.survives_worker_death:
            pytest.skip("it does not claim survives_worker_death")

    def _check_blame(self, executor: Executor, error: BaseException) -> None:
        wanted: Any = WorkerKilled if executor.capabilities.survives_worker_death else _LOST
        assert isinstance(error, wanted), f"{error!r} should say that the worker died"

    def _check_after(self, executor: Executor) -> None:
        """With the claim it goes on; without, every call is refused with the reason, and none hangs."""
        if executor.capabilities.survives_worker_death:
            self._check_alive(executor)
        else:
            for _ in range(3):
                try:
                    error: BaseException | None = self._error(executor.submit(abs, -1))
                except _LOST as refused:
                    error = refused
                assert isinstance(error, _LOST), f"{error!r} should say that the executor is lost"

    def _check_all_end(self, futures: list[Future[Any]]) -> None:
        """With their results, or with the reason why there is none."""
        _done, pending = concurrent.futures.wait(futures, self.patience)
        assert not pending
        for future in futures:
            assert future.exception(0) is None or isinstance(future.exception(0), _LOST)


def _dying(way: str) -> Callable[[], Any]:
    def die() -> None:
        import os
        import signal

        if way == "exit":
            os._exit(7)
        os.kill(os.getpid(), getattr(signal, way))

    return die


def _napping(seconds: float) -> Callable[[], None]:
    def nap() -> None:
        import time

        time.sleep(seconds)

    return nap


def _using() -> Callable[[Any], tuple[int, int]]:
    def use(shared: Any) -> tuple[int, int]:
        import os

        return os.getpid(), len(shared.get()["kept"])

    return use


def _noting(note: Callable[[str], None], number: int) -> Callable[[], int]:
    def work() -> int:
        note(str(number))
        return number

    return work
