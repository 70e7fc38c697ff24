from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import operator
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from holding import held

from pipe_core import Executor, OptionsError, UnsupportedCapabilityError, get_executor
from pipe_core.kernel.specs import Capabilities
from pipe_core.runtime.cores import cores
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.runtime.select import require

# --- what every executor does ---


def test_it_is_a_standard_executor(executor: Executor) -> None:
    assert isinstance(executor, concurrent.futures.Executor)
    assert isinstance(executor.submit(abs, -1), Future)
    assert executor.slots == executor.max_workers >= 1


def test_a_call_takes_any_arguments(executor: Executor) -> None:
    def echo(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert executor.submit(echo, 1, [2], fn=3, self=4, executor=5).result() == (
        (1, [2]),
        {"fn": 3, "self": 4, "executor": 5},
    )


class Adder:
    def __init__(self, more: int) -> None:
        self.more = more

    def __call__(self, value: int) -> int:
        return value + self.more

    def add(self, value: int) -> int:
        return value + self.more


def callables() -> dict[str, Callable[[int], int]]:
    class Local:
        @staticmethod
        def static(value: int) -> int:
            return value + 1

        @classmethod
        def of_class(cls, value: int) -> int:
            return value + 1

        def method(self, value: int) -> int:
            return value + 1

    more = 1
    return {
        "a lambda": lambda value: value + 1,
        "a closure": lambda value: value + more,
        "a partial": functools.partial(operator.add, 1),
        "a built-in": (1).__add__,
        "a local class's method": Local().method,
        "a local class's static method": Local.static,
        "a local class's class method": Local.of_class,
    }


@pytest.mark.parametrize("kind", callables())
def test_anything_that_can_be_called_runs(executor: Executor, kind: str) -> None:
    assert executor.submit(callables()[kind], 41).result() == 42


@pytest.mark.parametrize("kind", [Adder(1), Adder(1).add], ids=["an object", "a method"])
def test_objects_of_this_process_run_in_it(threads: Executor, kind: Callable[[int], int]) -> None:
    assert threads.submit(kind, 41).result() == 42


@pytest.mark.parametrize("thing", [None, 3, "abs", [abs]], ids=str)
def test_what_cannot_be_called_is_refused_at_once(executor: Executor, thing: Any) -> None:
    with pytest.raises(TypeError, match="wants something to call"):
        executor.submit(thing)
    assert executor.ledger.added == 0


@pytest.mark.parametrize("chunksize", [1, 7])
def test_map_keeps_the_order(executor: Executor, chunksize: int) -> None:
    assert list(executor.map(pow, range(20), range(20), chunksize=chunksize)) == [i**i for i in range(20)]
    assert list(executor.map(abs, [])) == []


def test_map_stops_at_the_first_error(executor: Executor) -> None:
    results = executor.map(divmod, [5, 5, 5], [5, 0, 5])

    assert next(results) == (1, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_gives_up_after_its_timeout(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots), pytest.raises(TimeoutError):
        list(background.map(abs, [1], timeout=0))


def test_the_standard_wait_works(executor: Executor) -> None:
    futures = [executor.submit(abs, -i) for i in range(5)]
    done, pending = concurrent.futures.wait(futures)

    assert (done, pending) == (set(futures), set())
    assert {future.result() for future in concurrent.futures.as_completed(futures)} == set(range(5))


def test_waiting_for_the_first_does_not_wait_for_all(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path) as [slow]:
        quick = background.submit(abs, -1)
        done, pending = concurrent.futures.wait([slow.future, quick], return_when=FIRST_COMPLETED)
        assert (done, pending) == ({quick}, {slow.future})

        failing = background.submit(divmod, 1, 0)
        done, pending = concurrent.futures.wait([slow.future, failing], return_when=FIRST_EXCEPTION)
        assert (done, pending) == ({failing}, {slow.future})


def test_asyncio_runs_calls_in_it(executor: Executor) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, abs, -i) for i in range(5)))

    assert asyncio.run(main()) == list(range(5))


# --- asynchronous functions ---


def test_asynchronous_functions_run(executor: Executor) -> None:
    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    assert list(executor.map(double, range(10))) == [2 * i for i in range(10)]


