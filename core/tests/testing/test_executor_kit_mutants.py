"""The kit for executors fails backends that are wrong on purpose, each for its own reason, and passes honest ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GROUND = '''
import asyncio, struct, subprocess, sys, threading, time
from concurrent.futures import Future, ThreadPoolExecutor
from pipe_core import Backend, Capabilities, Executor, Outcome, WorkerKilled
from pipe_core.runtime.foreign import ForeignBackend
from pipe_core.runtime.spool import Spool
from pipe_core.testing import ExecutorConformance


class Kit(ExecutorConformance):
    made = None
    kind = Executor
    patience = 1.0
    start_seconds = 1.0

    def make_executor(self, prefetch=0):
        return self.kind(self.made(), slots=2, capabilities=self.made.capabilities, prefetch=prefetch)


class Threads(Backend):
    """A thread a slot."""

    capabilities = Capabilities(isolation="thread")

    def start(self, slots, take, done):
        self.take, self.done = take, done
        self.threads = [threading.Thread(target=self.work, args=[slot], daemon=True) for slot in range(slots)]
        for thread in self.threads:
            thread.start()

    def work(self, slot):
        while (call := self.take(slot, wait=True)) is not None:
            self.end(slot, call)
            del call

    def end(self, slot, call):
        self.done(call, call.run())

    def wake(self):
        """The threads sleep in take."""

    def stop(self, kill=False):
        for thread in self.threads:
            if not kill and thread is not threading.current_thread():
                thread.join()


WORKER = """
import os, signal, struct, sys
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
signal.signal(signal.SIGINT, signal.SIG_IGN)
from pipe_core.runtime.wire import run_frame
while head := sys.stdin.buffer.read(8):
    answer = run_frame(sys.stdin.buffer.read(*struct.unpack("<Q", head)))
    answers.write(struct.pack("<Q", len(answer)) + answer)
    answers.flush()
"""


class Processes(Threads):
    """A thread a slot, and a process of its own for each of them."""

    capabilities = Capabilities(isolation="process", hard_timeout=True, survives_worker_death=True)

    def start(self, slots, take, done):
        self.spool, self.workers, self.lock = Spool(), {}, threading.Lock()
        super().start(slots, take, done)

    def end(self, slot, call):
        try:
            frame = call.frame()
        except Exception as error:
            self.done(call, Outcome(error=error))
            return
        worker = self.worker(slot)
        try:
            worker.stdin.write(struct.pack("<Q", len(frame)) + frame)
            worker.stdin.flush()
            head = worker.stdout.read(8)
            answer = worker.stdout.read(*struct.unpack("<Q", head)) if head else None
        except OSError:
            answer = None
        if answer is None:
            self.died(slot, call, worker)
        else:
            self.done(call, answer)

    def worker(self, slot):
        worker = self.workers.get(slot)
        if worker is None or worker.poll() is not None:
            self.close(worker)
            command = [sys.executable, "-c", WORKER]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.workers[slot] = worker
        return worker

    def close(self, worker):
        if worker is not None:
            for file in (worker.stdin, worker.stdout):
                try:
                    file.close()
                except OSError:
                    pass
            worker.wait()

    def died(self, slot, call, worker):
        self.done(call, Outcome(error=WorkerKilled("it died", exit_code=worker.wait())))

    def kill(self, slot):
        self.workers[slot].kill()

    def put(self, digest, data):
        return self.spool.put(digest, data)

    def stop(self, kill=False):
        for worker in self.workers.values() if kill else ():
            worker.kill()
        super().stop()
        with self.lock:
            for slot in list(self.workers):
                self.close(self.workers.pop(slot))
        self.spool.close()
'''

GOOD = (
    GROUND
    + """

