"""Every transition kept for good: in files, in sinks of somebody's own, and what happens when they fail."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from event_kinds import Work, Works
from patience import LIMIT, wait_for

from pipe_core import EventExecutor, OptionsError, Retry, TaskExecutor, Transition
from pipe_core.runtime.history import History, replay
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks import HistoryError, read_history
from pipe_core.tasks.audit import remembered


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Kept:
    """A sink in memory."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.batches = 0
        self.closed = 0

    def write(self, transitions: list[Transition]) -> None:
        self.batches += 1
        self.transitions += transitions

    def close(self) -> None:
        self.closed += 1


def fail() -> None:
    raise ValueError("half a character: \ud800, and a\nline")


def busy_day(executor: TaskExecutor) -> None:
    """Calls that end in every way, and one that is tried again."""
    futures = [executor.submit(pow, n, 2) for n in range(50)]
    futures += [executor.submit(fail) for _ in range(3)]
    futures.append(executor.submit_with(retries=Retry(2, delay=0.001))(fail))
    executor.wait(futures)
    executor.pause()
    assert executor.submit(int).cancel()
    executor.resume()


# --- files ---


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.sqlite", "tasks.db", "TASKS.JSONL"])
def test_a_file_has_every_transition_and_leads_to_the_ledger(
    tmp_path: Path, pool: ThreadPoolExecutor, name: str
) -> None:
    path = tmp_path / name
    with TaskExecutor(pool, history=path) as executor:
        busy_day(executor)
        remembered = executor.history()
    assert executor.history_error is None
    kept = list(read_history(path))
    assert len(kept) == len(remembered) > 150
    assert [one.id for one in kept] == [one.id for one in remembered]
    if name.lower().endswith("jsonl"):
        assert kept == remembered
    ledger, tasks = replay(kept)
    assert {status: ledger.count(status) for status in TaskStatus} == Counter(
        dict.fromkeys(TaskStatus, 0) | {TaskStatus.COMPLETED: 50, TaskStatus.FAILED: 4, TaskStatus.CANCELLED: 1}
    )
    assert ledger.totals[TaskStatus.FAILED] == executor.ledger.totals[TaskStatus.FAILED] == 6
    assert max(task.attempt for task in tasks.values()) == 3


def test_a_path_may_be_text(tmp_path: Path) -> None:
    with TaskExecutor("sync", history=str(tmp_path / "log.jsonl")) as executor:
        executor.submit(int).result()
    assert [one.to.value for one in read_history(str(tmp_path / "log.jsonl"))] == ["pending", "processing", "completed"]


def test_what_is_no_longer_remembered_is_kept(tmp_path: Path) -> None:
    with TaskExecutor("sync", history=tmp_path / "log.db") as executor:
        for _ in range(4_000):
            executor.submit(int)
        assert len(executor.history()) == 10_000
    assert sum(1 for _ in read_history(tmp_path / "log.db")) == 12_000


