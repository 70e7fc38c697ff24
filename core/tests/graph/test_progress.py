"""The progress of runs: what is counted, what a terminal shows, and what anything else gets."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from rich.console import Console

from pipe_core import (
    CallbackContext,
    CancelToken,
    Engine,
    MemoryCache,
    OptionsError,
    Pipeline,
    ProgressCallback,
    RunCancelledError,
    WorkerKilled,
    node,
)
from pipe_core.graph.progress_rows import MOST, Row, fitting, table_of
from pipe_core.graph.progress_views import Screen
from pipe_core.looks.terminal import is_taken

LIMIT = 20.0


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def frames(self) -> list[str]:
        """What it showed, without colours and movements of the cursor."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())
        return [frame.rstrip() for frame in re.split(r"[\r\n]+", plain) if frame.strip()]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    yield
    assert not is_taken(), "the terminal is free again"


class Drawing:
    """A callback whose bars are looked at by whoever wants to, and not by a thread."""

    def __init__(self) -> None:
        self.terminal, self.clock = Terminal(), Clock()
        self.callback = ProgressCallback(refresh=0.001, stream=self.terminal, clock=self.clock)

    def now(self, width: int = 120) -> list[str]:
        """The lines that are to be seen."""
        screen = self.callback._screen
        assert screen is not None
        return drawn(screen.table(), width)

    @property
    def last(self) -> str:
        """The line at the end."""
        return self.terminal.frames[-1]


def drawn(table: Any, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False, _environ={})
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [re.sub(r"[━╸╺]+", "━", line).rstrip() for line in console.file.getvalue().splitlines()]


def squeezed(lines: list[str]) -> list[str]:
    """Each line with its indentation, and single spaces in it."""
    return [re.sub(r"(?<=\S) +", " ", line) for line in lines]


@pytest.fixture
def drawing() -> Drawing:
    return Drawing()


def lines_of(run: Callable[[ProgressCallback], object], every: float = 2.0) -> list[str]:
    """What *run* writes where there is no terminal."""
    stream = io.StringIO()
    run(ProgressCallback(every=every, stream=stream))
    return stream.getvalue().splitlines()


@node
def half(value: int) -> float:
    if value < 0:
        raise ValueError(f"{value} is below 0")
    return value / 2


@node
def text(half: float) -> str:
    return str(half)


# --- bars ---


def test_a_pipeline_has_a_bar_with_its_nodes(drawing: Drawing) -> None:
    seen = []

    def first() -> int:
        seen.append(drawing.now())
        drawing.clock.now += 61
        return 1

    def second(first: int) -> int:
        seen.append(drawing.now())
        return 2

    Pipeline([first, second], name="numbers", callbacks=[drawing.callback])()

    assert [squeezed(lines) for lines in seen] == [
        ["numbers 0 of 2 nodes now first 1 s"],
        ["numbers ━ 1 of 2 nodes now second 1 min 01 s"],
    ]
    assert drawing.last == "numbers completed: 2 nodes in 1 min 01 s"


def test_nodes_that_nobody_needs_are_not_counted(drawing: Drawing) -> None:
    seen = []

    def looking() -> int:
        seen.extend(drawing.now())
        return 1

    def other() -> int:
        return 1

    Pipeline([looking, other], name="some", callbacks=[drawing.callback]).run({}, "looking")

    assert squeezed(seen) == ["some 0 of 1 node now looking 1 s"]
    assert drawing.last == "some completed: 1 node in 0 s"


def test_a_pipeline_inside_another_is_below_it_while_it_runs(drawing: Drawing) -> None:
    seen = []

    def inside() -> int:
        seen.append(drawing.now())
        return 1

    def behind(inside: int) -> int:
        seen.append(drawing.now())
        return 1

    inner = Pipeline([inside], name="inner")
    Pipeline([inner, behind], name="outer", callbacks=[drawing.callback])()

    assert [squeezed(lines) for lines in seen] == [
        ["outer 0 of 2 nodes 1 s", "  inner 0 of 1 node now inside 1 s"],
        ["outer ━ 1 of 2 nodes now behind 1 s"],
    ]


