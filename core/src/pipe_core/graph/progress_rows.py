"""How far a run is, for people: a row for each pipeline and map, in one line or in a table with bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipe_core.looks.wording import duration, number, one_line, percent, rate, several

if TYPE_CHECKING:
    from pipe_core.graph.progress_counts import Count, Counts, Place

MOST: Final = 12
"""Rows, at most."""
_NAME: Final = 30
_BAR: Final = (8, 24)
"""Characters of a name, and of a bar: the least and the most."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the view.

    Attributes:
        depth: How far it is indented.
        name: Of the pipeline or the node.
        count: How many have ended.
        pace: How fast that goes, or what runs now.
        failed: How many of them have failed.
        cached: How many did not have to run.
        time: How long it has taken, or still takes.
        share: How full the bar is, from 0 to 1; None where nobody knows.
        has_bar: Whether it is about a pipeline or a map, and not about a node.
    """

    depth: int
    name: str
    count: str
    pace: str = ""
    failed: str = ""
    cached: str = ""
    time: str = ""
    share: float | None = None
    has_bar: bool = False

    def line(self) -> str:
        """All of it on one line."""
        facts = (self.count, self.pace, self.failed, self.cached, self.time)
        return f"{self.name}: {', '.join(fact for fact in facts if fact)}"


def rows_of(counts: Counts, now: float) -> list[Row]:
    """What there is to see of a run."""
    return list(_rows(counts.root, now, 0))


def _rows(place: Place, now: float, depth: int) -> Iterator[Row]:
    if place.maps and place.items is not None:
        yield _map_row(place, place.items, now, depth)
        yield from _node_rows(place, now, depth + 1)
    elif place.runs:
        yield _run_row(place, now, depth)
        for inner in list(place.inside.values()):
            yield from _rows(inner, now, depth + 1)


def _map_row(place: Place, items: Count, now: float, depth: int) -> Row:
    done, total, pace = items.done, place.total, items.rate(now)
    share = time = None
    if total:
        share = min(1.0, done / total)
        time = f"about {_whole(max(0, total - done) / pace)} left" if pace else None
    return Row(
        depth,
        _short(place.name),
        several(done, "item") if total is None else f"{number(done)} of {several(total, 'item')}",
        rate(pace) if done else "",
        f"{number(items.failed)} failed" if items.failed else "",
        f"{percent(items.cached, done)} cached" if items.cached else "",
        time or _whole(now - place.began),
        share,
        has_bar=True,
    )


def _node_rows(place: Place, now: float, depth: int) -> Iterator[Row]:
    for name, count in list(place.nodes.items()):
        done = count.done
        yield Row(
            depth,
            _short(name),
            number(done),
            rate(count.rate(now)) if done else "",
            f"{number(count.failed)} failed" if count.failed else "",
            f"{percent(count.cached, done)} cached" if count.cached else "",
        )
        if name in place.inside:
            yield from _node_rows(place.inside[name], now, depth + 1)


def _run_row(place: Place, now: float, depth: int) -> Row:
    last = place.last
    running, steps = list(last.running), last.steps * max(1, last.open)
    failed = len(last.errors)
    more = f" and {len(running) - 1} more" if len(running) > 1 else ""
    return Row(
        depth,
        _short(place.name),
        f"{number(last.done)} of {several(steps, 'node')}",
        f"now {_short(running[0])}{more}" if running else "",
        f"{number(failed)} failed" if failed else "",
        f"{percent(last.cached, last.done)} cached" if last.cached else "",
        _whole(now - place.began),
        min(1.0, last.done / steps) if steps else None,
        has_bar=True,
    )


def _whole(seconds: float) -> str:
    """A time that does not flicker."""
    return duration(max(1, round(seconds)))


def _short(name: str) -> str:
    shown = one_line(name, 1000)
    return shown if len(shown) <= _NAME else f"{shown[: _NAME - 1]}…"


# --- the end ---


def ending(counts: Counts, now: float) -> str:
    """How a run has ended: ``texts completed: 1,000 items in 2.1 s (476/s), 10 failed; ...``."""
    place, items = counts.root, counts.root.items
    seconds = now - place.began
    if items is not None:
        what = several(items.done, "item")
        if place.total is not None and place.total != items.done:
            what = f"{number(items.done)} of {several(place.total, 'item')}"
        facts = [items.failed and f"{number(items.failed)} failed"]
        facts += [items.cached and f"{percent(items.cached, items.done)} cached"]
        speed = f" ({rate(items.done / seconds)})" if items.done and seconds > 0 else ""
    else:
        last = place.last
        is_all = last.done >= last.steps
        what = several(last.done, "node") if is_all else f"{number(last.done)} of {several(last.steps, 'node')}"
        facts = [last.cached and f"{percent(last.cached, last.done)} cached"]
        speed = ""
    text = f"{_short(place.name)} {status(counts)}: {what} in {duration(seconds)}{speed}"
    text += "".join(f", {fact}" for fact in facts if fact)
    return text if counts.failure is None else f"{text}; {_reason(counts)}"


def status(counts: Counts) -> str:
    """``completed``, ``failed``, ``stopped``, or ``ended``, which is a map that got to its end with failed items."""
    place, items = counts.root, counts.root.items
    if items is None:
        is_complete, has_failed = place.how in ("good", "cached"), False
    else:
        is_complete = not items.lost and place.total in (None, items.done)
        has_failed = items.failed > 0
    if is_complete:
        return "ended" if has_failed else "completed"
    return "stopped" if counts.failure is None else "failed"


def _reason(counts: Counts) -> str:
    failure = counts.failure
    assert failure is not None
    items = counts.root.items
    first = "first " if items is not None and items.failed > 1 else ""
    where = [] if failure.node is None else [f"node '{_short(failure.node)}'"]
    where += [f"item {', '.join(map(str, failure.item))}"] if failure.item else []
    message = one_line(failure.error)
    text = f"{type(failure.error).__name__}{': ' if message else ''}{message}"
    return f"{text} ({first}in {' of '.join(where)})" if where else text


# --- the table ---


def fitting(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """At most `MOST` rows, the outer ones first, and how many of the others have to be told."""
    if len(rows) <= MOST:
        return list(rows), 0
    depth = max(depth for depth in range(-1, 1 + max(row.depth for row in rows)) if _up_to(rows, depth) < MOST)
    room = MOST - 1 - _up_to(rows, depth)
    shown: list[Row] = []
    for row in rows:
        if row.depth == depth + 1:
            room -= 1
        if row.depth <= depth or (row.depth == depth + 1 and room >= 0):
            shown.append(row)
    return shown, len(rows) - len(shown)


def _up_to(rows: Iterable[Row], depth: int) -> int:
    return sum(row.depth <= depth for row in rows)


def table_of(rows: Sequence[Row], width: int) -> Group:
    """A table of at most `MOST` lines, that is *width* characters wide at most."""
    shown, left = fitting(rows)
    names = [f"{'  ' * row.depth}{row.name}" for row in shown]
    columns = [[getattr(row, name) for row in shown] for name in ("count", "pace", "failed", "cached", "time")]
    columns = [column for column in columns if any(column)]
    longest = max(map(cell_len, names), default=0)
    others = sum(2 + max(map(cell_len, column)) for column in columns)
    bar = min(_BAR[1], width - longest - others - 2)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, max_width=max(8, min(longest, width - others)), overflow="ellipsis")
    if bar >= _BAR[0]:
        table.add_column(width=bar)
    for _ in columns:
        table.add_column(no_wrap=True, overflow="ellipsis")
    for index, row in enumerate(shown):
        cells = [Text(column[index], style=_style(column[index])) for column in columns]
        bars = [_bar(row, bar)] if bar >= _BAR[0] else []
        table.add_row(Text(names[index]), *bars, *cells)
    return Group(table, *([Text(f"and {number(left)} more", style="dim")] if left else []))


def _bar(row: Row, width: int) -> ProgressBar | str:
    if not row.has_bar or row.share is None:
        return ""
    return ProgressBar(total=1.0, completed=row.share, width=width)


def _style(text: str) -> str:
    return "red" if text.endswith(" failed") else ""