def test_names_and_slots_are_in_the_log(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    with TaskExecutor(pool, history=tmp_path / "log.jsonl") as executor:
        executor.submit(Path.exists, tmp_path).result()
    waiting, running, ended = read_history(tmp_path / "log.jsonl")
    assert (waiting.name, waiting.slot) == ("Path.exists", None)
    assert running.name == "Path.exists"
    assert running.slot == ended.slot
    assert running.slot in (0, 1)


@pytest.mark.parametrize("suffix", ["jsonl", "sqlite"])
def test_a_log_is_continued(tmp_path: Path, suffix: str) -> None:
    for _ in range(2):
        with TaskExecutor("sync", history=tmp_path / f"log.{suffix}") as executor:
            executor.submit(int).result()
    kept = list(read_history(tmp_path / f"log.{suffix}"))
    assert len(kept) == 6
    assert replay(kept)[0].count(TaskStatus.COMPLETED) == 2


def test_a_line_that_was_not_finished_is_left_out_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with TaskExecutor("sync", history=path) as executor:
        executor.submit(int).result()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id":2,"bef' + b"x" * 200_000)
    assert len(list(read_history(path))) == 3
    with TaskExecutor("sync", history=path) as executor:
        executor.submit(int).result()
    assert path.read_bytes().startswith(whole)
    assert len(list(read_history(path))) == 6


@pytest.mark.parametrize("suffix", ["jsonl", "sqlite"])
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes.{suffix}"
    path.write_bytes(b'{"name": "Ada"}\nand no line end')
    with pytest.raises(HistoryError, match=r"notes"):
        TaskExecutor("sync", history=path)
    assert path.read_bytes() == b'{"name": "Ada"}\nand no line end'
    with pytest.raises(HistoryError, match=r"notes"):
        list(read_history(path))


def test_another_table_of_that_name_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("CREATE TABLE transitions (word TEXT)")
    db.close()
    with pytest.raises(HistoryError, match=r"other\.db"):
        TaskExecutor("sync", history=tmp_path / "other.db")


@pytest.mark.parametrize("suffix", ["jsonl", "sqlite"])
def test_a_folder_that_is_missing_is_told_at_once(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(HistoryError, match="nowhere"):
        TaskExecutor("sync", history=tmp_path / "nowhere" / f"log.{suffix}")
    with pytest.raises(HistoryError, match="nowhere"):
        list(read_history(tmp_path / "nowhere" / f"log.{suffix}"))


@pytest.mark.parametrize("wrong", ["log.csv", "log", Path("log.txt"), -1, True, None, 1.5, object()])
def test_what_history_does_not_take(wrong: Any) -> None:
    with pytest.raises(OptionsError, match=r"\.jsonl"):
        TaskExecutor("sync", history=wrong)


def test_the_database_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with TaskExecutor("sync", history=path) as executor:
        executor.submit(int).result()
        wait_for(lambda: len(list(read_history(path))) == 3)
        executor.submit(int).result()
        wait_for(lambda: len(list(read_history(path))) == 6)


# --- plain data ---


@pytest.mark.parametrize("id", [7, UUID(int=5)])
def test_a_transition_comes_back_from_plain_data(id: Any) -> None:
    one = Transition(id, TaskStatus.PROCESSING, TaskStatus.FAILED, 12.25, 2, "why", 3, "work")
    assert Transition.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    first = Transition(id, None, TaskStatus.PENDING, 12.25, 1)
    assert Transition.from_dict(first.to_dict()) == first


def test_logs_of_before_slots_and_names_are_read() -> None:
    data = {"id": 1, "before": None, "to": "pending", "at": 1.0, "attempt": 1, "reason": ""}
    assert Transition.from_dict(data) == Transition(1, None, TaskStatus.PENDING, 1.0, 1)


# --- sinks of somebody's own ---


def test_any_object_that_writes_and_closes_is_a_sink() -> None:
    sink = Kept()
    with TaskExecutor("sync", history=sink) as executor:
        for _ in range(3_000):
            executor.submit(int)
    assert sink.transitions == executor.history()
    assert len(sink.transitions) == 9_000
    assert sink.batches < 3_000
    assert sink.closed == 1


def test_submitting_does_not_wait_for_the_sink(pool: ThreadPoolExecutor) -> None:
    go = threading.Event()

    class Slow(Kept):
        def write(self, transitions: list[Transition]) -> None:
            assert go.wait(LIMIT)
            super().write(transitions)

    sink = Slow()
    with TaskExecutor(pool, history=sink) as executor:
        assert executor.submit(int, "7").result(LIMIT) == 7
        assert not sink.transitions
        go.set()
    assert len(sink.transitions) == 3


def test_shutdown_without_waiting_closes_the_sink_behind_the_last_call(pool: ThreadPoolExecutor) -> None:
    go, sink = threading.Event(), Kept()
    executor = TaskExecutor(pool, history=sink)
    future = executor.submit(go.wait, LIMIT)
    executor.shutdown(wait=False)
    wait_for(lambda: len(sink.transitions) == 2)
    assert not sink.closed
    go.set()
    assert future.result(LIMIT)
    wait_for(lambda: sink.closed)
    assert [one.to.value for one in sink.transitions] == ["pending", "processing", "completed"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(1)])
def test_a_sink_that_fails_is_told_once_and_stops_nothing(
    error: BaseException, caplog: pytest.LogCaptureFixture, pool: ThreadPoolExecutor
) -> None:
    class Full(Kept):
        def write(self, transitions: list[Transition]) -> None:
            if self.transitions:
                raise error
            super().write(transitions)

    sink = Full()
    with caplog.at_level(logging.WARNING, "pipe_core.tasks"), TaskExecutor(pool, history=sink) as executor:
        executor.submit(int).result(LIMIT)
        wait_for(lambda: sink.transitions)
        for _ in range(200):
            executor.submit(int)
        wait_for(lambda: executor.history_error)
        assert [future.result(LIMIT) for future in [executor.submit(int, "3")] * 2] == [3, 3]
    found = executor.history_error
    assert found is not None
    assert found.__cause__ is error
    assert found.kept == len(sink.transitions) > 0
    assert "Full" in str(found)
    assert [record.message for record in caplog.records] == [str(found)]
    assert sink.closed == 1
    assert len(executor.history()) == 202 * 3


def test_a_sink_that_cannot_be_closed_is_told() -> None:
    class Stuck(Kept):
        def close(self) -> None:
            raise OSError("the disk is gone")

    with TaskExecutor("sync", history=Stuck()) as executor:
        executor.submit(int)
    assert "the disk is gone" in str(executor.history_error)


def test_what_comes_behind_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log = remembered(Kept())
    log.add((1, None, TaskStatus.PENDING, 0.0, 1, "", -1, ""))
    assert log.keeper is not None
    log.keeper.close()
    assert not caplog.records
    log.add((1, TaskStatus.PENDING, TaskStatus.PROCESSING, 0.0, 1, "", -1, ""))
    log.add((1, TaskStatus.PROCESSING, TaskStatus.COMPLETED, 0.0, 1, "", -1, ""))
    assert len(caplog.records) == 1
    assert "was closed" in caplog.text
    assert log.keeper.error is not None


def test_an_executor_that_nobody_shut_down_lets_its_sink_go() -> None:
    sink = Kept()
    log = remembered(sink)
    log.add((1, None, TaskStatus.PENDING, 0.0, 1, "", -1, ""))
    del log
    gc.collect()
    wait_for(lambda: sink.closed)
    assert len(sink.transitions) == 1


def test_the_exit_of_the_interpreter_keeps_everything(tmp_path: Path) -> None:
    code = (
        "from pipe_core import TaskExecutor\n"
        "executor = TaskExecutor('sync', history='log.jsonl')\n"
        "for n in range(500): executor.submit(int)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(1 for _ in read_history(tmp_path / "log.jsonl")) == 1_500


def test_without_a_sink_nothing_of_it_is_imported() -> None:
    code = (
        "import sys\n"
        "from pipe_core import TaskExecutor\n"
        "with TaskExecutor('sync') as executor: executor.submit(int)\n"
        "print({'sqlite3', 'rich', 'html', 'pipe_core.looks', 'pipe_core.tasks.metrics'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_without_a_sink_there_is_no_thread() -> None:
    before = set(threading.enumerate())
    log = remembered(5)
    assert isinstance(log, History)
    assert log.keeper is None
    assert set(threading.enumerate()) <= before


# --- events ---


async def _events(path: Path) -> EventExecutor:
    executor = Works(history=path)
    for n in range(20):
        await executor.append(Work(code=None if n % 5 else fail))
    await executor.forward()
    await executor.shutdown()
    return executor


@pytest.mark.parametrize("suffix", ["jsonl", "sqlite"])
def test_events_are_kept_as_well(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events.{suffix}"
    executor = asyncio.run(_events(path))
    kept = list(read_history(path))
    assert kept == executor.history()
    assert {one.id for one in kept} == set(executor.states.items)
    assert {one.name for one in kept if one.before is None} == {"Work"}
    ledger, _ = replay(kept)
    assert {status.value: ledger.count(status) for status in TaskStatus} == executor.status_counts()
    assert executor.history_error is None
