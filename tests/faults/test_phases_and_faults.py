"""A bad thing at each step of the way to a worker and back, which raises, exits or crashes there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killing import die, killer, noted, noting
from oracle import Number, check, numbers
from tried import NEEDS_LOKY, PROCESSES

from pipe_core import BaseHook, Executor, FlowStatus, Pipe, PipeError
from pipe_core.testing.executing.limits import within

pytestmark = pytest.mark.timeout(120)


def raise_error() -> Any:
    raise ZeroDivisionError("no way")


def leave() -> Any:
    raise SystemExit(5)


def interrupt() -> Any:
    raise KeyboardInterrupt


def crash() -> Any:
    import os

    os._exit(9)


FAULTS: dict[str, Callable[[], Any]] = {"error": raise_error, "exit": leave, "interrupt": interrupt, "crash": crash}
MILD = [name for name in FAULTS if name != "crash"]


class AtPickling:
    """Does something bad when it is made bytes."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def __reduce__(self) -> Any:
        FAULTS[self._fault]()
        return int, ()

    def __call__(self, entry: Any, store: Any) -> None:
        pass


class AtUnpickling(AtPickling):
    """Does something bad when it is made of bytes."""

    def __reduce__(self) -> Any:
        return FAULTS[self._fault], ()


def still_works(executor: Executor) -> None:
    good: list[Any] = []
    bad: list[Any] = []
    report = Pipe(numbers(50), good, schema=Number, errors=bad, executor=executor).run()
    check(good, bad, 50, (), report)


def run(executor: Any, hooks: list[Any], source: Any = None, **options: Any) -> tuple[list[Any], list[Any], Any]:
    good: list[Any] = []
    bad: list[Any] = []
    source = numbers(50) if source is None else source
    pipe = Pipe(source, good, errors=bad, executor=executor, pre_validation_hooks=hooks, **options)
    return good, bad, within(60, pipe.run)


# --- the program: hooks and models ---


@pytest.mark.parametrize("fault", MILD)
def test_a_hook_that_fails_at_pickling_is_an_error_before_anything_runs(fault: str, processes: Executor) -> None:
    with pytest.raises(PipeError):
        run(processes, [AtPickling(fault)])
    still_works(processes)


@pytest.mark.parametrize("fault", MILD)
def test_a_hook_that_fails_at_unpickling_fails_the_run_clearly(fault: str, processes: Executor) -> None:
    with pytest.raises(PipeError):
        run(processes, [AtUnpickling(fault)])
    still_works(processes)


@pytest.mark.parametrize(
    ("processes", "where"),
    [
        pytest.param(name, where, marks=[] if name == "loky" else [pytest.mark.thorough])
        for name in PROCESSES
        for where in ("unpickling", "setup")
    ],
    indirect=["processes"],
)
def test_a_program_that_kills_every_worker_ends_the_run_before_many_are_dead(
    where: str, processes: Executor, tmp_path: Any
) -> None:

    class Fatal(BaseHook):
        def setup(self, store: Any) -> None:
            crash()

    pipe = Pipe(
        numbers(1000),
        tmp_path / "out.jsonl",
        executor=processes,
        pre_validation_hooks=[AtUnpickling("crash") if where == "unpickling" else Fatal()],
    )
    with pytest.raises(PipeError) as failed:
        within(100, pipe.run)
    assert pipe.report is not None
    assert pipe.report.worker_deaths <= 20
    assert "ended one after the other before they came to a record" in str(failed.value)
    assert not list(tmp_path.iterdir())
    still_works(processes)


class Client:
    """A hook that holds what cannot travel."""

    def __init__(self) -> None:
        self.name = "client"
        self.connection = {"lock": threading.Lock()}

    def __call__(self, entry: Any, store: Any) -> None:
        pass


def test_what_cannot_travel_is_named_before_anything_runs(processes: Executor) -> None:
    with pytest.raises(PipeError, match="connection") as refused:
        run(processes, [Client()])
    assert "Client" in str(refused.value)
    still_works(processes)