def test_a_map_has_its_items_and_a_line_for_each_node(drawing: Drawing) -> None:
    seen = []

    @node
    def last(half: float) -> float:
        drawing.clock.now += 0.5
        if half == 25:
            seen.extend(drawing.now())
        return half

    Pipeline([half, last], name="halves", callbacks=[drawing.callback]).map(
        {"value": [-1, -2, *range(100)]}, "value", on_error="continue"
    )

    assert squeezed(seen) == [
        "halves ━ 52 of 102 items 2/s 2 failed about 25 s left",
        "  half 53 2.1/s 2 failed",
        "  last 50 2/s",
    ]
    assert drawing.last == (
        "halves ended: 102 items in 50 s (2/s), 2 failed; ValueError: -1 is below 0 (first in node 'half' of item 0)"
    )


def test_a_map_whose_length_nobody_knows_has_a_count(drawing: Drawing) -> None:
    rows = Pipeline([half], name="halves", callbacks=[drawing.callback]).imap({"value": itertools.count()}, "value")
    for _ in range(30):
        next(rows)
        drawing.clock.now += 0.1
    seen = drawing.now()
    rows.close()

    assert squeezed(seen) == ["halves 30 items 10/s 3 s", "  half 30 10/s"]
    assert "━" not in seen[0]


def test_what_was_known_is_a_share(drawing: Drawing) -> None:
    seen = []

    @node(cache=False)
    def last(half: float) -> float:
        seen[:] = drawing.now()
        return half

    pipeline = Pipeline([half], name="halves", cache=MemoryCache())
    pipeline.map({"value": range(3)}, "value")
    pipeline.with_callbacks([drawing.callback]).map({"value": range(12)}, "value")

    assert re.fullmatch(r"halves completed: 12 items in 0 s, 25 % cached", drawing.last)

    cached = Pipeline([half, last], name="halves", cache=pipeline.cache, callbacks=[drawing.callback])
    cached.map({"value": range(4)}, "value")
    assert squeezed(seen)[1] == "  half 4 0/s 100 % cached"
    assert "cached" not in seen[0], "no item was known as a whole"


def test_a_pipeline_inside_is_known_when_all_of_it_is(drawing: Drawing) -> None:
    seen = []

    @node(cache=False)
    def last(half: float) -> float:
        seen[:] = drawing.now()
        return half

    inner = Pipeline([half], name="inner", cache=MemoryCache())
    inner.map({"value": range(3)}, "value")
    Pipeline([inner, last], name="outer", callbacks=[drawing.callback]).map({"value": range(4)}, "value")

    assert squeezed(seen)[1:3] == ["  inner 4 0/s 75 % cached", "    half 4 0/s 75 % cached"]


def test_the_rate_is_that_of_the_last_seconds(drawing: Drawing) -> None:
    seen = []

    @node
    def faster(value: int) -> int:
        drawing.clock.now += 1 if value < 100 else 0.1
        seen[:] = drawing.now()
        return value

    Pipeline([faster], name="all", callbacks=[drawing.callback]).map({"value": range(300)}, "value")

    assert squeezed(seen)[0] == "all ━ 299 of 300 items 10/s about 1 s left"
    assert drawing.last == "all completed: 300 items in 2 min 00 s (2.5/s)"


def test_maps_inside_of_maps_are_counted_by_what_passes_their_nodes(drawing: Drawing) -> None:
    seen = []

    @node(output_name="values")
    def some(number: int) -> list[int]:
        return list(range(number))

    @node
    def total(halves: list[float]) -> float:
        seen[:] = drawing.now()
        return sum(halves)

    inner = Pipeline([half], name="inner").as_node({"values": "value"}, {"half": "halves"}, "values")
    Pipeline([some, inner, total], name="outer", callbacks=[drawing.callback]).map({"number": [3, 0, 4]}, "number")

    assert squeezed(seen) == [
        "outer ━ 2 of 3 items 0/s 1 s",
        "  some 3 0/s",
        "  inner 3 0/s",
        "    half 7 0/s",
        "  total 2 0/s",
    ]
    assert drawing.last == "outer completed: 3 items in 0 s"


