"""The kit for executors fails backends that are wrong on purpose, each for its own reason."""

from __future__ import annotations

import pytest
from executor_runs import GROUND, Run

MUTANTS = (
    GROUND
    + '''

class SwallowsErrors(Threads):
    def end(self, slot, call):
        self.done(call, Outcome(call.run().value))


class SwallowsOddErrors(Threads):
    """Catches Exception where it should catch BaseException."""

    def end(self, slot, call):
        outcome = call.run()
        self.done(call, outcome if isinstance(outcome.error, Exception) else Outcome(outcome.value))


class DiesOfOddErrors(Threads):
    """The thread ends with the error."""

    def end(self, slot, call):
        outcome = call.run()
        if outcome.error is not None and not isinstance(outcome.error, Exception):
            raise SystemExit
        self.done(call, outcome)


class RunsTwice(Threads):
    def end(self, slot, call):
        call.run()
        self.done(call, call.run())


class LosesTheLast(Threads):
    """Keeps one back until the next one comes."""

    kept = None

    def end(self, slot, call):
        if call.id % 100 == 0:
            self.kept = call
        else:
            super().end(slot, call)


class DoneBeforeRun(Threads):
    def end(self, slot, call):
        outcome = Outcome()
        self.done(call, outcome)
        outcome.value = call.run().value


class MixesResults(Threads):
    """Gives each call of a slot what the one before gave."""

    last = Outcome(0)

    def end(self, slot, call):
        outcome, self.last = self.last, call.run()
        self.done(call, outcome)


class LastFirst(Threads):
    """Takes several and runs the last of them first."""

    def work(self, slot):
        while (call := self.take(slot, wait=True)) is not None:
            calls = [call]
            while len(calls) < 4 and (call := self.take(slot)) is not None:
                calls.append(call)
            for call in reversed(calls):
                self.done(call, call.run())


class LeaksAThread(Threads):
    def start(self, slots, take, done):
        super().start(slots, take, done)
        threading.Thread(target=threading.Event().wait, daemon=True).start()


class LeaksAFile(Threads):
    files = []

    def start(self, slots, take, done):
        super().start(slots, take, done)
        self.files.append(open("/dev/null"))


class IgnoresStop(Threads):
    def work(self, slot):
        while True:
            call = self.take(slot, wait=True)
            if call is None:
                time.sleep(0.01)
            else:
                self.end(slot, call)

    def stop(self, kill=False):
        """Nothing."""


class HangsInStop(Threads):
    def stop(self, kill=False):
        if not kill:
            threading.Event().wait(20)


class RunsCancelled(Executor):
    """Its futures can be cancelled, which the calls never hear of."""

    def submit(self, fn, /, *args, **kwargs):
        outer = Future()
        inner = super().submit(fn, *args, **kwargs)
        inner.add_done_callback(lambda _: outer.set_result(inner.result()) if not outer.cancelled() else None)
        return outer


class TakesAhead(Executor):
    """Hands over more than it can run."""

    def __init__(self, backend, **kwargs):
        super().__init__(backend, **{**kwargs, "prefetch": 3})


class Handed(ForeignBackend):
    """Calls go to a pool as soon as they can be had."""

    capabilities = Capabilities(isolation="thread")

    def __init__(self):
        super().__init__(ThreadPoolExecutor(2), in_process=True)

    def stop(self, kill=False):
        self._pool.shutdown(wait=not kill)


class TooMany(Threads):
    """What a slot holds ready runs at once."""

    def work(self, slot):
        while (call := self.take(slot, wait=True)) is not None:
            threads = []
            while call is not None:
                threads.append(threading.Thread(target=self.end, args=[slot, call]))
                threads[-1].start()
                call = self.take(slot)
            for thread in threads:
                thread.join()


class OneAtATime(Threads):
    """Says two slots and has one."""

    lock = threading.Lock()

    def end(self, slot, call):
        with self.lock:
            self.done(call, call.run())


class ReturnsEarly(Executor):
    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(False, cancel_futures=cancel_futures)


class CancelsAll(Executor):
    """Every shutdown cancels."""

    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait, cancel_futures=True)


class TakesAfterShutdown(Executor):
    def shutdown(self, wait=True, *, cancel_futures=False):
        if cancel_futures:
            super().shutdown(wait, cancel_futures=True)


class LosesContext(Threads):
    def end(self, slot, call):
        self.done(call, Outcome(call.fn(*call.args, **call.kwargs)))


class HoldsItsLastCall(Threads):
    def work(self, slot):
        while (call := self.take(slot, wait=True)) is not None:
            self.done(call, call.run())


class WaitsInWake(Threads):
    """Runs what is submitted before it comes back."""

    def start(self, slots, take, done):
        self.take, self.done, self.threads, self.lock = take, done, [], threading.Lock()

    def wake(self):
        def work():
            while (call := self.take(0)) is not None:
                self.done(call, call.run())

        with self.lock:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join()


class TiedToTheFirst(Threads):
    """Its threads end with the one that submitted first."""

    def start(self, slots, take, done):
        self.slots, self.take, self.done, self.threads = slots, take, done, []

    def wake(self):
        if not self.threads:
            first = threading.current_thread()
            self.threads = [threading.Thread(target=self.work, args=[i, first], daemon=True) for i in range(self.slots)]
            for thread in self.threads:
                thread.start()

    def work(self, slot, first):
        while first.is_alive() or self.threads is None:
            call = self.take(slot)
            if call is not None:
                self.end(slot, call)
            time.sleep(0.001)


class FalseProcesses(Threads):
    capabilities = Capabilities(isolation="process")

    def put(self, digest, data):
        return lambda _: data


class FalseThreads(Threads):
    """Runs in the caller's thread."""

    inline = True

    def start(self, slots, take, done):
        self.take, self.done, self.threads = take, done, []

    def wake(self):
        while (call := self.take(0)) is not None:
            self.done(call, call.run())


class FalseAsync(Threads):
    capabilities = Capabilities(isolation="thread", native_async=True)


class FalseNested(Threads):
    capabilities = Capabilities(isolation="thread", nested_submit=True)


class FalseCancel(Threads):
    capabilities = Capabilities(isolation="thread", cancel_running=True)


class FalseKill(Processes):
    def kill(self, slot):
        """Nothing."""


class KillsUnasked(Processes):
    """Can kill, and does not say so: who reads the capabilities gets no kill, and no refusal."""

    capabilities = Capabilities(isolation="process", survives_worker_death=True)


class HangsAtDeath(Processes):
    def died(self, slot, call, worker):
        threading.Event().wait()

    def stop(self, kill=False):
        if not kill:
            super().stop()


class ForgetsDeath(Processes):
    """Says that the call gave None."""

    def died(self, slot, call, worker):
        self.done(call, Outcome())


class WrongExitCode(Processes):
    def died(self, slot, call, worker):
        self.done(call, Outcome(error=WorkerKilled("it died", exit_code=worker.wait() + 1)))


class KillsNeighbours(Processes):
    """A death takes all workers with it."""

    def died(self, slot, call, worker):
        for other in list(self.workers.values()):
            other.kill()
        super().died(slot, call, worker)


class ShareDies(Processes):
    """What was shared goes with the first worker."""

    def died(self, slot, call, worker):
        self.spool.close()
        super().died(slot, call, worker)


class NoRefusals(Processes):
    """What cannot travel is None."""

    def end(self, slot, call):
        try:
            call.frame()
        except Exception:
            self.done(call, Outcome())
        else:
            super().end(slot, call)


class ShipsAlways(Executor):
    """Each use of a shared value pulls it again."""

    def share(self, value):
        shared = super().share(value)
        place, digest = shared._place, shared.digest

        class Again:
            def get(self):
                import cloudpickle
                return cloudpickle.loads(place(digest))

        return Again()


class TestSwallowsErrors(Kit): made = SwallowsErrors
class TestSwallowsOddErrors(Kit): made = SwallowsOddErrors
class TestDiesOfOddErrors(Kit): made = DiesOfOddErrors
class TestRunsTwice(Kit): made = RunsTwice
class TestLosesTheLast(Kit): made = LosesTheLast
class TestDoneBeforeRun(Kit): made = DoneBeforeRun
class TestMixesResults(Kit): made = MixesResults
class TestLeaksAThread(Kit): made = LeaksAThread
class TestLeaksAFile(Kit): made = LeaksAFile
class TestIgnoresStop(Kit): made = IgnoresStop
class TestHangsInStop(Kit): made = HangsInStop
class TestTooMany(Kit): made = TooMany
class TestOneAtATime(Kit): made = OneAtATime
class TestLosesContext(Kit): made = LosesContext
class TestHoldsItsLastCall(Kit): made = HoldsItsLastCall
class TestWaitsInWake(Kit): made = WaitsInWake
class TestTiedToTheFirst(Kit): made = TiedToTheFirst
class TestFalseProcesses(Kit): made = FalseProcesses
class TestFalseThreads(Kit): made = FalseThreads
class TestFalseAsync(Kit): made = FalseAsync
class TestFalseNested(Kit): made = FalseNested
class TestFalseCancel(Kit): made = FalseCancel
class TestFalseKill(Kit): made = FalseKill
class TestKillsUnasked(Kit): made = KillsUnasked
class TestHangsAtDeath(Kit): made = HangsAtDeath
class TestForgetsDeath(Kit): made = ForgetsDeath
class TestWrongExitCode(Kit): made = WrongExitCode
class TestKillsNeighbours(Kit): made = KillsNeighbours
class TestShareDies(Kit): made = ShareDies
class TestNoRefusals(Kit): made = NoRefusals
class TestRunsCancelled(Kit): made, kind = Threads, RunsCancelled
class TestReturnsEarly(Kit): made, kind = Threads, ReturnsEarly
class TestCancelsAll(Kit): made, kind = Threads, CancelsAll
class TestTakesAfterShutdown(Kit): made, kind = Threads, TakesAfterShutdown
class TestShipsAlways(Kit): made, kind = Processes, ShipsAlways
class TestTakesAhead(Kit): made, kind = Handed, TakesAhead
class TestLastFirst(Kit): made, kind = LastFirst, TakesAhead
'''
)

