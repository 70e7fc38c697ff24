"""Places: where calls run, how many at once, and what they share."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import UnsupportedCapabilityError, WorkerKilled
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.select import require
from pipe_core.testing.executing.gates import Gate, Notes, busy
from pipe_core.testing.executing.ground import Ground
from pipe_core.testing.executing.limits import limited


@limited
class PlaceTests(Ground):
    """Whether the claims about where calls run are true."""

    # --- resources ---

    def test_calls_may_say_what_they_need_only_where_that_is_known(self, ready: Executor) -> None:
        """By ``resources``. Elsewhere they are refused, and nothing runs without what it needs."""
        if not ready.capabilities.resources:
            with pytest.raises(UnsupportedCapabilityError):
                ready.submit_needing({"GPU": 1}, abs, -1)
            return
        workers = ready.resources()
        assert all(amount > 0 for has in workers for amount in has.values()), f"{workers} has something of nothing"
        for name in {name for has in workers for name in has}:
            least = min(1.0, *(has[name] for has in workers if name in has), 1.0)
            assert self._result(ready.submit_needing({name: least}, abs, -1)) == 1
        self._check_alive(ready)

    # --- isolation ---

    def test_calls_run_where_it_claims_from_the_first_one_on(self, fresh: Executor) -> None:
        """In the caller's thread, in another one, in another process."""
        isolation = fresh.capabilities.isolation
        for future in [fresh.submit(_where()) for _ in range(4 * fresh.slots)]:
            pid, thread = self._result(future)
            if isolation in ("process", "remote"):
                assert pid != os.getpid(), f"it claims isolation '{isolation}', and the call ran in this process"
            else:
                assert pid == os.getpid(), f"it claims isolation '{isolation}', and the call ran in process {pid}"
                same = thread == threading.get_ident()
                assert same is (isolation == "none"), f"isolation '{isolation}', and the call ran in thread {thread}"

    def test_calls_see_the_caller_s_objects_in_the_same_process_only(self, ready: Executor) -> None:
        """Elsewhere they see copies, and a change stays there."""
        given = [1]

        def change(value: list[int]) -> list[int]:
            value.append(2)
            return value

        found = self._same(ready, change, given)
        assert found == [1, 2]
        if ready.capabilities.in_process:
            assert found is given
        else:
            assert found is not given
            assert given == [1]

    # --- slots ---

    def test_as_many_calls_as_slots_run_at_once(self, ready: Executor, tmp_path: Path) -> None:
        """They meet."""
        self._needs_background(ready)
        with busy(ready, tmp_path, self.patience) as running:
            assert all(future.running() for future in running)
        assert self._results(running) == list(range(ready.slots))

    def test_no_more_calls_than_slots_run_at_once(self, ready: Executor, prefetching: Executor, tmp_path: Path) -> None:
        """Also with a prefetch: what a slot holds ready does not run."""
        notes = Notes(tmp_path)
        note = notes.writer()

        def work() -> None:
            import time

            note("+")
            time.sleep(0.01)
            note("-")

        for executor in (ready, prefetching):
            self._results([executor.submit(work) for _ in range(8 * executor.slots)])
            assert _most_at_once(notes.read()) <= executor.slots

    def test_it_has_as_many_slots_as_were_asked_for(self, ready: Executor) -> None:
        """By ``max_workers``, where it has that option."""
        choice = self._choice()
        if choice is None or "max_workers" not in type(choice.options).model_fields:
            pytest.skip("it has no option max_workers")
        wanted = choice.options.model_dump()["max_workers"] if choice.sources.get("max_workers") else 2
        assert ready.slots == wanted

    # --- share ---

    def test_a_shared_value_is_the_same_for_all_calls(self, ready: Executor) -> None:
        """In the same process it is the object itself."""
        value = {"rows": list(range(1000))}
        handle = ready.share(value)
        futures = [ready.submit(lambda shared: sum(shared.get()["rows"]), handle) for _ in range(20)]
        assert self._results(futures) == [sum(range(1000))] * 20
        if ready.capabilities.in_process:
            assert self._same(ready, handle.get) is value

    def test_shared_bytes_travel_at_most_once_to_each_worker(self, ready: Executor, tmp_path: Path) -> None:
        """However many calls use them, and through however many handles."""
        self._needs_processes(ready)
        notes = Notes(tmp_path)
        value = os.urandom(100_000)
        with _counting_pulls(ready, notes.writer()):
            handles = [ready.share(value) for _ in range(2)]
            futures = [ready.submit(_sized(), handles[i % 2]) for i in range(20 * ready.slots)]
            found = self._results(futures)
        assert {size for _, size in found} == {len(value)}
        workers = {str(pid) for pid, _ in found}
        pulls = notes.count()
        assert set(pulls) <= workers
        assert max(pulls.values(), default=0) == 1, f"pulls of each worker: {dict(pulls)}"

    def test_several_shared_values_do_not_mix(self, ready: Executor) -> None:
        """Each handle leads to its own."""
        handles = [ready.share([i] * 100) for i in range(10)]
        futures = [ready.submit(lambda shared: shared.get()[0], handle) for handle in handles]
        assert self._results(futures) == list(range(10))

    # --- everywhere ---

    def test_a_call_everywhere_runs_once_in_every_worker(self, ready: Executor) -> None:
        """Where the system says which workers it has. In the same process it runs once, here."""
        self._check_alive(ready)
        try:
            outcomes = ready.everywhere(os.getpid)
        except UnsupportedCapabilityError as refused:
            outcomes, said = [], refused.capability
        if not outcomes:
            assert not ready.capabilities.in_process
            assert said == "everywhere"
            return
        assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
        pids = [outcome.value for outcome in outcomes]
        if ready.capabilities.in_process:
            assert pids == [os.getpid()]
        else:
            assert Counter(pids) == dict.fromkeys(pids, 1)
            assert os.getpid() not in pids
            assert {self._same(ready, os.getpid) for _ in range(2 * ready.slots)} <= set(pids)

    def test_what_a_call_everywhere_raises_is_its_outcome(self, ready: Executor) -> None:
        """Not the caller's."""
        try:
            outcomes = ready.everywhere(divmod, 1, 0)
        except UnsupportedCapabilityError:
            pytest.skip("the system does not say which workers it has")
        assert {type(outcome.error) for outcome in outcomes} == {ZeroDivisionError}
        self._check_alive(ready)

    # --- calls that submit calls ---

    def test_calls_may_wait_for_calls_that_they_submit(self, ready: Executor) -> None:
        """Deeper than there are slots, where it claims ``nested_submit``."""

        def down(depth: int) -> int:
            return 1 + ready.submit(down, depth - 1).result() if depth else 0

        if ready.capabilities.nested_submit:
            depth = 3 * ready.slots
            assert self._results([ready.submit(down, depth) for _ in range(ready.slots)]) == [depth] * ready.slots
        elif ready.capabilities.in_process:
            pytest.skip("it does not claim nested_submit: a call that waits for another one holds its slot")
        else:
            self._error(ready.submit(down, 1))  # the executor cannot travel to its own workers
            self._check_alive(ready)

    def test_a_call_may_use_an_executor_of_its_own(self, ready: Executor) -> None:
        """Started and shut down inside of it."""

        def nested() -> list[int]:
            from pipe_core import get_executor

            with get_executor("sync") as inner:
                return list(inner.map(abs, [-1, -2]))

        assert self._results([ready.submit(nested) for _ in range(4)]) == [[1, 2]] * 4

    # --- claims ---

    def test_what_it_does_not_claim_is_refused(self, ready: Executor) -> None:
        """By an error that names the capability and, where there are any, the executors that have it."""
        for claim in fields(Capabilities):
            if claim.name == "isolation":
                continue
            if getattr(ready.capabilities, claim.name):
                require(ready, claim.name)
                continue
            with pytest.raises(UnsupportedCapabilityError, match=claim.name) as caught:
                require(ready, claim.name)
            assert (caught.value.capability, caught.value.executor) == (claim.name, ready.name)
            assert ready.name not in caught.value.able

    # --- killing ---

    def test_a_running_call_is_killed_only_where_that_is_claimed(self, ready: Executor, tmp_path: Path) -> None:
        """By ``hard_timeout``: its future has `WorkerKilled`, and no other call is harmed."""
        if not ready.capabilities.hard_timeout:
            with pytest.raises(UnsupportedCapabilityError) as caught:
                ready._backend.kill(0)
            assert caught.value.capability == "hard_timeout"
            self._check_alive(ready)
            return
        gate = Gate(tmp_path, self.patience)
        waiting: list[Future[int]] = []
        try:
            running = [ready.submit(gate.holder(number)) for number in range(ready.slots)]
            gate.wait_for(ready.slots)
            waiting = [ready.submit(abs, -i) for i in range(10)]
            ready._backend.kill(_slot_of(ready, running[0]))
            error = self._error(running[0])
        finally:
            gate.open()
        assert isinstance(error, WorkerKilled), f"{error!r} should be a WorkerKilled"
        assert self._results(running[1:]) == list(range(1, ready.slots))
        assert self._results(waiting) == list(range(10))
        self._check_alive(ready)


