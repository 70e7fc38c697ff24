from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipe_core import CodecError, Executor, PipeError, RemoteError, get_executor

LOCK = threading.Lock()


def test_calls_run_in_other_processes(processes: Executor) -> None:
    assert os.getpid() not in processes.map(lambda _: os.getpid(), range(10))


# --- errors ---


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("key"),
        ZeroDivisionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        FileNotFoundError(2, "No such file", "name"),
        PermissionError(13, "no"),
        ConnectionResetError("gone"),
        PipeError("ours"),
        StopIteration(3),
    ],
    ids=repr,
)
def test_an_error_comes_back_as_its_own_class(processes: Executor, error: Exception) -> None:
    kind, args, state = type(error), error.args, getattr(error, "filename", None)

    def raising() -> None:
        raise kind(*args, state) if state else kind(*args)

    found = processes.submit(raising).exception()

    assert type(found) is kind
    assert found.args == args
    assert str(found) == str(error)
    [note] = found.__notes__
    assert note.startswith("Traceback of the worker:\nTraceback (most recent call last):")
    assert "in raising" in note


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ValueError({1, 2}), "builtins.ValueError"),
        (lambda: ValueError(ValueError()), "builtins.ValueError"),
    ],
    ids=["a set", "an error in an error"],
)
def test_an_error_that_cannot_be_rebuilt_is_remote(
    processes: Executor, make: Callable[[], Exception], name: str
) -> None:
    error = make()

    def raising() -> None:
        raise error

    found = processes.submit(raising).exception()

    assert isinstance(found, RemoteError)
    assert found.type_name.endswith(name)
    assert str(found) == f"{found.type_name}: {error}"
    assert "in raising" in found.remote_traceback
    assert found.remote_traceback in found.__notes__[0]


def test_an_error_of_a_class_that_is_only_known_there_is_remote(processes: Executor) -> None:
    def raising() -> None:
        class Local(Exception):
            def __init__(self, first: int, second: int) -> None:
                super().__init__(f"{first} and {second}")

        raise Local(1, 2)

    found = processes.submit(raising).exception()

    assert isinstance(found, RemoteError)
    assert found.type_name.endswith("raising.<locals>.Local")
    assert str(found).endswith("Local: 1 and 2")


# --- what cannot travel ---


@pytest.mark.parametrize(
    ("args", "kwargs", "culprit"),
    [
        ((LOCK,), {}, "Argument 1 of id (a lock)"),
        ((1, LOCK), {}, "Argument 2 of id (a lock)"),
        ((1,), {"key": LOCK}, "Argument 'key' of id (a lock)"),
        ((1, [LOCK]), {}, "Argument 2 of id (a list)"),
    ],
    ids=["first", "second", "by name", "deep"],
)
def test_an_argument_that_cannot_travel_is_named(
    processes: Executor, args: tuple[Any, ...], kwargs: dict[str, Any], culprit: str
) -> None:
    error = processes.submit(id, *args, **kwargs).exception()

    assert isinstance(error, CodecError)
    assert str(error).startswith(f"{culprit} cannot travel to another process: ")
    assert "lock" in str(error.__cause__)


def test_a_function_that_cannot_travel_is_named(processes: Executor) -> None:
    lock = threading.Lock()

    def function() -> bool:
        return lock.locked()

    error = processes.submit(function).exception()

    assert isinstance(error, CodecError)
    assert "The function " in str(error)
    assert "function cannot travel to another process" in str(error)


def test_a_result_that_cannot_travel_is_named(processes: Executor) -> None:
    def maker() -> Any:
        import threading

        return threading.Lock()

    error = processes.submit(maker).exception()

    assert isinstance(error, CodecError)
    assert str(error).startswith("The result of ")
    assert "maker (a lock) cannot travel back: cannot pickle '_thread.lock' object. Return what can" in str(error)


def test_a_result_that_cannot_be_opened_is_an_error(processes: Executor) -> None:
    def result() -> Any:
        class Poisoned:
            def __reduce__(self) -> Any:
                return divmod, (1, 0)

        return Poisoned()

    error = processes.submit(result).exception(timeout=20)

    assert isinstance(error, CodecError)
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_an_argument_that_cannot_be_opened_is_an_error(processes: Executor) -> None:
    class Poisoned:
        def __reduce__(self) -> Any:
            return divmod, (1, 0)

    error = processes.submit(id, Poisoned()).exception(timeout=20)

    assert error is not None
    assert "ZeroDivisionError" in str(error) + "".join(error.__notes__)


def test_an_error_that_cannot_be_written_down_is_remote(processes: Executor) -> None:
    def raising() -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise ValueError("no text")

        raise Mute

    error = processes.submit(raising).exception(timeout=20)

    assert isinstance(error, RemoteError)
    assert "<Mute whose text cannot be made>" in str(error)