def test_a_model_that_cannot_travel_is_named_before_anything_runs(processes: Executor) -> None:
    from pydantic import BaseModel, field_validator

    guard = threading.Lock()

    class Guarded(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def guarded(cls, value: int) -> int:
            with guard:
                return value

    with pytest.raises(PipeError, match="guard"):
        run(processes, [], schema=Guarded)
    still_works(processes)


# --- a record on its way there ---


class Odd:
    """A value that no codec knows, and that does something bad when it is pickled."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __reduce__(self) -> Any:
        return FAULTS[self.fault]()

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __repr__(self) -> str:
        return "<odd>"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_record_that_cannot_travel_fails_alone(fault: str, processes: Executor) -> None:
    source: list[Any] = numbers(50)
    source[13] = {"n": 13, "odd": Odd(fault)}
    good, bad, report = run(processes, [], source, schema=Number)
    check(good, bad, 50, {13}, report)
    assert report.worker_deaths == 0


class Sticky:
    """A value that does something bad when it is copied or pickled, and does not end its process by it."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __reduce__(self) -> Any:
        return FAULTS[self.fault]()

    def __repr__(self) -> str:
        return "<sticky>"


@pytest.mark.parametrize("fault", ["exit", "interrupt"])
@pytest.mark.parametrize("first", [True, False])
def test_a_record_that_wants_to_end_its_reader_fails_the_same_everywhere(
    fault: str, first: bool, executor: Executor
) -> None:
    source: list[Any] = numbers(50)
    culprit = 0 if first else 13
    source[culprit] = {"n": culprit, "odd": Sticky(fault)}
    good, bad, report = run(executor, [], source, schema=Number)
    check(good, bad, 50, {culprit}, report)
    text = {"exit": "5", "interrupt": "KeyboardInterrupt"}[fault]
    kind = {"exit": "SystemExit", "interrupt": "KeyboardInterrupt"}[fault]
    assert bad[0]["errors"] == [{"type": kind, "message": f"The record cannot be copied: {text}"}]
    assert bad[0]["phase"] == "source"
    assert report.worker_deaths == 0


# --- running ---


@pytest.mark.parametrize("fault", MILD)
@pytest.mark.parametrize("side", ["pre", "post"])
def test_what_a_hook_raises_fails_its_record_and_is_told_the_same(fault: str, side: str, executor: Executor) -> None:
    def hook(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 13:
            FAULTS[fault]()

    good: list[Any] = []
    bad: list[Any] = []
    hooks: dict[str, Any] = {f"{side}_validation_hooks": [hook]}
    report = within(
        60, Pipe(numbers(50), good, errors=bad, schema=Number, executor=executor, chunk_size=10, **hooks).run
    )
    check(good, bad, 50, {13}, report)
    text = {"error": "no way", "exit": "5", "interrupt": "KeyboardInterrupt"}[fault]
    assert bad[0]["errors"] == [{"type": "HookError", "message": f"hook: {text}"}]
    assert (bad[0]["phase"], bad[0]["hook"], report.worker_deaths) == (side, "hook", 0)


def test_what_crashes_fails_its_record_and_is_told_the_same(processes: Executor) -> None:
    good, bad, report = run(processes, [killer({13}, "exit 9")], schema=Number, chunk_size=10)
    check(good, bad, 50, {13}, report)
    assert (bad[0]["phase"], bad[0]["hook"], bad[0]["errors"][0]["type"]) == ("pre", "kill", "WorkerKilled")


# --- a record on its way back ---


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hooks", ["alone", "beside another"])
def test_a_row_that_cannot_travel_back_fails_alone(fault: str, hooks: str, processes: Executor) -> None:
    def spoil(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 13:
            entry.raw_data["odd"] = Odd(fault)

    more = [lambda entry, store: None] if hooks == "beside another" else []
    good, bad, report = run(processes, [spoil, *more])
    check(good, bad, 50, {13}, report)
    assert report.worker_deaths == 0


@pytest.mark.parametrize("fault", ["error", "crash"])
def test_an_entry_that_cannot_travel_back_fails_alone(fault: str, processes: Executor) -> None:
    def spoil(entry: Any, store: Any) -> None:
        if entry.raw_data["n"] == 13:
            entry.metadata["odd"] = Odd(fault)

    bad: list[Any] = []
    pipe = Pipe(numbers(50), errors=bad, executor=processes, pre_validation_hooks=[spoil])
    entries = within(60, lambda: list(pipe))
    assert [entry.raw_data["n"] for entry in entries] == [n for n in range(50) if n != 13]
    assert [row["position"] for row in bad] == [13]


def test_a_value_for_the_driver_that_cannot_travel_fails_its_record(processes: Executor) -> None:
    class Decides(BaseHook):
        scope = "run"

        def value(self, entry: Any, store: Any) -> Any:
            return Odd("error") if entry.raw_data["n"] == 13 else entry.raw_data["n"]

        def decide(self, value: Any, position: int) -> Any:
            return "keep"

    good, bad, report = run(processes, [Decides()])
    check(good, bad, 50, {13}, report)


@pytest.mark.parametrize("side", ["pre", "post"])
def test_a_value_for_the_driver_that_cannot_travel_fails_its_record_whatever_comes_behind_it(
    side: str, processes: Executor
) -> None:
    class Decides(BaseHook):
        scope = "run"

        def value(self, entry: Any, store: Any) -> Any:
            return Odd("error") if entry.raw_data["n"] in (13, 17, 21) else entry.raw_data["n"]

        def decide(self, value: Any, position: int) -> Any:
            return "drop" if value % 10 == 5 else "keep"

    def behind(entry: Any, store: Any) -> Any:
        if entry.raw_data["n"] == 17:
            raise ValueError("no")
        return [] if entry.raw_data["n"] == 21 else None

    good: list[Any] = []
    bad: list[Any] = []
    hooks: dict[str, Any] = {f"{side}_validation_hooks": [Decides(), behind]}
    report = within(60, Pipe(numbers(50), good, errors=bad, schema=Number, executor=processes, **hooks).run)
    assert [row["n"] for row in good] == [n for n in range(50) if n not in (13, 17, 21) and n % 10 != 5]
    assert {row["position"]: row["errors"][0]["type"] for row in bad} == {13: "CodecError", 17: "HookError"}
    assert (report.read, report.valid, report.failed, report.dropped) == (50, 42, 2, 6)


# --- too long for a frame ---

SMALL = ("msgpack", {"max_frame_bytes": 20_000})


def run_small(executor: Executor, hook: Any, errors: str, folder: Path) -> tuple[list[Any], list[Any]]:
    """What comes of 500 numbers in small frames, where *hook* fails one in fifty of them."""
    good: list[Any] = []
    bad: Any = [] if errors == "list" else folder / "bad.jsonl"
    pipe = Pipe(numbers(500), good, errors=bad, executor=executor, pre_validation_hooks=[hook], codec=SMALL)
    report = within(60, pipe.run)
    rejected = bad if errors == "list" else [json.loads(line) for line in bad.read_text().splitlines()]
    check(good, rejected, 500, {n for n in range(500) if n % 50 == 7}, report)
    return good, rejected


@pytest.mark.parametrize("errors", ["list", "jsonl"])
def test_rows_that_are_too_long_for_one_frame_go_in_several(errors: str, processes: Executor, tmp_path: Any) -> None:
    calls = tmp_path / "calls"

    def enlarge(entry: Any, store: Any) -> None:
        entry.raw_data["text"] = "x" * 3000
        if entry.raw_data["n"] % 50 == 7:
            raise ValueError("no")
        with open(calls, "a") as file:
            file.write(f"{entry.raw_data['n']}\n")

    good, _ = run_small(processes, enlarge, errors, tmp_path)
    assert {len(row["text"]) for row in good} == {3000}
    assert sorted(map(int, calls.read_text().split())) == [row["n"] for row in good], "no hook ran twice"


@pytest.mark.parametrize("errors", ["list", "jsonl"])
def test_one_row_that_is_too_long_for_a_frame_fails_alone_with_the_reason(
    errors: str, processes: Executor, tmp_path: Any
) -> None:
    def enlarge(entry: Any, store: Any) -> None:
        entry.raw_data["text"] = "x" * (50_000 if entry.raw_data["n"] % 50 == 7 else 3000)

    _, rejected = run_small(processes, enlarge, errors, tmp_path)
    for row in rejected:
        assert row["raw"] == {"n": row["position"]}
        assert row["errors"][0]["type"] == "CodecError"
        assert "bytes, more than max_frame_bytes=20,000" in row["errors"][0]["message"]


def test_entries_that_are_too_long_for_one_frame_go_in_several(processes: Executor) -> None:
    def enlarge(entry: Any, store: Any) -> None:
        entry.metadata["text"] = "x" * (50_000 if entry.raw_data["n"] == 7 else 3000)

    bad: list[Any] = []
    pipe = Pipe(numbers(200), errors=bad, executor=processes, pre_validation_hooks=[enlarge], codec=SMALL)
    entries = within(60, lambda: list(pipe))
    assert [entry.raw_data["n"] for entry in entries] == [n for n in range(200) if n != 7]
    assert {len(entry.metadata["text"]) for entry in entries} == {3000}
    assert [row["position"] for row in bad] == [7]


# --- the beginning and the end of workers ---


def test_a_setup_that_fails_says_which_and_why(executor: Executor) -> None:
    class Database(BaseHook):
        def setup(self, store: Any) -> None:
            raise ConnectionError("refused")

    with pytest.raises(PipeError, match=r"The hook Database failed in setup: ConnectionError: refused"):
        run(executor, [Database()])
    still_works(executor)


@NEEDS_LOKY
def test_hooks_are_set_up_and_torn_down_once_in_each_worker_and_run(tmp_path: Any, loky: Executor) -> None:
    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        good, bad, report = run(loky, [noting(folder)], numbers(2000), chunk_size=20)
        check(good, bad, 2000, (), report)

    for number in range(5):
        one(number)
    together = [threading.Thread(target=one, args=(number,)) for number in (5, 6, 7)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join(100)
    workers = {row[1] for number in range(8) for row in noted(tmp_path / str(number))}
    assert len(workers) <= 2, "the workers of the executor were used again"
    for number in range(8):
        notes = noted(tmp_path / str(number))
        began = [(pid, thread) for what, pid, thread in notes if what == "setup"]
        ended = [(pid, thread) for what, pid, thread in notes if what == "teardown"]
        assert 1 <= len(began) <= 2
        assert len(set(began)) == len(began), f"run {number}: set up twice"
        assert sorted(pid for pid, _ in ended) == sorted(pid for pid, _ in began), f"run {number}"


@NEEDS_LOKY
@pytest.mark.parametrize("inner", ["sync", "loky"])
@pytest.mark.parametrize("outer", ["sync", "threads", "loky"])
def test_a_hook_runs_a_pipe_of_its_own(outer: str, inner: str) -> None:
    def nested(entry: Any, store: Any) -> None:
        from pipe_core import Pipe

        rows: list[Any] = []
        spec = (inner, {"max_workers": 1}) if inner == "loky" else inner
        Pipe([{"n": n} for n in range(entry.raw_data["n"] + 3)], rows, executor=spec).run()
        entry.raw_data["sum"] = sum(row["n"] for row in rows)

    spec: Any = outer if outer == "sync" else (outer, {"max_workers": 2})
    good, _, report = run(spec, [nested], numbers(4), chunk_size=1)
    assert [row["sum"] for row in good] == [3, 6, 10, 15]
    assert report.status is FlowStatus.COMPLETED


def test_it_is_known_which_executors_were_tried() -> None:
    assert PROCESSES, "no executor with worker processes is installed"
    assert callable(die)