def _slot_of(executor: Executor, future: Future[Any]) -> int:
    return next(slot for slot, hand in enumerate(executor._hands) if any(task.future is future for task in hand))


def _where() -> Callable[[], tuple[int, int]]:
    def where() -> tuple[int, int]:
        import os
        import threading

        return os.getpid(), threading.get_ident()

    return where


def _sized() -> Callable[[Any], tuple[int, int]]:
    def sized(shared: Any) -> tuple[int, int]:
        import os

        return os.getpid(), len(shared.get())

    return sized


def _most_at_once(notes: list[str]) -> int:
    now = most = 0
    for note in notes:
        now += 1 if note == "+" else -1
        most = max(most, now)
    return most


class _counting_pulls:  # noqa: N801  # reads as a function: `with _counting_pulls(...)`
    """Have every pull of shared bytes note the process that pulls."""

    def __init__(self, executor: Executor, note: Callable[[str], None]) -> None:
        self._backend: Any = executor._backend
        self._note = note

    def __enter__(self) -> None:
        put, note = self._backend.put, self._note

        def counted(digest: str, data: bytes) -> Callable[[str], bytes]:
            pull = put(digest, data)

            def pulled(digest: str) -> bytes:
                import os

                note(str(os.getpid()))
                found: bytes = pull(digest)
                return found

            return pulled

        self._backend.put = counted

    def __exit__(self, *_: object) -> None:
        del self._backend.put