def test_what_an_asynchronous_function_raises_comes_back(executor: Executor) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("deep")

    assert executor.submit(fail).exception().args == ("deep",)  # type: ignore[union-attr]  # it has failed


def test_asynchronous_functions_of_one_process_share_a_loop(threads: Executor) -> None:
    async def loop() -> int:
        return id(asyncio.get_running_loop())

    assert len(set(threads.map(loop_of(loop), range(10)))) == 1


def loop_of(loop: Callable[[], Any]) -> Callable[[int], Any]:
    return lambda _: loop()


def test_an_asynchronous_function_may_not_wait_for_itself() -> None:
    with get_executor("sync") as executor:

        async def inner() -> int:
            return 1

        async def outer() -> int:
            return executor.submit(inner).result()

        with pytest.raises(RuntimeError, match="await"):
            executor.submit(outer).result()


# --- errors ---


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("x", 2), SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
def test_whatever_a_call_raises_is_its_future_s(executor: Executor, error: BaseException, asynchronous: bool) -> None:
    kind, args = type(error), error.args

    def fail() -> None:
        raise kind(*args)

    async def fail_later() -> None:
        raise kind(*args)

    found = executor.submit(fail_later if asynchronous else fail).exception()

    assert type(found) is kind
    assert found.args == args
    assert executor.submit(abs, -1).result() == 1


def test_a_falsy_exception_is_no_success(executor: Executor) -> None:
    class Falsy(Exception):
        def __bool__(self) -> bool:
            return False

    def fail() -> None:
        raise Falsy("nothing")

    assert executor.submit(fail).exception() is not None
    executor.shutdown()
    assert executor.ledger.totals[TaskStatus.FAILED] == 1


def test_an_error_knows_where_it_was_raised(executor: Executor) -> None:
    import traceback

    def culprit() -> None:
        raise LookupError("here")

    error = executor.submit(culprit).exception()

    assert error is not None
    assert "in culprit" in "".join(traceback.format_exception(error))


# --- context ---

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


@pytest.mark.parametrize("name", ["sync", "threads"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["plain", "async"])
def test_a_call_sees_the_context_of_its_submit(name: str, asynchronous: bool, tmp_path: Path) -> None:
    async def look_later() -> str:
        await asyncio.sleep(0)
        return VARIABLE.get()

    look = look_later if asynchronous else VARIABLE.get
    with ThreadPoolExecutor(1) as pool, get_executor(pool if name == "threads" else "sync") as executor:
        token = VARIABLE.set("at submit")
        future = executor.submit(look)
        VARIABLE.reset(token)
        assert future.result() == "at submit"
        assert executor.submit(look).result() == "none"


def test_a_call_cannot_change_the_caller_s_context(executor: Executor) -> None:
    if executor.capabilities.in_process:
        executor.submit(VARIABLE.set, "changed").result()

    assert VARIABLE.get() == "none"


# --- cancelling ---


def test_a_waiting_call_that_is_cancelled_never_runs(background: Executor, tmp_path: Path) -> None:
    trace = str(tmp_path / "trace")
    with held(background, tmp_path, calls=background.slots):
        future = background.submit(lambda: Path(trace).touch())
        assert future.cancel()
        assert future.cancelled()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()
    background.submit(abs, -1).result()
    background.shutdown()

    assert not Path(trace).exists()
    assert background.ledger.totals[TaskStatus.CANCELLED] == 1


def test_a_running_call_is_not_cancelled(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path) as [running]:
        assert not running.future.cancel()
        assert running.future.running()
    assert running.future.result() == ""


def test_those_who_wait_hear_of_a_cancelled_call(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots) as running:
        future = background.submit(abs, -1)
        future.cancel()
        for one in running:
            one.release()
        done, pending = concurrent.futures.wait([future], timeout=20)
    assert (done, pending) == ({future}, set())


# --- shutting down ---


def test_shutting_down_twice_is_fine(executor: Executor) -> None:
    future = executor.submit(abs, -1)
    executor.shutdown()
    executor.shutdown(wait=False)
    executor.shutdown(cancel_futures=True)

    assert future.result() == 1


def test_nothing_is_taken_after_the_shutdown(executor: Executor) -> None:
    executor.shutdown()

    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(abs, [1])
    assert repr(executor).endswith("0 waiting, 0 running, shut down>")


def test_a_block_waits_for_its_calls(background: Executor) -> None:
    with background as executor:
        futures = [executor.submit(abs, -i) for i in range(50)]

    assert all(future.done() for future in futures)
    assert [future.result() for future in futures] == list(range(50))


def test_a_shutdown_that_does_not_wait_lets_calls_end(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots):
        waiting = background.submit(abs, -1)
        background.shutdown(wait=False)
        assert not waiting.done()
    assert waiting.result() == 1


def test_a_shutdown_may_cancel_what_waits(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots) as running:
        waiting = [background.submit(abs, -i) for i in range(20)]
        background.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in waiting)
        assert background.ledger.count(TaskStatus.PENDING) == 0
    background.shutdown()

    assert [one.future.result() for one in running] == [""] * background.slots
    assert background.ledger.totals[TaskStatus.CANCELLED] == 20


