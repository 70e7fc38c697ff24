"""The live view of an executor: on a terminal, in a file, and when the executor goes."""

from __future__ import annotations

import gc
import io
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import LIMIT, wait_for
from rich.console import Console

import pipe_core.tasks.watch
from pipe_core import OptionsError, Retry, TaskExecutor
from pipe_core.tasks.watch import Watch


@pytest.fixture
def executor() -> Iterator[TaskExecutor]:
    with ThreadPoolExecutor(2) as pool, TaskExecutor(pool) as executor:
        yield executor


def console(terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, force_interactive=terminal, width=100, _environ={"TERM": "xterm"}
    )


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def fail() -> None:
    raise ValueError


def test_in_a_file_there_is_a_line_at_the_end(executor: TaskExecutor) -> None:
    out = console()
    with executor.watch(out):
        executor.wait([*(executor.submit(int) for _ in range(1_200)), executor.submit(fail)])
    [line] = said(out).splitlines()
    assert line.startswith(
        "ThreadPoolExecutor: 0 waiting, 0 running, 1,200 completed, 1 failed, 0 cancelled, 0 aborted; "
    )
    assert "waited" in line
    assert "\x1b" not in line


def test_in_a_file_there_are_lines_now_and_then(executor: TaskExecutor) -> None:
    out, go = console(), threading.Event()
    with executor.watch(out, every=0.01):
        futures = [executor.submit(go.wait, LIMIT) for _ in range(3)]
        wait_for(lambda: "1 waiting, 2 running" in said(out))
        go.set()
        executor.wait(futures)
    assert "0 waiting, 0 running, 3 completed" in said(out).splitlines()[-1]


def test_on_a_terminal_it_is_drawn_and_goes_away(executor: TaskExecutor) -> None:
    out, go = console(terminal=True), threading.Event()
    with executor.watch(out, refresh=100):
        future = executor.submit(go.wait, LIMIT)
        wait_for(lambda: "1 of 2 busy ■□" in said(out))
        go.set()
        executor.wait([future])
    assert "queue wait" in said(out)
    assert "\x1b[2K" in said(out), "what was drawn is wiped away"
    assert said(out).splitlines()[-1].endswith(")")
    assert "1 completed" in said(out).splitlines()[-1]


def test_it_waits_until_all_is_done(executor: TaskExecutor) -> None:
    out = console()
    futures = [executor.submit(time.sleep, 0.01) for _ in range(10)]
    assert executor.watch(out, refresh=200).until_done()
    assert all(future.done() for future in futures)
    assert "10 completed" in said(out)


def test_it_waits_no_longer_than_it_is_told(executor: TaskExecutor) -> None:
    go = threading.Event()
    future = executor.submit(go.wait, LIMIT)
    assert not executor.watch(console()).until_done(0.05)
    assert not future.done()
    go.set()


def test_it_does_not_keep_the_executor() -> None:
    out = console()
    executor = TaskExecutor("sync")
    watch = executor.watch(out, every=0.01)
    with watch:
        wait_for(lambda: said(out))
        gone = weakref.ref(executor)
        executor.shutdown()
        del executor
        gc.collect()
        wait_for(lambda: gone() is None or not gc.collect())
        assert gone() is None
        assert watch.look() is None
    assert said(out).splitlines()[-1].startswith("sync: ")
    assert not [thread for thread in threading.enumerate() if thread.name == "pipe-watch"]


def test_a_closed_window_stops_nothing(executor: TaskExecutor, caplog: pytest.LogCaptureFixture) -> None:
    class Closed(io.StringIO):
        closed_now = False

        def write(self, text: str) -> int:
            if self.closed_now:
                raise OSError("closed")
            return super().write(text)

    stream = Closed()
    with executor.watch(Console(file=stream), every=0.01):
        wait_for(stream.getvalue)
        stream.closed_now = True
        wait_for(lambda: caplog.records)
        assert executor.submit(int, "3").result(LIMIT) == 3
        stream.closed_now = False
    assert len(caplog.records) == 1


def test_a_view_is_for_once(executor: TaskExecutor) -> None:
    watch = executor.watch(console())
    with watch:
        pass
    with pytest.raises(RuntimeError, match="again"), watch:
        pass


@pytest.mark.parametrize("option", ["refresh", "every"])
@pytest.mark.parametrize("value", [0, -1, "often", True])
def test_its_pauses_are_positive(executor: TaskExecutor, option: str, value: object) -> None:
    with pytest.raises(OptionsError, match=option):
        Watch(executor, **{option: value})  # type: ignore[arg-type]  # wrong on purpose


def test_its_console_is_one(executor: TaskExecutor) -> None:
    with pytest.raises(OptionsError, match=r"wants a rich\.console\.Console.*not 'out\.txt'"):
        executor.watch("out.txt")  # type: ignore[arg-type]  # wrong on purpose


def test_a_view_that_comes_when_all_is_done_tells_the_rate_since_the_start(executor: TaskExecutor) -> None:
    out = console()
    executor.wait([executor.submit(int) for _ in range(100)])
    assert executor.watch(out).until_done()
    assert "; 0/s; " not in said(out)


def test_attempts_behind_the_first_ones_are_told(executor: TaskExecutor) -> None:
    for terminal in (False, True):
        out = console(terminal)
        with executor.watch(out, refresh=100):
            executor.submit_with(retries=Retry(2, delay=0.0))(fail).exception(LIMIT)
            executor.submit(time.sleep, 0.05).result(LIMIT)
        assert "failed, 0 cancelled, 0 aborted; tried again " in said(out)
        assert ("tried again" in said(out).split("aborted;")[0]) == terminal, "the table has it as well"


def test_the_rate_is_that_of_the_last_seconds(executor: TaskExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_core.tasks.watch, "_LEAST", 0.0)
    watch = executor.watch(console())
    first = watch.look()
    executor.wait([executor.submit(int) for _ in range(100)])
    second = watch.look()
    assert first is not None
    assert second is not None
    assert second.rate == pytest.approx(100 / (second.stats.uptime - first.stats.uptime))


def test_brackets_in_a_name_are_no_markup(executor: TaskExecutor) -> None:
    executor.name = "[red]\x1b[31m[/red]"
    for terminal in (False, True):
        out = console(terminal)
        with executor.watch(out, refresh=100):
            pass
        assert "[red]\\x1b[31m[/red]" in said(out)