class Loop(Threads):
    '''An event loop on a thread of its own; plain functions run in threads.'''

    capabilities = Capabilities(isolation="thread", native_async=True)

    def start(self, slots, take, done):
        self.take, self.done, self.free = take, done, set(range(slots))
        self.pool, self.loop = ThreadPoolExecutor(slots), asyncio.new_event_loop()
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()
        self.tasks, self.lock = set(), threading.Lock()

    def wake(self):
        self.loop.call_soon_threadsafe(self.pull)

    def pull(self):
        while self.free and (call := self.take(slot := min(self.free))) is not None:
            self.free.discard(slot)
            context = call.context if call.is_async else None  # `run` enters it itself
            task = self.loop.create_task(self.run(slot, call), context=context)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def run(self, slot, call):
        try:
            outcome = await (call.arun() if call.is_async else self.loop.run_in_executor(self.pool, call.run))
        except RuntimeError as error:  # the pool was shut down between the call's taking and its beginning
            outcome = Outcome(error=error)
        self.free.add(slot)
        self.done(call, outcome)
        self.pull()

    def stop(self, kill=False):
        self.pool.shutdown(wait=not kill)
        with self.lock:
            if not self.loop.is_closed():
                self.loop.call_soon_threadsafe(self.last)
        super().stop(kill)

    def last(self):
        if self.tasks:
            self.loop.call_later(0.001, self.last)
        else:
            self.loop.stop()

    def serve(self):
        self.loop.run_forever()
        with self.lock:
            self.loop.close()


class TestLoop(Kit):
    made = Loop
    patience = 10.0

class TestThreads(Kit):
    made = Threads
    patience = 10.0

class TestProcesses(Kit):
    made = Processes
    patience = 10.0
    start_seconds = 10.0
"""
)

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


CARELESS = {
    "careless-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n",
    "careless-1.0.dist-info/entry_points.txt": "[pipe_core.executors]\ncareless = careless\n",
    "careless.py": """
import os
import wave  # stands for something large
from concurrent.futures import ThreadPoolExecutor
from pydantic import BaseModel
from pipe_core import Capabilities, ExecutorSpec, hookimpl
from pipe_core.runtime.foreign import ForeignBackend

POOL = ThreadPoolExecutor(2)


class Options(BaseModel):
    max_workers: int | None = None


class Careless(ForeignBackend):
    def __init__(self, options):
        os.chdir("/")
        super().__init__(POOL, in_process=True)

    def stop(self, kill=False):
        POOL.shutdown()


@hookimpl
def pipe_executor(name):
    if name == "careless":
        return ExecutorSpec(Careless, Options, "", capabilities=Capabilities(isolation="thread"))
""",
    "test_made.py": """
from pipe_core.testing import ExecutorConformance

class TestCareless(ExecutorConformance):
    executor = "careless"
    heavy = ["wave"]
    patience = 2.0
""",
}
"""A package that is installed and wrong in whatever only an installed one can be."""

CARELESS_IN = [
    "test_an_unknown_option_is_refused",
    "test_options_are_frozen_and_closed",
    "test_it_describes_itself",
    "test_its_module_imports_nothing_heavy",
    "test_two_executors_share_nothing",
    "test_a_script_without_a_guard_runs",
]

TOGETHER = 4
"""How many Pythons run mutants at once: most of their time they wait for what never comes."""


class Run:
    """A pytest of its own over *text*."""

    def __init__(self, folder: Path, text: str, *tests: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_made.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=short", "-p", "no:cacheprovider", *tests]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPE_")}
        kept["PYTHONPATH"] = str(folder)
        self._output = folder / "output"
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                command, cwd=folder, env=kept, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def output(self) -> str:
        try:
            self._process.wait(55)
        finally:
            self._process.kill()
            self._process.wait()
        return self._output.read_text("utf-8")


@pytest.mark.parametrize("name", ["Threads", "Loop", "Processes"])
def test_the_kit_passes_a_backend_that_is_right(name: str, tmp_path: Path) -> None:
    output = Run(tmp_path / "run", GOOD, f"test_made.py::Test{name}").output()
    assert re.search(r"^\d{2,} passed, \d+ skipped in", output, re.MULTILINE), output


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


def test_the_kit_fails_a_package_that_is_careless(tmp_path: Path) -> None:
    for name, text in CARELESS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    tests = [f"test_made.py::TestCareless::{test}" for test in CARELESS_IN]
    output = Run(tmp_path, CARELESS["test_made.py"], *tests).output()
    assert [test for test in tests if f"FAILED {test}" not in output] == [], output
