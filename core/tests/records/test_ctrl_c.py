"""Ctrl-C in a run: it ends in order, loses nothing, and is no fault of a record."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbered import endless, numbers
from pydantic import BaseModel, field_validator

from pipe_core import BaseHook, FlowStatus, HookStore, Pipe
from pipe_core.records.entry import Entry
from pipe_core.testing.leaks import no_leaks


def test_ctrl_c_leaves_the_target_and_raises_keyboard_interrupt(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")

    def press(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == 500:
            signal.raise_signal(signal.SIGINT)

    pipe = Pipe(numbers(5000), target, mode="overwrite", pre_validation_hooks=[press])
    with pytest.raises(KeyboardInterrupt):
        pipe.run()
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]
    assert target.read_text() == "old\n"


def pressing(where: str, at: int) -> dict[str, Any]:
    """Options of a pipe where Ctrl-C is pressed while user code looks at the record *at*."""

    def press(entry: Entry, store: HookStore) -> None:
        if entry.raw_data["n"] == at:
            signal.raise_signal(signal.SIGINT)

    class Pressing(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def press(cls, value: int) -> int:
            if value == at:
                signal.raise_signal(signal.SIGINT)
            return value

    return {"pre_validation_hooks": [press]} if where == "hook" else {"schema": Pressing}


@pytest.mark.parametrize("where", ["hook", "validator"])
def test_ctrl_c_while_a_pipe_is_looped_over_is_no_failure_of_a_record(where: str, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old\n")
    closed = threading.Event()
    seen: list[int] = []
    pipe = Pipe(endless(closed), target, mode="overwrite", chunk_size=100, **pressing(where, 350))
    with pytest.raises(KeyboardInterrupt), no_leaks():
        seen.extend(entry.raw_data["n"] for entry in pipe)
    assert seen == list(range(len(seen)))
    assert pipe.report is not None
    assert (pipe.report.status, pipe.report.failed) == (FlowStatus.CANCELLED, 0)
    assert closed.is_set()
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]
    assert target.read_text() == "old\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_when_all_has_been_done_is_raised_all_the_same() -> None:
    seen: list[int] = []

    def sink(row: dict[str, Any]) -> None:
        if row["n"] == 199:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        seen.extend(entry.raw_data["n"] for entry in Pipe(numbers(200), sink, chunk_size=100))
    assert seen == list(range(100))


def test_ctrl_c_in_the_body_of_a_loop_over_a_pipe_is_the_body_s(executor: Any) -> None:
    closed, caught = threading.Event(), []
    pipe = Pipe(endless(closed), chunk_size=10, executor=executor)

    def loop() -> None:
        for entry in pipe:
            if entry.raw_data["n"] == 25:
                try:
                    signal.raise_signal(signal.SIGINT)
                except KeyboardInterrupt:
                    caught.append(25)
            if entry.raw_data["n"] == 45:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert caught == [25]
    assert closed.wait(5)
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED


def test_ctrl_c_while_a_loop_that_was_left_gives_back_what_it_took_is_not_lost() -> None:
    class Slow(BaseHook):
        torn_down = False

        def execute(self, entries: list[Entry], store: HookStore) -> None: ...

        def teardown(self, store: HookStore) -> None:
            signal.raise_signal(signal.SIGINT)
            self.torn_down = True

    hook = Slow()
    pipe = Pipe(numbers(100), pre_validation_hooks=[hook], chunk_size=10)
    entries = iter(pipe)
    next(entries)
    assert isinstance(entries, Generator)
    with pytest.raises(KeyboardInterrupt):
        entries.close()
    assert hook.torn_down
    assert pipe.report is not None
    assert pipe.report.status is FlowStatus.CANCELLED


def test_a_pipe_is_looped_over_in_other_threads_too() -> None:
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(lambda: [entry.raw_data["n"] for entry in Pipe(numbers(300))]).result(20)
    assert seen == list(range(300))