def test_one_pipeline_twice_in_another_is_right_too(anywhere: Engine) -> None:
    @node(output_name=("left", "right"))
    def values() -> tuple[list[int], list[int]]:
        return [1, 2, 3], [4, 5, 6, 7]

    halves = Pipeline([half], name="halves")
    sides = [halves.as_node({side: "value"}, {"half": f"{side} half"}, side) for side in ("left", "right")]
    twice = Pipeline([values, *sides], name="twice")
    (line,) = lines_of(lambda callback: twice.with_callbacks([callback]).run({}, engine=anywhere))

    assert re.fullmatch(r"twice completed: 3 nodes in \S+ m?s", line)


# --- what fits ---


def test_at_most_so_many_lines_are_shown_the_outer_ones_first() -> None:
    rows = [Row(0, "a", "1"), *(Row(1 + i % 2, f"b{i}", "1") for i in range(20))]
    shown, left = fitting(rows)

    assert [row.name for row in shown] == ["a", *(f"b{i}" for i in range(0, 20, 2))]
    assert left == 10
    assert len(drawn(table_of(rows, 100))) == MOST
    assert drawn(table_of(rows, 100))[-1] == "and 10 more"
    assert fitting(rows[:MOST]) == (rows[:MOST], 0)


def test_many_lines_of_one_depth_are_cut() -> None:
    shown, left = fitting([Row(0, f"run {i}", "1") for i in range(50)])
    assert ([row.name for row in shown], left) == ([f"run {i}" for i in range(11)], 39)


@pytest.mark.parametrize("width", [30, 50, 60, 80, 200])
def test_lines_are_never_wider_than_the_terminal(width: int) -> None:
    rows = [Row(0, "a" * 30, "1,000 of 2,000 items", "10/s", "3 failed", "40 % cached", "about 10 s left", 0.5, True)]
    lines = drawn(table_of([*rows, Row(1, "node", "1,004", "10/s")], width), width)

    assert len(lines) == 2
    assert max(map(len, lines)) <= width
    assert ("━" in lines[0]) == (width > 120)


def test_names_are_never_markup(drawing: Drawing) -> None:
    seen = []

    def looking() -> None:
        seen.extend(drawing.now())

    Pipeline([looking], name="[red]a[/red]\x1b[2J", callbacks=[drawing.callback])()

    assert seen[0].startswith(r"[red]a[/red]\x1b[2J")
    assert drawing.last == r"[red]a[/red]\x1b[2J completed: 1 node in 0 s"


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Drawing(), Drawing()
    Pipeline([half], callbacks=[coloured.callback])(value=1)
    monkeypatch.setenv("NO_COLOR", "1")
    Pipeline([half], callbacks=[plain.callback])(value=1)
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")

    assert colours.search(coloured.terminal.getvalue())
    assert not colours.search(plain.terminal.getvalue())


# --- the thread that draws ---


def test_bars_are_drawn_while_nothing_happens_and_are_gone_at_the_end() -> None:
    terminal, before, streams = Terminal(), threading.active_count(), (sys.stdout, sys.stderr)
    drawn_twice = threading.Event()

    class Watched(Terminal):
        def write(self, written: str) -> int:
            if self.getvalue().count("now waiting") >= 2:
                drawn_twice.set()
            return super().write(written)

    terminal = Watched()

    def waiting() -> bool:
        return drawn_twice.wait(LIMIT)

    pipeline = Pipeline([waiting], name="slow", callbacks=[ProgressCallback(refresh=60, stream=terminal)])

    assert pipeline() == {"waiting": True}
    assert re.fullmatch(r"slow completed: 1 node in .*", terminal.frames[-1])
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1, "the cursor is back"
    assert threading.active_count() == before
    assert (sys.stdout, sys.stderr) == streams


def test_bars_are_drawn_no_more_often_than_asked(monkeypatch: pytest.MonkeyPatch, drawing: Drawing) -> None:
    looks = []
    monkeypatch.setattr(Screen, "table", lambda self: looks.append(1))
    Pipeline([half, text], callbacks=[drawing.callback]).map({"value": range(2_000)}, "value")

    assert looks == []


def test_a_terminal_that_goes_away_does_not_matter_to_the_run(caplog: pytest.LogCaptureFixture) -> None:
    gone = threading.Event()

    class Closing(Terminal):
        def write(self, written: str) -> int:
            gone.set()
            raise OSError(5, "Input/output error")

    def waiting() -> bool:
        return gone.wait(LIMIT)

    pipeline = Pipeline([waiting], callbacks=[ProgressCallback(refresh=60, stream=Closing())])

    assert pipeline() == {"waiting": True}
    assert "progress can no longer be shown; the run goes on" in caplog.messages
    assert not any("a callback failed" in message for message in caplog.messages)