def test_leaving_a_block_by_an_exception_cancels_what_waits_and_waits_for_the_rest(
    background: Executor, tmp_path: Path
) -> None:
    with held(background, tmp_path, calls=background.slots) as running:
        waiting: list[Future[int]] = []

        def release(_: object) -> None:
            for one in running:
                one.release()

        def block() -> None:
            with background:
                waiting.extend(background.submit(abs, -i) for i in range(10))
                waiting[-1].add_done_callback(release)
                raise LookupError("from the block")

        with pytest.raises(LookupError, match="from the block"):
            block()

    assert all(future.cancelled() for future in waiting)
    assert all(one.future.done() for one in running)


def test_an_asynchronous_block_waits_without_holding_the_loop(background: Executor, tmp_path: Path) -> None:
    async def main() -> list[str]:
        with held(background, tmp_path) as [slow]:
            async with background as executor:
                future = executor.submit(abs, -1)
                asyncio.get_running_loop().call_later(0.01, slow.release)  # would never come if the loop were held
            assert future.done()
            return [slow.future.result()]

    assert asyncio.run(main()) == [""]


def test_an_asynchronous_block_left_by_an_exception_cancels_what_waits(background: Executor, tmp_path: Path) -> None:
    async def main() -> Future[int]:
        with held(background, tmp_path, calls=background.slots) as running:
            try:
                async with background:
                    future = background.submit(abs, -1)
                    future.add_done_callback(lambda _: [one.release() for one in running])
                    raise LookupError
            except LookupError:
                return future

    assert asyncio.run(main()).cancelled()


def test_callbacks_have_run_when_the_shutdown_returns(threads: Executor, tmp_path: Path) -> None:
    begun, gate = threading.Event(), threading.Event()
    with held(threads, tmp_path) as [slow]:
        slow.future.add_done_callback(lambda _: (begun.set(), gate.wait(20)))
    assert begun.wait(20)
    closing = threading.Thread(target=threads.shutdown)
    closing.start()
    closing.join(0.05)
    still_open = closing.is_alive()
    gate.set()
    closing.join(20)

    assert still_open, "the shutdown returned while a callback was running"
    assert not closing.is_alive()


class Recording:
    """A backend that runs nothing until it is told, and tells what it was told."""

    slots = 1

    def __init__(self) -> None:
        self.stops: list[bool] = []

    def start(self, slots: int, take: Any, done: Any) -> None:
        self.take, self.done = take, done

    def wake(self) -> None:
        """Wait until told."""

    def run(self) -> None:
        call = self.take(0)
        if call is not None:
            self.done(call, call.run())

    def stop(self, kill: bool = False) -> None:
        self.stops.append(kill)

    def kill(self, slot: int) -> None: ...

    def put(self, digest: str, data: bytes) -> Any: ...


def test_a_backend_is_stopped_when_the_last_call_has_ended() -> None:
    backend = Recording()
    executor = Executor(backend)
    executor.submit(abs, -1)
    executor.submit(abs, -2)
    executor.shutdown(wait=False)
    assert backend.stops == []
    backend.run()
    assert backend.stops == []
    backend.run()
    assert backend.stops == [False]
    executor.shutdown()  # and once more for whoever waits: the first stop may have come from the backend's own thread

    assert backend.stops == [False, False]


