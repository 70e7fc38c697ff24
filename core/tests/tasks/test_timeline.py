"""The timeline: what transitions say, and that the drawing shows just that."""

from __future__ import annotations

import asyncio
import functools
import itertools
import re
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from event_kinds import Work, Works
from hypothesis import given
from hypothesis import strategies as st

from pipe_core import Retry, TaskExecutor, Transition
from pipe_core.looks.wording import duration
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks import timeline_drawing as drawing
from pipe_core.tasks.timeline import Run, Timeline, busy, timeline_of
from pipe_core.tasks.timeline_page import render_timeline, write_timeline

PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED = list(TaskStatus)[:5]
LIMIT = 20.0
LEFT, RIGHT = drawing.LEFT, drawing.WIDTH - drawing.MARGIN


def fail() -> None:
    raise ValueError


def log_of(*runs: tuple[int, float, float, float, int | None, TaskStatus]) -> list[Transition]:
    """Of tasks: id, when it came, began and ended, where, how."""
    moves = []
    for id, came, began, ended, slot, how in runs:
        moves += [
            Transition(id, None, PENDING, came, 1, "", None, f"call_{id}"),
            Transition(id, PENDING, PROCESSING, began, 1, "", slot),
            Transition(id, PROCESSING, how, ended, 1, "", slot),
        ]
    return sorted(moves, key=lambda move: move.at)


def svgs(page: str) -> list[ET.Element]:
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def bars(svg: ET.Element) -> list[tuple[str, float, float, float, float]]:
    """Class, left, right, top, bottom of every bar."""
    found = []
    for one in svg.iter("rect"):
        if one.get("class") != "lane":
            x, y, width, height = (float(one.get(name, "nan")) for name in ("x", "y", "width", "height"))
            found.append((one.get("class", ""), x, x + width, y, y + height))
    return found


def steps(svg: ET.Element) -> list[tuple[float, float]]:
    """The corners of the line of the queue."""
    [path] = [one.get("d", "") for one in svg.iter("path") if one.get("class") == "queue"]
    x = y = 0.0
    corners = []
    for letter, numbers in re.findall(r"([MHV])([-\d. ]+)", path):
        if letter == "M":
            x, y = map(float, numbers.split())
        elif letter == "H":
            x = float(numbers)
        else:
            y = float(numbers)
        corners.append((x, y))
    return corners


# --- what transitions say ---


def test_runs_have_their_times_slots_and_ends() -> None:
    line = timeline_of(log_of((1, 10, 11, 14, 0, COMPLETED), (2, 10.5, 12, 13, 1, FAILED)))
    assert line.runs == [
        Run(1, "call_1", 0, 1, 11, 14, COMPLETED, 0),
        Run(2, "call_2", 1, 1, 12, 13, FAILED, 0),
    ]
    assert (line.start, line.end, line.span) == (10, 14, 4)
    assert line.queue == [(10, 0), (10, 1), (10.5, 2), (11, 1), (12, 0)]


def test_attempts_are_runs_of_their_own() -> None:
    moves = [
        Transition(1, None, PENDING, 0, 1, "", None, "work"),
        Transition(1, PENDING, PROCESSING, 1, 1, "", 0, "work"),
        Transition(1, PROCESSING, FAILED, 2, 1, "ValueError()", 0),
        Transition(1, FAILED, PENDING, 2, 2, "again"),
        Transition(1, PENDING, PROCESSING, 3, 2, "", 1, "work"),
        Transition(1, PROCESSING, COMPLETED, 4, 2, "", 1),
    ]
    line = timeline_of(moves)
    assert [(run.slot, run.attempt, run.status) for run in line.runs] == [(0, 1, FAILED), (1, 2, COMPLETED)]
    assert [run.again for run in line.runs] == [True, False]
    assert [count for _, count in line.queue] == [0, 1, 0, 1, 0]
    assert line.tasks == {COMPLETED: 1}


def test_a_run_was_tried_again_only_where_another_attempt_follows() -> None:
    moves = [
        Transition(1, None, PENDING, 0, 1, "", None, "work"),
        Transition(1, PENDING, PROCESSING, 1, 1, "", 0, "work"),
        Transition(1, PROCESSING, FAILED, 2, 1, "ValueError()", 0),
    ]
    assert [run.again for run in timeline_of(moves).runs] == [False]
    moves.append(Transition(1, FAILED, PENDING, 2, 2, "again"))
    assert [run.again for run in timeline_of(moves).runs] == [True]
    assert timeline_of(moves[3:]).runs == [], "its run was before the log begins"