def test_a_notebook_has_bars_and_keeps_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[dict[str, str]] = []
    drawn_once = threading.Event()

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(data)
            if "now waiting" in data["text/plain"]:
                drawn_once.set()

    def display(*data: Any, raw: bool = False, display_id: bool = False) -> Handle:
        shown.extend(one if raw else one._repr_mimebundle_([], []) for one in data)
        return Handle()

    module = types.ModuleType("IPython.display")
    module.display = display  # type: ignore[attr-defined]  # as that of notebooks
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)

    def waiting() -> bool:
        found = drawn_once.wait(LIMIT)
        print("printed")
        return found

    assert Pipeline([waiting], name="slow", callbacks=[ProgressCallback(refresh=60)])() == {"waiting": True}

    bars = next(one for one in shown if "now waiting" in one["text/plain"])
    (text,) = squeezed([bars["text/plain"].rstrip()])
    assert re.fullmatch(r"slow 0 of 1 node now waiting \d+ s", text)
    assert "slow" in bars["text/html"]
    assert shown[-2] == {"text/plain": ""}, "the bars are gone"
    assert "completed" in shown[-1]["text/plain"]
    assert capsys.readouterr().out == "printed\n"


# --- lines ---


def test_lines_are_at_most_one_in_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()

    @node
    def slow(value: int) -> int:
        clock.now += 0.1
        return value

    pipeline = Pipeline([slow], name="slow", callbacks=[ProgressCallback(every=2.0, stream=stream, clock=clock)])
    pipeline.map({"value": range(95)}, "value")
    lines = stream.getvalue().splitlines()

    assert len(lines) == 5
    assert re.fullmatch(r"slow: (19|20|21) of 95 items, (9\.\d|10)/s, about [78] s left", lines[0])
    assert lines[-1] == "slow completed: 95 items in 9.5 s (10/s)"


def test_a_line_says_what_goes_on_inside() -> None:
    stream, clock = io.StringIO(), Clock()

    def values() -> list[int]:
        return list(range(10))

    @node
    def slow(value: int) -> int:
        clock.now += 0.5
        return value

    inner = Pipeline([slow], name="inner").as_node({"values": "value"}, {"slow": "all"}, "values")
    Pipeline([values, inner], name="outer", callbacks=[ProgressCallback(every=2.0, stream=stream, clock=clock)])()

    assert stream.getvalue().splitlines() == [
        "outer: 1 of 2 nodes, 2 s; inner: 3 of 10 items, 1.5/s, about 5 s left",
        "outer: 1 of 2 nodes, 4 s; inner: 7 of 10 items, 1.8/s, about 2 s left",
        "outer completed: 2 nodes in 5 s",
    ]


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Pipeline([half], name="halves", callbacks=[ProgressCallback()]).map({"value": range(3)}, "value")
    out, err = capsys.readouterr()

    assert out == ""
    assert re.fullmatch(r"halves completed: 3 items in .* \(.*/s\)\n", err)


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    Pipeline([half], name="halves", callbacks=[ProgressCallback(stream=terminal)])(value=1)

    assert re.fullmatch(r"halves completed: 1 node in .*\n", terminal.getvalue())


def test_a_program_without_standard_error_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert Pipeline([half], callbacks=[ProgressCallback()])(value=1) == {"half": 0.5}


def test_a_closed_stream_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    stream.close()
    Pipeline([half], callbacks=[ProgressCallback(every=1e-9, stream=stream)]).map({"value": range(100)}, "value")

    assert [record.levelno for record in caplog.records] == [logging.WARNING]


# --- how runs end ---


def test_a_run_that_fails_says_why(anywhere: Engine) -> None:
    def run(callback: ProgressCallback) -> None:
        with pytest.raises(ValueError, match="below"):
            Pipeline([half, text], name="halves", callbacks=[callback]).run({"value": -3}, engine=anywhere)

    (line,) = lines_of(run)
    assert re.fullmatch(r"halves failed: 0 of 2 nodes in .*; ValueError: -3 is below 0 \(in node 'half'\)", line)


