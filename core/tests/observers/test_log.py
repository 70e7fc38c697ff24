from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pydantic
import pytest

from pipe_core import Pipe, get_observer
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.facts import EntryFailure, RunInfo
from pipe_core.observers.log import LogObserver
from pipe_core.observers.options import LogOptions

RUN = RunInfo("run-1", "records", "in.csv", "sync")
FAILURE = EntryFailure(7, "validation", [{"loc": ["items", 0], "msg": "too short", "type": "short"}])


class Item(pydantic.BaseModel):
    id: int


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="pipe_core.runs")
    return caplog


def mine(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name == "pipe_core.runs"]


def texts(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in mine(log)]


def test_a_run_is_logged_from_start_to_end(log: pytest.LogCaptureFixture) -> None:
    rows = [{"id": 1}, {"id": "x"}, {"id": 3}]
    run = Pipe(rows, [], schema=Item, errors=[], observers=["log"], name="orders").run().run
    started, failed, finished = mine(log)

    assert (started.levelno, started.getMessage()) == (
        logging.INFO,
        f"run {run} started: <list> on the executor sync",
    )
    assert failed.levelno == logging.WARNING
    assert failed.getMessage().startswith(f"run {run} record 1 failed in validation: id: Input should be a valid int")
    assert finished.levelno == logging.INFO
    assert finished.getMessage().startswith(f"run {run} completed: 3 records in ")


def test_every_message_carries_the_id_of_its_run(log: pytest.LogCaptureFixture) -> None:
    rows = [{"id": "x"}] * 30
    first, second = (Pipe(rows, [], schema=Item, errors=[], observers=["log"]).run().run for _ in range(2))
    runs = [record.__dict__["run"] for record in mine(log)]

    assert first != second
    assert runs == [first] * 8 + [second] * 8
    assert all(record.getMessage().startswith(f"run {run} ") for record, run in zip(mine(log), runs, strict=True))


def test_the_end_of_a_failed_run_is_an_error(log: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Exception, match="fail"):
        Pipe([{"id": "x"}], [], schema=Item, on_error="fail", observers=["log"], name="orders").run()
    last = mine(log)[-1]

    assert last.levelno == logging.ERROR
    assert last.getMessage().startswith("run orders-")


def test_the_level_of_failures_is_an_option(log: pytest.LogCaptureFixture) -> None:
    LogObserver(LogOptions(failures="debug")).pipe_entry_failed(RUN, FAILURE)

    assert [record.levelno for record in mine(log)] == [logging.DEBUG]
    assert texts(log) == ["run run-1 record 7 failed in validation: items.0: too short"]


def test_failures_are_bounded_in_each_second_and_the_others_counted(log: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    observer = LogObserver(LogOptions(per_second=2), clock)
    for _ in range(3):
        for _ in range(100):
            observer.pipe_entry_failed(RUN, FAILURE)
        clock.now += 1
    told = "run run-1 record 7 failed in validation: items.0: too short"
    untold = "run run-1 98 more records failed within a second"

    assert texts(log) == [told, told, untold, told, told, untold, told, told]


def test_the_rest_is_counted_at_the_end(log: pytest.LogCaptureFixture) -> None:
    Pipe([{"id": "x"}] * 10_000, [], schema=Item, errors=[], observers=["log"]).run()
    failures = [text for text in texts(log) if "failed in" in text]
    rest = [int(text.split()[2].replace(",", "")) for text in texts(log) if "more record" in text]

    assert len(failures) + sum(rest) == 10_000
    assert len(failures) < 100


def test_runs_do_not_share_their_bound(log: pytest.LogCaptureFixture) -> None:
    observer = LogObserver(LogOptions(per_second=1), Clock())
    other = RunInfo("run-2", "records", "other.csv", "sync")
    observer.pipe_entry_failed(RUN, FAILURE)
    observer.pipe_entry_failed(other, FAILURE)

    assert [record.__dict__["run"] for record in mine(log)] == ["run-1", "run-2"]


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([{"type": "HookError", "message": "check: no such customer"}], "check: no such customer"),
        ([{"loc": [], "msg": "not a dict", "type": "t"}], "not a dict"),
        ([{"loc": ["a"], "msg": "m", "type": "t"}] * 3, "a: m (and 2 more)"),
        ([{"loc": ["a\n2024 ERROR forged\x1b[2J"], "msg": "m", "type": "t"}], r"a 2024 ERROR forged\x1b[2J: m"),
        ([], "no reason given"),
    ],
)
def test_a_reason_is_one_line(log: pytest.LogCaptureFixture, errors: list[Any], reason: str) -> None:
    LogObserver().pipe_entry_failed(RUN, EntryFailure(0, "pre", errors))

    assert texts(log) == [f"run run-1 record 0 failed in pre: {reason}"]


def test_a_reason_that_is_long_is_shortened(log: pytest.LogCaptureFixture) -> None:
    LogObserver().pipe_entry_failed(RUN, EntryFailure(0, "pre", [{"type": "t", "message": "z" * 10_000}]))

    assert len(texts(log)[0]) < 300


def test_no_handler_is_installed() -> None:
    program = (
        "import logging, pipe_core\n"
        "pipe_core.Pipe([{'a': 1}], [], observers=['log']).run()\n"
        "names = ['', 'pipe_core', 'pipe_core.runs']\n"
        "assert not any(logging.getLogger(name).handlers for name in names)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")


def test_a_handler_that_fails_does_not_matter_to_the_run(log: pytest.LogCaptureFixture) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the disk is full")

    handler = Broken(logging.INFO)
    logging.getLogger("pipe_core.runs").addHandler(handler)
    try:
        report = Pipe([{"id": 1}, {"id": "x"}], [], schema=Item, errors=[], observers=["log"]).run()
    finally:
        logging.getLogger("pipe_core.runs").removeHandler(handler)

    assert (report.valid, report.failed) == (1, 1)
    assert "an observer failed in pipe_run_finished; the run goes on" in log.text


@pytest.mark.parametrize("options", [{"failures": "loud"}, {"per_second": 0}, {"per_minute": 1}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionsError):
        get_observer("log", **options)