def test_what_ran_and_waited_before_the_log_begins_is_there_from_the_start() -> None:
    log = log_of((1, 0, 1, 5, 0, COMPLETED), (2, 0, 6, 7, 0, COMPLETED), (3, 0, 1, 9, 1, COMPLETED))[5:]
    line = timeline_of(log)
    assert line.queue[0] == (5, 1)
    assert [(run.id, run.start, run.end) for run in line.runs] == [(1, 5, 5), (3, 5, 9), (2, 6, 7)]


def test_what_still_runs_reaches_to_the_end() -> None:
    log = log_of((1, 0, 1, 5, 0, COMPLETED), (2, 0, 2, 9, 1, COMPLETED))[:-1]
    assert [(run.end, run.status) for run in timeline_of(log).runs] == [(5, COMPLETED), (5, PROCESSING)]


def test_runs_that_overlap_in_one_slot_have_lanes() -> None:
    log = log_of((1, 0, 1, 9, 0, COMPLETED), (2, 0, 2, 4, 0, COMPLETED), (3, 0, 4, 5, 0, COMPLETED))
    assert [(run.id, run.lane) for run in timeline_of(log).runs] == [(1, 0), (2, 1), (3, 1)]


def test_a_slot_that_runs_several_is_busy_once() -> None:
    runs = [Run(n, "", 0, 1, start, end) for n, (start, end) in enumerate([(1, 5), (2, 3), (4, 6), (8, 9)])]
    assert busy(runs) == 6
    assert busy([]) == 0


def test_an_empty_log_is_a_page_as_well() -> None:
    assert "no transitions" in render_timeline([])
    assert timeline_of([]) == Timeline()


# --- the drawing ---

_tasks = st.lists(
    st.tuples(
        st.floats(0, 1e5),
        st.floats(0, 1e3),
        st.floats(0, 1e3),
        st.none() | st.integers(0, 5),
        st.sampled_from([COMPLETED, FAILED, CANCELLED]),
    ),
    min_size=1,
    max_size=30,
)


@given(_tasks, st.integers(0, 100), st.integers(0, 20))
def test_the_drawing_stays_inside_and_shows_every_run(
    tasks: list[tuple[float, float, float, int | None, TaskStatus]], slots: int, cut: int
) -> None:
    moves = log_of(
        *((n, at, at + wait, at + wait + ran, slot, how) for n, (at, wait, ran, slot, how) in enumerate(tasks))
    )
    log = moves[min(cut, len(moves) - 1) :]
    line = timeline_of(log)
    runs, queue = svgs(render_timeline(log, slots=slots))
    _, _, width, height = map(float, runs.get("viewBox", "").split())
    drawn = bars(runs)
    assert len(drawn) == len(line.runs)
    for _, left, right, top, bottom in drawn:
        assert LEFT - 0.01 <= left < right <= RIGHT + 0.01 < width
        assert drawing.TOP <= top < bottom <= height
    for one, (_, left, right, _, _) in zip(line.runs, drawn, strict=True):
        assert abs(left - drawing.place(line, one.start)) <= drawing.THINNEST + 0.01
        assert abs(right - drawing.place(line, one.end)) <= drawing.THINNEST + 0.01
    _, _, width, height = map(float, queue.get("viewBox", "").split())
    most = max(count for _, count in line.queue)
    low = drawing.TOP + drawing.QUEUE - 20
    heights = {round((low - y) / (low - drawing.TOP) * max(most, 1), 1) for _, y in steps(queue)}
    assert max(heights) == most
    assert heights <= {float(count) for _, count in line.queue}
    assert all(
        LEFT - 0.01 <= x <= RIGHT + 0.01 < width and drawing.TOP <= y <= low + 0.01 < height for x, y in steps(queue)
    )