def test_a_map_that_fails_says_how_far_it_came(anywhere: Engine) -> None:
    def run(callback: ProgressCallback) -> None:
        with pytest.raises(ValueError, match="below"):
            Pipeline([half, text], name="halves", callbacks=[callback]).map(
                {"value": [*range(20), -3, *range(500)]}, "value", engine=anywhere
            )

    (line,) = lines_of(run)
    found = re.fullmatch(
        r"halves failed: (\d+) of 521 items in .*, 1 failed; ValueError: -3 is below 0 \(in node 'half' of item 20\)",
        line,
    )
    assert found, line
    assert int(found[1]) <= 40


def test_a_map_that_goes_on_has_all_its_items(anywhere: Engine) -> None:
    def run(callback: ProgressCallback) -> None:
        Pipeline([half, text], name="halves", callbacks=[callback]).map(
            {"value": [-1 if i % 5 == 2 else i for i in range(100)]}, "value", engine=anywhere, on_error="continue"
        )

    (line,) = lines_of(run)
    assert re.fullmatch(
        r"halves ended: 100 items in .*, 20 failed; ValueError: -1 is below 0 \(first in node 'half' of item 2\)", line
    ), line


def test_what_fails_inside_of_a_pipeline_fails_around_it(anywhere: Engine) -> None:
    inner = Pipeline([half], name="inner").as_node({"values": "value"}, {"half": "halves"}, "values")

    @node
    def count(halves: list[float]) -> int:
        return len(halves)

    outer = Pipeline([inner, count], name="outer")

    def run(callback: ProgressCallback) -> None:
        outer.with_callbacks([callback]).map(
            {"values": [[1, 2], [], [1, -1, 5], [4]]}, "values", engine=anywhere, on_error="continue"
        )

    (line,) = lines_of(run)
    assert re.fullmatch(
        r"outer ended: 4 items in .*, 1 failed; ValueError: -1 is below 0 \(in node 'half' of item 2, 1\)", line
    ), line


def test_what_works_in_the_end_has_not_failed(drawing: Drawing) -> None:
    attempts = itertools.count()

    @node(retries=2)
    def shaky(value: int) -> int:
        if next(attempts) % 3 < 2:
            raise ConnectionError
        return value

    Pipeline([shaky], name="shaky", callbacks=[drawing.callback]).map({"value": range(4)}, "value")

    assert re.fullmatch(r"shaky completed: 4 items in .*", drawing.last)
    assert "failed" not in drawing.last


def test_an_attempt_that_failed_is_no_reason_why_a_run_stops(drawing: Drawing) -> None:
    attempts = itertools.count()

    @node(retries=1)
    def shaky() -> int:
        if next(attempts) == 0:
            raise ConnectionError
        return 1

    def ended(shaky: int) -> int:
        raise RunCancelledError("something inside was cancelled")

    with pytest.raises(RunCancelledError):
        Pipeline([shaky, ended], name="some", callbacks=[drawing.callback])()

    assert drawing.last == "some stopped: 1 of 2 nodes in 0 s"


def test_of_one_pipeline_twice_at_once_one_may_fail() -> None:
    both = threading.Barrier(2, timeout=LIMIT)

    @node
    def meeting(value: int) -> float:
        both.wait()
        return half(value)

    inner = Pipeline([meeting], name="inner")
    sides = [inner.as_node({side: "value"}, {"meeting": f"{side} half"}) for side in ("left", "right")]
    outer = Pipeline(sides, name="outer")
    with ThreadPoolExecutor(2) as pool, Engine(pool) as engine:
        (line,) = lines_of(
            lambda callback: outer.with_callbacks([callback]).run(
                {"left": 1, "right": -1}, engine=engine, on_error="continue"
            )
        )

    assert re.fullmatch(r"outer failed: 1 of 2 nodes in .*; ValueError: -1 is below 0 \(in node 'meeting'\)", line), (
        line
    )


