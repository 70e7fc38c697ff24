from __future__ import annotations

import io
import logging
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pydantic
import pytest
from rich.console import Console
from rich.progress import Progress

from pipe_core import FlowReport, Pipe, get_observer
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.facts import RunInfo
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.looks.terminal import is_taken
from pipe_core.observers.bar import Bar
from pipe_core.observers.options import ProgressOptions
from pipe_core.observers.progress import ProgressObserver
from pipe_core.observers.summary import Advance, ending, title


class Item(pydantic.BaseModel):
    id: int


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def frames(self) -> list[str]:
        """What it showed, without colours and movements of the cursor."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())
        return [frame for frame in re.split(r"[\r\n]+", plain) if frame.strip()]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [{"id": i if i % 10 else "x"} for i in range(100)]


def run_info(report: FlowReport | None = None, **changes: Any) -> RunInfo:
    values = {"id": "run-1", "kind": "records", "name": "in.csv", "executor": "sync", "live": report or FlowReport()}
    return RunInfo(**values | changes)


def live(read: int = 0, failed: int = 0, bytes_read: int = 0) -> FlowReport:
    report = FlowReport("run-1")
    report._start()
    report._began = 0.0
    report._ended = 2.0
    report.read, report.failed, report.valid, report.bytes_read = read, failed, read - failed, bytes_read
    return report


def nothing_holds_the_terminal() -> bool:
    return not is_taken()


# --- how far a run is ---


def test_the_end_is_foretold_by_records() -> None:
    assert Advance.of(run_info(live(250, 5), total=1000)) == Advance(250, 5, 125.0, 0.25, 6.0)


def test_the_end_of_a_split_source_is_foretold_by_bytes() -> None:
    advance = Advance.of(run_info(live(10, bytes_read=500), total=1000, unit="bytes"))

    assert advance == Advance(10, 0, 5.0, 0.5, 2.0)


@pytest.mark.parametrize("total", [None, 0, 1000])
def test_nothing_is_foretold_before_there_is_anything_to_tell_from(total: int | None) -> None:
    advance = Advance.of(run_info(live(), total=total))

    assert (advance.done, advance.left) == (None, None)
    assert advance.line() == "no records yet"


def test_a_source_longer_than_it_said_is_never_more_than_done() -> None:
    assert Advance.of(run_info(live(1500), total=1000)).line() == "1,500 records, 750/s, 100 %"


def test_the_ending_has_every_count_and_the_reason() -> None:
    report = live(1000, 10)
    report.dropped = 3
    report._settle(report.status.__class__.FAILED, ValueError("disk\nfull"))
    report._ended = 2.0

    assert ending(report) == (
        "failed: 1,000 records in 2 s (500/s), 990 valid, 10 failed, 3 dropped; ValueError: disk full"
    )


def test_a_long_title_keeps_its_end() -> None:
    assert title(run_info(name="/data/" + "long/" * 20 + "orders.csv")) == "…" + ("long/" * 20 + "orders.csv")[-39:]
    assert title(run_info(name="")) == "run-1"


# --- lines ---


def test_lines_are_at_most_one_in_every_few_seconds() -> None:
    clock, stream, report = Clock(), io.StringIO(), live(10)
    observer = ProgressObserver(ProgressOptions(every=2.0), stream, clock)
    run = run_info(report, total=100)
    observer.pipe_run_started(run)
    for _ in range(101):  # ten seconds, ten times a second
        observer.pipe_run_progress(run)
        clock.now += 0.1
    lines = stream.getvalue().splitlines()

    assert len(lines) in (4, 5)
    assert set(lines) == {"in.csv: 10 records, 5/s, 10 %, about 18 s left"}


def test_a_short_run_has_one_line(rows: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    Pipe(rows, [], schema=Item, errors=[], observers=["progress"]).run()
    out, err = capsys.readouterr()

    assert out == ""
    assert re.fullmatch(r"<list> completed: 100 records in .* \(.*/s\), 90 valid, 10 failed\n", err)


def test_a_failed_run_has_a_last_line_too(rows: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match="fail"):
        Pipe(rows, [], schema=Item, errors=[], on_error="fail", observers=["progress"]).run()

    assert re.search(r"<list> failed: .*; \w+Error: ", capsys.readouterr().err)


def test_without_observers_nothing_is_printed(rows: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    Pipe(rows, [], schema=Item, errors=[]).run()

    assert capfd.readouterr() == ("", "")


def test_a_program_without_standard_error_runs(rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    assert Pipe(rows, [], schema=Item, errors=[], observers=["progress"]).run().read == 100


def test_a_closed_stream_does_not_matter_to_the_run(rows: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    stream.close()

    report = Pipe(rows, [], schema=Item, errors=[], observers=[ProgressObserver(None, stream)]).run()
    assert report.valid == 90
    assert f"run {report.run}: an observer failed in pipe_run_started; the run goes on" in caplog.messages


def test_colours_that_are_forced_do_not_make_a_terminal(monkeypatch: pytest.MonkeyPatch, rows: list[Any]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    Pipe(rows, [], errors=[], observers=[ProgressObserver(None, stream)]).run()

    assert "\x1b" not in stream.getvalue()


# --- the bar ---


def shown(terminal: Terminal, run: RunInfo, **options: Any) -> list[str]:
    observer = ProgressObserver(ProgressOptions(**options), terminal)
    observer.pipe_run_started(run)
    observer.pipe_run_progress(run)
    observer.pipe_run_finished(run, run.live)
    return terminal.frames


def test_a_sized_source_has_a_bar_with_counts_and_the_time_left() -> None:
    frames = shown(Terminal(), run_info(live(2500, 5), total=10_000))

    assert re.search(r"in\.csv ━+.* 2,500 records, 5 failed, 1,250/s, 25 %, about 6 s left", frames[-2])
    assert frames[-1] == "in.csv running: 2,500 records in 2 s (1,250/s), 2,495 valid, 5 failed"


def test_a_source_of_unknown_size_has_a_spinner_and_counts() -> None:
    frames = shown(Terminal(), run_info(live(2500, 5)))

    assert re.search(r"in\.csv 2,500 records, 5 failed, 1,250/s 0:00:0\d", frames[-2])
    assert "━" not in frames[-2]


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Terminal(), Terminal()
    shown(coloured, run_info(live(10, 1), total=100))
    monkeypatch.setenv("NO_COLOR", "1")
    shown(plain, run_info(live(10, 1), total=100))
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")

    assert colours.search(coloured.getvalue())
    assert not colours.search(plain.getvalue())


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    frames = shown(terminal, run_info(live(10)))

    assert frames == ["in.csv running: 10 records in 2 s (5/s), 10 valid"]
    assert "\x1b" not in terminal.getvalue()


def test_a_name_is_never_markup() -> None:
    frames = shown(Terminal(), run_info(live(10), name="[red]in[/red].csv\x1b[2J"))

    assert all(r"[red]in[/red].csv\x1b[2J" in frame for frame in frames)


def test_the_bar_moves_while_nothing_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = threading.Semaphore(0)
    monkeypatch.setattr(Progress, "refresh", lambda self: drawn.release())
    observer, run = ProgressObserver(ProgressOptions(refresh=60), Terminal()), run_info(live(10))
    observer.pipe_run_started(run)
    try:
        assert all(drawn.acquire(timeout=10) for _ in range(5))
    finally:
        observer.pipe_run_finished(run, run.live)


def test_the_bar_is_drawn_no_more_often_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    drawers: list[str] = []
    monkeypatch.setattr(Progress, "refresh", lambda self: drawers.append(threading.current_thread().name))
    bar = Bar(run_info(live(10)), Console(file=Terminal()), refresh=0.01)
    for _ in range(1000):
        bar.advance()
    bar.finish(live(10))

    assert "pipe-bar" not in drawers
    assert len(drawers) < 5


def test_a_run_ends_with_its_bar_gone_and_the_terminal_free(rows: list[Any]) -> None:
    terminal, before = Terminal(), threading.active_count()
    streams = sys.stdout, sys.stderr
    Pipe(rows, [], schema=Item, errors=[], observers=[ProgressObserver(None, terminal)]).run()

    assert threading.active_count() == before
    assert re.fullmatch(r"<list> completed: 100 records in .*, 90 valid, 10 failed", terminal.frames[-1])
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1, "the cursor is back"
    assert (sys.stdout, sys.stderr) == streams
    assert nothing_holds_the_terminal()


def test_a_failed_and_an_abandoned_run_free_the_terminal(rows: list[Any]) -> None:
    with pytest.raises(Exception, match="fail"):
        Pipe(rows, [], schema=Item, on_error="fail", observers=[ProgressObserver(None, Terminal())]).run()
    assert nothing_holds_the_terminal()

    for _ in Pipe(rows, schema=Item, errors=[], observers=[ProgressObserver(None, Terminal())]):
        assert not nothing_holds_the_terminal()
        break
    assert nothing_holds_the_terminal()


def test_a_second_run_at_the_same_time_writes_lines_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    observer = ProgressObserver()
    first, second = run_info(live(1), name="first"), run_info(live(2), name="second")
    observer.pipe_run_started(first)
    observer.pipe_run_started(second)
    observer.pipe_run_finished(second, second.live)
    still = not nothing_holds_the_terminal()
    observer.pipe_run_finished(first, first.live)

    assert still, "the first still has its bar"
    assert "second running: 2 records in 2 s (1/s), 2 valid" in terminal.frames
    assert nothing_holds_the_terminal()


def test_a_terminal_on_which_somebody_else_draws_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(console=Console(stderr=True), auto_refresh=False):
        observer, run = ProgressObserver(), run_info(live(10))
        observer.pipe_run_started(run)
        assert nothing_holds_the_terminal()
        observer.pipe_run_finished(run, run.live)

    assert "in.csv running: 10 records in 2 s (5/s), 10 valid" in terminal.frames


def test_what_a_hook_prints_into_a_pipe_still_arrives(rows: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()

    def speak(entry: Any, store: Any) -> None:
        print("row")

    observers = [ProgressObserver(None, terminal)]
    Pipe(rows, [], errors=[], pre_validation_hooks=[speak], observers=observers).run()

    assert capsys.readouterr().out == "row\n" * 100
    assert "row" not in terminal.frames


def test_a_bar_that_cannot_be_drawn_does_not_matter_to_the_run(
    rows: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Progress) -> None:
        raise OSError("the terminal has gone")

    monkeypatch.setattr(Progress, "start", broken)
    assert Pipe(rows, [], schema=Item, errors=[], observers=[ProgressObserver(None, Terminal())]).run().read == 100
    assert [record.levelno for record in caplog.records if "observer failed" in record.message] == [logging.ERROR]
    assert nothing_holds_the_terminal()


def test_a_terminal_that_goes_away_does_not_matter_to_the_run(
    rows: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal, gone = Terminal(), threading.Event()

    def write(text: str) -> int:
        gone.set()
        raise OSError(5, "Input/output error")

    def leave(entry: Any, store: Any) -> None:
        if entry["raw_data"]["id"] == 51:
            terminal.write = write  # type: ignore[method-assign]  # as a terminal whose window was closed
            assert gone.wait(10)

    observer = ProgressObserver(ProgressOptions(refresh=60), terminal)
    report = Pipe(rows, [], pre_validation_hooks=[leave], observers=[observer]).run()

    assert report.valid == 100
    assert nothing_holds_the_terminal()
    assert "the bar can no longer be drawn" in caplog.text


# --- the plugin ---


@pytest.mark.parametrize("options", [{"every": 0}, {"refresh": 0}, {"evry": 1}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionsError):
        get_observer("progress", **options)


def test_options_cannot_change_later() -> None:
    with pytest.raises(pydantic.ValidationError):
        ProgressOptions().every = 3.0  # type: ignore[misc]  # that it is frozen is the test


class Ends:
    """Remembers the runs that have ended."""

    def __init__(self) -> None:
        self.runs: list[RunInfo] = []

    @hookimpl
    def pipe_run_finished(self, run: RunInfo) -> None:
        self.runs.append(run)


def test_a_file_read_in_splits_is_followed_to_its_end(tmp_path: Path) -> None:
    source, ends = tmp_path / "in.jsonl", Ends()
    source.write_text('{"id": 1}\n' * 1000)
    Pipe(source, [], schema=Item, errors=[], observers=[ends]).run()
    (run,) = ends.runs

    assert (run.unit, run.total) == ("bytes", source.stat().st_size)
    assert Advance.of(run).done == 1.0


def test_a_list_is_followed_to_its_end(rows: list[Any]) -> None:
    ends = Ends()
    Pipe(rows, [], schema=Item, errors=[], observers=[ends]).run()
    (run,) = ends.runs

    assert (run.unit, run.total) == ("records", 100)
    assert Advance.of(run).done == 1.0