def test_the_line_of_the_queue_follows_the_counts() -> None:
    log = log_of((1, 0, 10, 20, 0, COMPLETED), (2, 0, 20, 30, 0, COMPLETED), (3, 5, 30, 40, 0, COMPLETED))
    line = timeline_of(log)
    low = drawing.TOP + drawing.QUEUE - 20

    def height(x: float) -> float:
        """Of the line just behind x."""
        return [y for at, y in steps(svgs(render_timeline(log))[1]) if at <= x + 0.01][-1]

    for at, waiting in [(0, 2), (5, 3), (10, 2), (20, 1), (30, 0)]:
        assert height(drawing.place(line, at)) == pytest.approx(low - waiting * (low - drawing.TOP) / 3, abs=0.02)


def test_bars_of_one_row_do_not_overlap() -> None:
    log = log_of(*((n, n, n + 1, n + 4, n % 2, COMPLETED) for n in range(40)))
    rows: dict[float, list[tuple[float, float]]] = {}
    for _, left, right, top, _ in bars(svgs(render_timeline(log))[0]):
        rows.setdefault(top, []).append((left, right))
    assert len(rows) == 4
    for places in rows.values():
        ordered = sorted(places)
        assert all(right <= left + 0.02 for (_, right), (left, _) in itertools.pairwise(ordered))


@pytest.mark.parametrize("span", [0.0, 1e-7, 0.004, 0.3, 1.0, 59.0, 3_600.0, 1e7])
def test_ticks_are_round_and_few(span: float) -> None:
    found = drawing.ticks(span)
    assert found[0] == 0
    assert found[-1] <= span * 1.0001
    assert len(found) <= 11
    assert span == 0 or len(found) >= 4


def test_more_runs_than_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MOST", 10)
    log = log_of(*((n, 0, n, n + 1 + n / 10, n % 3, COMPLETED) for n in range(30)))
    runs = timeline_of(log).runs
    assert {run.id for run in drawing.drawn(runs)} == set(range(20, 30))
    assert len(bars(svgs(render_timeline(log))[0])) == 10


# --- the page ---