def test_a_run_that_is_cancelled_has_stopped(anywhere: Engine) -> None:
    token = CancelToken()

    @node
    def cancelling(value: int) -> int:
        if value == 5:
            token.cancel()
        return value

    def run(callback: ProgressCallback) -> None:
        with pytest.raises(RunCancelledError):
            Pipeline([cancelling, half], name="some", callbacks=[callback]).map(
                {"value": range(1000)}, "value", token=token, engine=anywhere
            )

    (line,) = lines_of(run)
    assert re.match(r"some stopped: \d+ of 1,000 items in ", line), line


def test_ctrl_c_ends_the_bars(drawing: Drawing) -> None:
    def pressed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline([pressed], name="some", callbacks=[drawing.callback])()

    assert drawing.last == "some stopped: 0 of 1 node in 0 s"


def test_rows_that_nobody_wants_any_more_end_the_bars(anywhere: Engine, drawing: Drawing) -> None:
    pipeline = Pipeline([half], name="halves", callbacks=[drawing.callback])
    for row in pipeline.imap({"value": itertools.count()}, "value", engine=anywhere):
        assert is_taken()
        if row["half"] == 3:
            break

    assert not is_taken()
    assert drawing.last.startswith("halves ")


# --- several at a time ---


def test_runs_at_the_same_time_share_the_screen() -> None:
    drawing, both, looked = Drawing(), threading.Barrier(2, timeout=LIMIT), threading.Barrier(2, timeout=LIMIT)
    seen: list[list[str]] = []

    @node
    def meeting(value: int) -> int:
        if value == 1:
            both.wait()
            if not seen:
                with lock:
                    seen.append(drawing.now())
            looked.wait()
        return value

    lock = threading.Lock()
    pipelines = [Pipeline([meeting], name=name, callbacks=[drawing.callback]) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pipeline: pipeline.map({"value": range(3)}, "value"), pipelines))

    assert sorted(squeezed(seen[0])) == [
        "  meeting 1 0/s",
        "  meeting 1 0/s",
        "one ━ 1 of 3 items 0/s 1 s",
        "two ━ 1 of 3 items 0/s 1 s",
    ]
    ends = [frame for frame in drawing.terminal.frames if "completed" in frame]
    assert sorted(ends) == ["one completed: 3 items in 0 s", "two completed: 3 items in 0 s"]


def test_another_callback_at_the_same_time_writes_lines(drawing: Drawing) -> None:
    other = ProgressCallback(stream=drawing.terminal)
    inner = Pipeline([half], name="inner", callbacks=[other])

    def outside() -> object:
        return inner(value=4)

    Pipeline([outside], name="outer", callbacks=[drawing.callback])()

    assert re.fullmatch(r"inner completed: 1 node in .*", drawing.terminal.frames[-2])
    assert drawing.last == "outer completed: 1 node in 0 s"


def test_a_pipeline_inside_that_has_one_of_its_own_shows_itself() -> None:
    stream = io.StringIO()
    inner = Pipeline([half], name="inner", callbacks=[ProgressCallback(stream=stream)])
    Pipeline([inner, text], name="outer").map({"value": [1, 2]}, "value")

    assert [line.split(" in ")[0] for line in stream.getvalue().splitlines()] == ["inner completed: 1 node"] * 2


def test_what_others_listen_to_counts_as_one_node(drawing: Drawing, anywhere: Engine) -> None:
    """A list of callbacks replaces that of what is around: only the beginning and the end are told there."""
    inner = Pipeline([half, text], name="inner", callbacks=[])
    more = node(output_name="more")(lambda text: len(text))
    Pipeline([inner, more], name="outer", callbacks=[drawing.callback]).run({"value": 1}, engine=anywhere)

    assert drawing.last == "outer completed: 2 nodes in 0 s"


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the end"])
@pytest.mark.parametrize("own", [False, True], ids=["one engine", "one of its own"])
@pytest.mark.parametrize("mapped", [False, True], ids=["once", "mapped"])
def test_what_others_listen_to_fails_as_one_node(mapped: bool, own: bool, last: bool, anywhere: Engine) -> None:
    inner = Pipeline([half], name="inner", callbacks=[], engine=Engine() if own else None)
    inside = inner.as_node(map_over="value" if mapped else None)
    nodes = [inside] if last else [inside, node(output_name="behind")(lambda half: half)]
    outer = Pipeline(nodes, name="outer")
    values = [[value] if mapped else value for value in (3, -1, 5, -2)]

    def once(callback: ProgressCallback) -> None:
        with pytest.raises(ValueError, match="below"):
            outer.with_callbacks([callback]).run({"value": values[1]}, engine=anywhere)

    def many(callback: ProgressCallback) -> None:
        outer.with_callbacks([callback]).map({"value": values}, "value", engine=anywhere, on_error="continue")

    (line,) = lines_of(once)
    steps = "1 node" if last else "2 nodes"
    assert re.fullmatch(rf"outer failed: 0 of {steps} in .*; ValueError: -1 is below 0 \(in node 'inner'\)", line), line
    (line,) = lines_of(many)
    why = r"ValueError: -[12] is below 0 \(first in node 'inner' of item [13]\)"
    assert re.fullmatch(rf"outer ended: 4 items in .*, 2 failed; {why}", line), line


