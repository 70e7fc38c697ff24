"""Errors: what a call raises comes back as itself or as data, and what cannot travel is told, never a hang."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import pytest

from pipe_core.kernel.errors import CodecError, RemoteError
from pipe_core.runtime.executor import Executor
from pipe_core.testing.executing.ground import Ground
from pipe_core.testing.executing.limits import limited


class Refused(Exception):
    """Takes two arguments and keeps them: it can be made again from what it keeps."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason, code)
        self.code = code


class Told(Exception):
    """Takes two arguments and keeps one text: it cannot be made again from what it keeps."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(f"{reason} ({code})")


_ODD: Final[dict[str, BaseException]] = {
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "CancelledError": asyncio.CancelledError(),
    "MemoryError": MemoryError("much"),
    "StopIteration": StopIteration(1),
}


@limited
class ErrorTests(Ground):
    """What a call raises."""

    # --- K23: one test for each way back ---

    def test_an_error_of_the_standard_library_is_itself(self, ready: Executor) -> None:
        """Class, arguments, attributes."""

        def culprit() -> None:
            Path("/no/such/folder/file").read_text()

        error = self._error(ready.submit(culprit))
        assert type(error) is FileNotFoundError
        assert (error.errno, error.filename) == (2, "/no/such/folder/file")
        self._check_traceback(ready, error, "culprit")

    def test_an_error_of_an_importable_class_is_itself(self, ready: Executor) -> None:
        """Where it can be made again from plain arguments."""

        def culprit() -> None:
            raise Refused("full", 7)

        error = self._error(ready.submit(culprit))
        assert type(error) is Refused
        assert (error.args, error.code) == (("full", 7), 7)
        self._check_traceback(ready, error, "culprit")

    def test_an_error_that_cannot_be_made_again_is_told(self, ready: Executor) -> None:
        """By a `RemoteError` with the name of its class; in the same process it is itself."""

        class Local(Exception):
            pass

        def culprit(kind: int) -> None:
            raise [Told("full", 7), Local("here")][kind]

        for kind, (cls, text) in enumerate([(Told, "full (7)"), (Local, "here")]):
            error = self._error(ready.submit(culprit, kind))
            if ready.capabilities.in_process:
                assert (type(error), str(error)) == (cls, text)
            else:
                assert isinstance(error, RemoteError)
                assert error.type_name.rpartition(".")[2] == cls.__name__
                assert text in str(error)
                assert "culprit" in error.remote_traceback
            self._check_traceback(ready, error, "culprit")
        self._check_alive(ready)

    def _check_traceback(self, executor: Executor, error: BaseException, name: str) -> None:
        """Wherever it was raised, its traceback shows where; from another process as a note."""
        assert name in "".join(traceback.format_exception(error))
        if not executor.capabilities.in_process:
            notes = "\n".join(getattr(error, "__notes__", ()))
            assert "Traceback" in notes
            assert name in notes

    # --- odd ones ---

    def test_an_odd_exception_is_the_call_s_own(self, ready: Executor) -> None:
        """`SystemExit`, `KeyboardInterrupt` and others end neither a worker nor the caller."""
        for name, odd in _ODD.items():
            error = self._error(ready.submit(_raising(type(odd), odd.args)))
            assert (type(error), error.args) == (type(odd), odd.args), name
        self._check_alive(ready)

    def test_an_odd_exception_of_an_asynchronous_function_too(self, ready: Executor) -> None:
        """It does not end the event loop. `StopIteration` cannot leave a coroutine: Python makes it another."""
        for name, odd in _ODD.items():
            if name == "StopIteration":
                continue
            error = self._error(ready.submit(_raising_later(type(odd), odd.args)))
            assert (type(error), error.args) == (type(odd), odd.args), name
        self._check_alive(ready)

    def test_a_falsy_exception_is_no_success(self, ready: Executor) -> None:
        """An error counts, whatever its truth is."""

        class Falsy(Exception):
            def __bool__(self) -> bool:
                return False

        def fail() -> None:
            raise Falsy("nothing")

        assert ready.submit(fail).exception(self.patience) is not None

    def test_an_exception_that_cannot_travel_is_told(self, ready: Executor) -> None:
        """It holds a lock: it comes back as data."""

        def fail() -> None:
            import threading

            raise ValueError("locked", threading.Lock())

        error = self._error(ready.submit(fail))
        if ready.capabilities.in_process:
            assert type(error) is ValueError
        else:
            assert isinstance(error, RemoteError)
            assert error.type_name == "builtins.ValueError"
        self._check_alive(ready)

    # --- what cannot travel ---

    def test_an_argument_that_cannot_travel_is_named(self, ready: Executor) -> None:
        """Which one of which function; in the same process it is the object itself."""
        lock = threading.Lock()
        if ready.capabilities.in_process:
            assert self._result(ready.submit(_same, lock)) is lock
            return
        error = self._told(ready, lambda: ready.submit(max, 1, lock))
        assert "max" in str(error)
        assert "rgument 2" in str(error)
        assert "lock" in str(error)

    def test_a_function_that_cannot_travel_is_named(self, ready: Executor) -> None:
        """Its closure holds a lock."""
        lock = threading.Lock()

        def guarded() -> int:
            with lock:
                return 1

        if ready.capabilities.in_process:
            assert self._same(ready, guarded) == 1
            return
        assert "guarded" in str(self._told(ready, lambda: ready.submit(guarded)))

    def test_a_result_that_cannot_travel_is_named(self, ready: Executor) -> None:
        """By the function that gave it, and by its type."""

        def locksmith() -> Any:
            import threading

            return threading.Lock()

        if ready.capabilities.in_process:
            assert type(self._same(ready, locksmith)) is type(threading.Lock())
            return
        error = self._told(ready, lambda: ready.submit(locksmith))
        assert "locksmith" in str(error)
        assert "lock" in str(error)

    def test_a_result_that_cannot_be_opened_is_told(self, ready: Executor) -> None:
        """Making it again raises."""
        self._needs_processes(ready)

        class Trap:
            def __reduce__(self) -> Any:
                return int, ("no number",)

        self._told(ready, lambda: ready.submit(Trap))

    def test_many_that_cannot_travel_do_not_hold_up_others(self, ready: Executor) -> None:
        """Neither lost nor waited for."""
        self._needs_processes(ready)
        lock = threading.Lock()
        futures: list[Future[Any]] = [ready.submit(id, lock) if i % 2 else ready.submit(abs, -i) for i in range(200)]
        for i, future in enumerate(futures):
            if i % 2:
                assert isinstance(self._error(future), CodecError)
            else:
                assert self._result(future) == i

    def _told(self, executor: Executor, submit: Callable[[], Future[Any]]) -> BaseException:
        """The `CodecError` of a call that cannot travel, after which the executor is as before."""
        error = self._error(submit())
        assert isinstance(error, CodecError), f"{error!r} should be a CodecError"
        self._check_alive(executor)
        return error

    def test_a_shared_value_that_cannot_travel_is_told(self, ready: Executor) -> None:
        """At once, by `share`."""
        self._needs_processes(ready)
        with pytest.raises(CodecError, match="lock"):
            ready.share(threading.Lock())


def _same(value: Any) -> Any:
    return value


def _raising(kind: type[BaseException], args: tuple[Any, ...]) -> Callable[[], None]:
    def fail() -> None:
        raise kind(*args)

    return fail


def _raising_later(kind: type[BaseException], args: tuple[Any, ...]) -> Callable[[], Any]:
    async def fail() -> None:
        import asyncio

        await asyncio.sleep(0)
        raise kind(*args)

    return fail