class Strict(HTMLParser):
    """Every tag is closed, and nothing is fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        assert tag not in ("script", "link", "img", "iframe", "object")
        assert not {"src", "href", "onload", "onclick"} & {name for name, _ in attrs}
        if tag not in ("meta", "path", "rect", "line"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "rect", "line"):
            assert self.open.pop() == tag


def checked(page: str) -> Counter[str]:
    reader = Strict()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader.seen


def test_an_executor_writes_its_page(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool, TaskExecutor(pool) as executor:
        futures = [executor.submit(pow, 2, n) for n in range(30)]
        futures.append(executor.submit_with(retries=Retry(1, delay=0.0))(fail))
        executor.wait(futures)
        path = executor.timeline(tmp_path / "run.html")
        line = timeline_of(executor.history())
    page = path.read_text("utf-8")
    assert checked(page)["svg"] == 2
    assert "prefers-color-scheme:dark" in page
    assert {run.slot for run in line.runs} <= {0, 1}
    assert len(bars(svgs(page)[0])) == len(line.runs) == 32
    tones = Counter(tone for tone, *_ in bars(svgs(page)[0]))
    assert tones == {"completed": 30, "again": 1, "failed": 1}
    assert page.count("<title>pow, call ") == 30
    assert re.search(r"<title>fail, call \d+, [^,]* from [^,]* on, failed, tried again, ValueError</title>", page)
    assert re.search(r"<title>fail, call \d+, [^,]* from [^,]* on, failed, attempt 2, ValueError</title>", page)


def test_why_it_failed_stands_on_the_bar_whatever_it_says() -> None:
    def mark_up() -> None:
        raise ValueError("</title><script>alert(1)</script>" + "x" * 5_000)

    with TaskExecutor("sync") as executor:
        executor.submit(mark_up).exception()
        page = render_timeline(executor.history())
    checked(page)
    [title] = re.findall(r"<title>[^<]*mark_up[^<]*</title>", page)
    assert "failed, ValueError: &lt;/title&gt;&lt;script&gt;alert(1)" in title
    assert len(title) < 500


def test_what_became_of_the_tasks_is_told_apart_from_their_runs() -> None:
    with TaskExecutor("sync") as executor:
        executor.submit(int)
        executor.submit_with(retries=Retry(2, delay=0.0))(fail).exception()
        executor.pause()
        executor.submit(int).cancel()
        executor.submit(int)
        page = render_timeline(executor.history())
        executor.resume()
    assert "<dt>Tasks</dt><dd>4<small>1 completed, 1 failed, 1 cancelled, 1 waiting; tried again 2 times<" in page
    numbers = re.search(r'<td class="where">fail</td>.*?</tr>', page)
    assert numbers is not None
    assert re.findall(r'number">(\d+)<', numbers[0]) == ["3", "1", "2"]


def test_names_are_told_by_the_time_that_they_took() -> None:
    tasks = [(n, 0.0, float(n), n + 0.5 * (n % 25), n % 2, FAILED if n < 25 else COMPLETED) for n in range(50)]
    log = [move if not move.name else replace(move, name=f"call_{move.id % 25}") for move in log_of(*tasks)]
    page = render_timeline(log)
    rows = re.findall(
        r'<td class="where">(\w+)</td>.*?<td class="number">([^<]*)</td>(?:<td class="number">(\d+)</td>){2}', page
    )
    assert rows == [(f"call_{n}", duration(float(n)), "1") for n in range(24, 4, -1)]
    assert "5 more names took less" in page


def test_a_slot_runs_one_call_at_a_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool, TaskExecutor(pool) as executor:
        executor.wait([executor.submit(sum, range(1000)) for _ in range(200)])
        line = timeline_of(executor.history())
    assert {run.lane for run in line.runs} == {0}
    assert len(line.runs) == 200


def test_what_a_caller_runs_has_no_slot() -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool, TaskExecutor(pool, queue_capacity=1, on_full="caller_runs") as executor:
        futures = [executor.submit(go.wait, LIMIT)]
        while executor.get_stats().queued_tasks:
            pass
        futures += [executor.submit(int), executor.submit(fail)]
        line = timeline_of(executor.history())
        go.set()
        executor.wait(futures)
        after = timeline_of(executor.history())
    assert [(run.name, run.slot) for run in line.runs] == [("Event.wait", 0), ("fail", None)]
    assert [run.slot for run in after.runs] == [0, None, 0]
    assert "no slot" in render_timeline(executor.history())


def test_foreign_names_are_shown_and_not_obeyed() -> None:
    def work() -> None:
        pass

    work.__qualname__ = "<script>alert(1)</script>\x1b\u202e"
    with TaskExecutor("sync") as executor:
        executor.submit(work)
        page = render_timeline(executor.history(), title="<b>&")
    checked(page)
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_names_of_odd_functions() -> None:
    class Odd:
        def __getattr__(self, name: str) -> object:
            raise ValueError(name)

        def __call__(self) -> int:
            return 1

    class Number:
        __qualname__ = "Number"

        def __call__(self) -> int:
            return 2

        def __repr__(self) -> str:
            raise AssertionError("it may be long, and costs")

    with TaskExecutor("sync") as executor:
        assert executor.submit(Odd()).result() == 1
        assert executor.submit(functools.partial(functools.partial(int, "3"))).result() == 3
        assert executor.submit(functools.partial(Number())).result() == 2
        names = [one.name for one in executor.history() if one.before is None]
    assert names[0].endswith("Odd")
    assert names[1] == "int"
    assert names[2].endswith("Number")


def test_events_have_lanes_instead_of_slots(tmp_path: Path) -> None:
    async def run() -> Path:
        executor = Works(name="notes")
        for _ in range(12):
            await executor.append(Work(code=lambda: asyncio.sleep(0)))
        await executor.forward()
        return executor.timeline(tmp_path / "events.html")

    page = asyncio.run(run()).read_text("utf-8")
    checked(page)
    assert len(bars(svgs(page)[0])) == 12
    assert page.count("<title>Work, event ") == 12
    assert "<dt>Most that ran at once</dt><dd>12<small>events have no slots<" in page
    assert "How busy each slot was" not in page
    assert ">no slot<" not in page


def test_a_log_that_was_kept_can_be_drawn(tmp_path: Path) -> None:
    from pipe_core.tasks import read_history

    with TaskExecutor("sync", history=tmp_path / "log.db") as executor:
        for n in range(5):
            executor.submit(pow, n, 2)
    page = write_timeline(read_history(tmp_path / "log.db"), tmp_path / "run.html", title="nightly").read_text("utf-8")
    assert "<h1>nightly</h1>" in page
    assert len(bars(svgs(page)[0])) == 5