def test_an_item_of_which_nothing_is_heard_has_failed_where_the_run_goes_on(drawing: Drawing) -> None:
    pipeline = Pipeline([half], name="halves")
    around, callback = (pipeline.id,), drawing.callback
    ctx = CallbackContext(around, (), remembered := {}, {pipeline.id: pipeline})
    callback.on_map_start(3, ctx)
    for index in range(3):
        item = CallbackContext(around, (index,), remembered, {})
        item.nodes_to_run = 1
        callback.on_map_item_start(index, item)
        if index != 1:  # the process of the second one is killed
            callback.on_pipeline_start(pipeline.id, {}, item)
            callback.on_node_start("half", {}, item)
            callback.on_node_end("half", {"half": 1}, 0.0, item)
            callback.on_pipeline_end(pipeline.id, {"half": 1}, 0.0, item)
        else:
            item.failure = WorkerKilled("a signal")
        callback.on_map_item_end(index, 0.0, item)
    callback.on_map_end(0.0, ctx)

    assert drawing.last == "halves ended: 3 items in 0 s, 1 failed; WorkerKilled: a signal (in item 1)"


@pytest.mark.parametrize("place", ["coroutine", "function"])
def test_what_is_cancelled_with_a_run_is_no_reason_for_its_end(place: str) -> None:
    token, begun = CancelToken(), threading.Barrier(2, timeout=LIMIT)

    async def endless() -> None:
        await asyncio.to_thread(begun.wait)
        await asyncio.sleep(LIMIT)

    @node
    def cancels() -> None:
        begun.wait()
        token.cancel()

    waits = node(output_name="waits")(endless if place == "coroutine" else lambda: endless())

    def run(callback: ProgressCallback) -> None:
        with ThreadPoolExecutor(2) as pool, pytest.raises(RunCancelledError):
            Pipeline([waits, cancels], name="some", callbacks=[callback]).run(engine=Engine(pool), token=token)

    (line,) = lines_of(run)
    assert re.fullmatch(r"some stopped: [01] of 2 nodes in .*", line), line


def test_what_happens_in_other_processes_is_counted() -> None:
    def run(callback: ProgressCallback) -> None:
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool, Engine(None, pool) as engine:
            Pipeline([half, text], name="halves", callbacks=[callback], engine=engine).map(
                {"value": [*range(50), -1]}, "value", on_error="continue"
            )

    lines = lines_of(run)
    assert re.fullmatch(
        r"halves ended: 51 items in .*, 1 failed; ValueError: -1 is below 0 \(in node 'half' of item 50\)", lines[-1]
    ), lines


# --- options ---


@pytest.mark.parametrize("terminal", [Terminal(), io.StringIO()])
def test_it_can_be_switched_off(terminal: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Pipeline([half, text], callbacks=[ProgressCallback(enable=False, every=1e-9, stream=terminal)])
    inside = Pipeline([pipeline.with_callbacks(None)], callbacks=pipeline.callbacks)
    pipeline.map({"value": [1, 2, -1]}, "value", on_error="continue")
    inside(value=1)

    assert (terminal.getvalue(), caplog.messages) == ("", [])


@pytest.mark.parametrize("options", [{"every": 0}, {"refresh": -1}, {"refresh": True}, {"every": "2"}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionsError, match=f"{next(iter(options))} wants a positive number"):
        ProgressCallback(**options)