EXPECTED = {
    "SwallowsErrors": "test_an_error_of_the_standard_library_is_itself",
    "SwallowsOddErrors": "test_an_odd_exception_is_the_call_s_own",
    "DiesOfOddErrors": "test_an_odd_exception_is_the_call_s_own",
    "RunsTwice": "test_every_call_runs_exactly_once",
    "LosesTheLast": "test_every_future_has_the_result_of_its_own_call",
    "DoneBeforeRun": "test_a_call_has_ended_when_its_future_says_so",
    "MixesResults": "test_every_future_has_the_result_of_its_own_call",
    "LeaksAThread": "test_nothing_is_left_behind",
    "LeaksAFile": "test_nothing_is_left_behind",
    "IgnoresStop": "test_nothing_is_left_behind",
    "HangsInStop": "test_shutting_down_may_be_repeated",
    "TooMany": "test_no_more_calls_than_slots_run_at_once",
    "OneAtATime": "test_as_many_calls_as_slots_run_at_once",
    "LosesContext": "test_a_call_sees_the_context_of_its_submit",
    "HoldsItsLastCall": "test_what_a_call_was_given_is_let_go",
    "WaitsInWake": "test_submitting_does_not_wait_for_a_slot",
    "TiedToTheFirst": "test_the_first_submit_comes_from_a_thread_that_then_ends",
    "FalseProcesses": "test_calls_run_where_it_claims_from_the_first_one_on",
    "FalseThreads": "test_calls_run_where_it_claims_from_the_first_one_on",
    "FalseAsync": "test_asynchronous_functions_run_on_its_own_loop",
    "FalseNested": "test_calls_may_wait_for_calls_that_they_submit",
    "FalseCancel": "test_a_running_call_is_cancelled_only_where_that_is_claimed",
    "FalseKill": "test_a_running_call_is_killed_only_where_that_is_claimed",
    "KillsUnasked": "test_a_running_call_is_killed_only_where_that_is_claimed",
    "HangsAtDeath": "test_a_call_that_kills_its_worker_is_told[exit]",
    "ForgetsDeath": "test_a_call_that_kills_its_worker_is_told[SIGKILL]",
    "WrongExitCode": "test_a_call_that_kills_its_worker_is_told[SIGSEGV]",
    "KillsNeighbours": "test_a_call_that_outlives_the_death_of_a_neighbour_goes_on",
    "ShareDies": "test_every_worker_in_turn_may_die",
    "NoRefusals": "test_an_argument_that_cannot_travel_is_named",
    "RunsCancelled": "test_a_call_that_waits_can_be_cancelled_and_never_runs",
    "ReturnsEarly": "test_a_shutdown_waits_for_what_runs",
    "CancelsAll": "test_a_shutdown_that_does_not_wait_lets_calls_end",
    "TakesAfterShutdown": "test_shutting_down_may_be_repeated",
    "ShipsAlways": "test_shared_bytes_travel_at_most_once_to_each_worker",
    "TakesAhead": "test_a_call_that_waits_can_be_cancelled_and_never_runs",
    "LastFirst": "test_calls_begin_in_the_order_in_which_they_came",
}


TOGETHER = 4
"""How many Pythons run mutants at once: most of their time they wait for what never comes."""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the kit says of all mutants."""
    folder = tmp_path_factory.mktemp("mutants")
    tests = [f"test_made.py::Test{name}::{test}" for name, test in EXPECTED.items()]
    runs = [Run(folder / f"{i}", MUTANTS, *tests[i::TOGETHER]) for i in range(TOGETHER)]
    return "\n".join(run.output() for run in runs)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_kit_fails_a_backend_that_is_wrong(name: str, output: str) -> None:
    assert f"FAILED test_made.py::Test{name}::{EXPECTED[name]}" in output, output
