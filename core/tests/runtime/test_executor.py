"""What every executor does with calls, errors and context; what it keeps, and what it can."""

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
from held_slots import held
from recording import Recording

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