@pytest.mark.parametrize(
    "value", [b"", b"raw", bytearray(b"x"), None, {"a": [1, (2,)]}, {1, 2}, 2**100, float("inf"), "ä\ud800"], ids=repr
)
def test_values_come_back_as_they_are(processes: Executor, value: Any) -> None:
    found = processes.submit(lambda: value).result()

    assert found == value
    assert type(found) is type(value)


def make_person() -> Any:
    from pydantic import BaseModel, field_validator

    class Person(BaseModel):
        age: int

        @field_validator("age")
        @classmethod
        def positive(cls, value: int) -> int:
            if value < 0:
                raise ValueError("negative")
            return value

    return Person


def test_a_model_made_here_keeps_its_validators_there(processes: Executor) -> None:
    person = make_person()

    assert processes.submit(lambda: person.model_validate({"age": "3"}).age).result() == 3
    assert "negative" in str(processes.submit(lambda: person(age=-1)).exception())


def test_json_errors_keep_their_class(processes: Executor) -> None:
    error = processes.submit(json.loads, "{").exception()

    assert type(error) is json.JSONDecodeError
    assert error.pos == 1


# --- sharing ---


def test_in_one_process_a_shared_value_is_the_value_itself(threads: Executor) -> None:
    value = [threading.Lock()]
    for executor in (threads, get_executor("sync")):
        shared = executor.share(value)
        assert executor.submit(lambda handle: handle.get(), shared).result() is value
        executor.shutdown()


def test_a_shared_value_is_pulled_once_by_each_process(processes: Executor) -> None:
    shared = processes.share({"big": list(range(1000))})

    def look(_: int) -> tuple[int, int, int]:
        value = shared.get()
        value["pulls"] = value.get("pulls", 0) + 1
        return os.getpid(), id(value), value["pulls"]

    seen = list(processes.map(look, range(20)))

    assert len({(process, identity) for process, identity, _ in seen}) == len({process for process, _, _ in seen})
    assert len({(process, pulls) for process, _, pulls in seen}) == 20, "somebody pulled it again"


def test_equal_values_are_kept_once(processes: Executor) -> None:
    first, second, other = processes.share([1, 2]), processes.share([1, 2]), processes.share([3])

    assert first.digest == second.digest != other.digest
    folder = processes._backend._spool._folder  # type: ignore[attr-defined]  # a foreign backend
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {first.digest, other.digest}


def test_what_was_shared_is_removed_at_the_shutdown(processes: Executor) -> None:
    processes.share("value")
    folder = processes._backend._spool._folder  # type: ignore[attr-defined]  # a foreign backend
    assert folder.stat().st_mode & 0o077 == 0, "others can read it"
    processes.shutdown()

    assert not folder.exists()


def test_a_handle_is_small(processes: Executor) -> None:
    import pickle

    assert len(pickle.dumps(processes.share(b"x" * 10**6))) < 500


def test_the_owner_may_look_at_what_it_shared(processes: Executor) -> None:
    assert processes.share({"a": 1}).get() == {"a": 1}


def test_a_value_shared_in_one_process_cannot_leave_it(threads: Executor, processes: Executor) -> None:
    error = processes.submit(id, threads.share([1])).exception()

    assert isinstance(error, CodecError)
    assert "Argument 1 of id (a Shared) cannot travel" in str(error)
    assert "share it with the executor that runs it" in str(error)
    assert "Make it where" not in str(error), "one advice is enough"


def test_a_value_that_cannot_travel_cannot_be_shared(processes: Executor) -> None:
    with pytest.raises(CodecError, match=r"a lock.*cannot be shared"):
        processes.share(LOCK)


def test_an_executor_over_one_of_ours_shares_as_that_one_does(processes: Executor) -> None:
    from pipe_core.runtime.foreign import foreign_parts

    backend, parameters = foreign_parts(processes)
    with Executor(backend, **parameters) as over:
        shared = over.share("value")
        assert over.submit(lambda: shared.get()).result() == "value"
    other = processes.share("another value")
    assert processes.submit(lambda: (shared.get(), other.get())).result() == ("value", "another value")
    folder = processes._backend._spool._folder  # type: ignore[attr-defined]  # a foreign backend
    assert shared.digest in {path.name for path in folder.iterdir()}


def test_a_shared_value_out_of_reach_says_so(pool: ProcessPoolExecutor) -> None:
    with get_executor(pool) as executor:
        shared = executor.share("a value of its own")
    with get_executor(pool) as executor:
        error = executor.submit(lambda: shared.get()).exception()
    assert isinstance(error, CodecError)
    assert "out of reach of a worker of ProcessPoolExecutor: its folder is not there" in str(error)


def test_a_worker_far_away_is_told_where_a_shared_value_is(tmp_path: Path) -> None:
    from pipe_core.runtime import foreign
    from pipe_core.runtime.spool import pull

    with pytest.raises(CodecError, match="in a folder of elsewhere, and this worker runs on"):
        foreign._pull(partial(pull, str(tmp_path / "gone")), "ClientExecutor", "elsewhere", "00")