def test_a_backend_is_stopped_when_the_last_call_was_cancelled() -> None:
    backend = Recording()
    executor = Executor(backend)
    future = executor.submit(abs, -1)
    executor.shutdown(wait=False)
    future.cancel()
    backend.run()

    assert backend.stops == [False]


def test_cancelling_at_the_shutdown_stops_an_idle_backend() -> None:
    backend = Recording()
    executor = Executor(backend)
    future = executor.submit(abs, -1)
    executor.shutdown(wait=True, cancel_futures=True)

    assert future.cancelled()
    assert set(backend.stops) == {False}


def test_callbacks_of_cancelled_calls_do_not_hold_the_executor() -> None:
    """A callback may wait for another thread that looks at the executor."""
    executor = Executor(Recording())
    future = executor.submit(abs, -1)
    seen: list[str] = []

    def look(_: Future[int]) -> None:
        with ThreadPoolExecutor(1) as other:
            try:
                other.submit(executor.submit, abs, -1).result(timeout=10)
            except BaseException as error:
                seen.append(str(error))

    future.add_done_callback(look)
    executor.shutdown(cancel_futures=True)

    assert seen == ["cannot schedule new futures after shutdown"]


# --- what it keeps ---


def test_the_ledger_counts_every_call(executor: Executor) -> None:
    for i in (1, 0, 2, 0, 4):
        concurrent.futures.wait([executor.submit(divmod, 1, i)])
    executor.shutdown()
    totals = {status.value: total for status, total in executor.ledger.totals.items() if total}

    assert totals == {"pending": 5, "processing": 5, "completed": 3, "failed": 2}
    assert sum(executor.ledger.count(status) for status in TaskStatus) == 0


def test_it_says_what_it_does(background: Executor, tmp_path: Path) -> None:
    with held(background, tmp_path, calls=background.slots):
        background.submit(abs, -1)
        assert repr(background) == f"<Executor {background.name}: 2 slots, 1 waiting, 2 running, open>"


def test_an_argument_is_let_go_when_its_call_has_ended(threads: Executor) -> None:
    class Thing:
        def look(self) -> None: ...

    thing, gone = Thing(), threading.Event()
    weakref.finalize(thing, gone.set)
    threads.submit(thing.look).result()
    del thing
    gc.collect()

    assert gone.wait(20)


def test_slots_are_the_backend_s_the_argument_s_or_the_machine_s() -> None:
    class Unknown(Recording):
        slots = None  # type: ignore[assignment]  # a backend that does not say

    assert Executor(Recording()).slots == 1
    assert Executor(Recording(), slots=5).slots == 5
    assert Executor(Unknown()).slots == cores()


def test_calls_that_submit_calls_do_not_hang_on_sync() -> None:
    with get_executor("sync") as executor:

        def down(depth: int) -> int:
            return 1 + executor.submit(down, depth - 1).result() if depth else 0

        assert executor.submit(down, 20).result() == 20


# --- capabilities ---


def test_a_capability_that_is_there_is_fine() -> None:
    require(Executor(Recording(), capabilities=Capabilities(native_async=True)), "native_async")


@pytest.mark.parametrize(("capability", "able"), [("nested_submit", ["sync"]), ("hard_timeout", [])])
def test_a_capability_that_is_not_there_is_told_with_those_who_have_it(
    capability: str, able: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipe_core.kernel.kernel import Kernel

    kernel = Kernel(environ={"PIPE_NO_PLUGINS": "1"})
    executor = Executor(Recording(), name="mine")
    with pytest.raises(UnsupportedCapabilityError) as caught:
        require(executor, capability, kernel)

    says = f"Installed executors that do: {', '.join(able)}." if able else "No installed executor does."
    assert str(caught.value) == f"The executor 'mine' does not offer '{capability}'. {says}"
    assert (caught.value.capability, caught.value.executor, caught.value.able) == (capability, "mine", tuple(able))
    assert isinstance(caught.value, RuntimeError)


def test_auto_is_for_pipes() -> None:
    with pytest.raises(OptionsError, match=r"Pipe\(\.\.\., executor='auto'\)"):
        get_executor("auto")
