"""A run over time: a bar for each call, in rows of nodes or of workers."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple, get_args

from pipe_core.graph.errors import GraphError
from pipe_core.graph.pictures.errors import PictureError
from pipe_core.graph.pictures.faces import SMALL, Span, fitting
from pipe_core.graph.pictures.layout import Rect
from pipe_core.graph.pictures.measure import width_of
from pipe_core.graph.pictures.picture import Drawing
from pipe_core.graph.pictures.styles import Paint, Style, mixed, readable, style_called
from pipe_core.graph.pictures.svg import escaped, shape, whole, words
from pipe_core.looks.charts import ticks
from pipe_core.looks.wording import duration, several

By = Literal["name", "where"]

CHART: Final = 900.0
"""How wide the time is, in pixels."""
MARGIN: Final = 20.0
TOP: Final = 44.0
"""Above the bars, where the times are."""
GROUP: Final = 10.0
"""Between two rows of nodes or workers."""
LANES: Final = 640.0
"""How high all bars may be, before they get thinner."""
THINNEST: Final = 1.0
"""How wide a bar is at least."""
MOST: Final = 5_000
"""Bars that are drawn, the longest ones."""
KEYS: Final = 12
"""Colours that are explained."""


class Timing(NamedTuple):
    """A call of a run.

    Attributes:
        name: Of the node.
        item: The item of a map, or its place in several maps; None outside of maps.
        start: When it began, in seconds of any clock.
        end: When it ended, by the same clock.
        where: The worker; empty where there is one only.
    """

    name: str
    item: object
    start: float
    end: float
    where: str = ""


@dataclass(slots=True)
class _Row:
    """The calls of one node or one worker.

    Attributes:
        title: Its name.
        lanes: How many calls there were at once.
        bars: Each call with its lane.
    """

    title: str
    lanes: int
    bars: list[tuple[Timing, int]]


class Gantt(Drawing):
    """A run over time. See `gantt`."""

    def __init__(self, timings: Sequence[Timing], *, by: By, title: str, style: str) -> None:
        self.timings = timings
        self.by = by
        self.title = title
        self._style = style_called(style)

    @cached_property
    def svg(self) -> str:
        """It as SVG."""
        return _Painter(self.timings, self.by, self._style).svg(self.title)

    def __repr__(self) -> str:
        return f"<timings of '{self.title}': {several(len(self.timings), 'call')}>"


def gantt(
    timings: Iterable[tuple[str, object, float, float, str]],
    *,
    by: By = "name",
    title: str = "run",
    style: str = "default",
) -> Gantt:
    """Draw what ran when.

    Args:
        timings: Calls as ``(name, item, start, end, where)``, in any order; see `Timing`.
        by: Whether there is a row for each node, coloured by worker, or for each worker (``"where"``), coloured by
            node.
        title: What ran.
        style: As of a picture.

    Raises:
        PictureError: A call ends before it starts, or has no time that is a number.
    """
    if by not in get_args(By):
        raise GraphError(f"Rows of timings are by 'name' or by 'where', not by {by!r}.")
    calls = [Timing(*timing) for timing in timings]
    for call in calls:
        if not (math.isfinite(call.start) and math.isfinite(call.end) and call.start <= call.end):
            raise PictureError(
                f"A call of '{call.name}' is said to run from {call.start} to {call.end}. Give seconds of one clock, "
                f"the end not before the start."
            )
    return Gantt(calls, by=by, title=title, style=style)


class _Painter:
    """Draws calls."""

    def __init__(self, timings: Sequence[Timing], by: By, style: Style) -> None:
        self._by = by
        self._style = style
        self._start = min((call.start for call in timings), default=0.0)
        self._end = max((call.end for call in timings), default=0.0)
        self._calls = sorted(timings, key=lambda call: (call.start, call.end, call.name, str(call.item), call.where))
        self._drawn = sorted(self._calls, key=lambda call: call.start - call.end)[:MOST]
        self._rows = _rows(sorted(self._drawn, key=lambda call: (call.start, call.end)), by)
        lanes = sum(row.lanes for row in self._rows)
        self._lane = min(22.0, max(3.0, LANES / max(lanes, 1)))
        self._names = [Span(fitting(row.title, SMALL), size=SMALL) for row in self._rows]
        self._left = MARGIN + max((name.width for name in self._names), default=0.0) + 14
        colours = list(dict.fromkeys(_other(call, by) for call in self._calls))
        self._colours = {name: style.series[i % len(style.series)] for i, name in enumerate(colours)}

    def svg(self, title: str) -> str:
        """The whole drawing."""
        height = TOP + sum(self._height(row) + GROUP for row in self._rows)
        parts = [*self._grid(height), *self._bars(), *self._notes(height)]
        if len(self._colours) > 1:
            height += 26 * (self._key_places()[-1][1] + 1) + 8
        if not self._rows or len(self._drawn) < len(self._calls):
            height += 24
        return whole(
            f"Timings of {title}", self._left + CHART + MARGIN + 24, height + MARGIN - GROUP, parts, self._style
        )

    def _height(self, row: _Row) -> float:
        return max(self._lane * row.lanes, 15.0)

    def _x(self, at: float) -> float:
        span = self._end - self._start
        return self._left + (CHART * (at - self._start) / span if span > 0 else 0.0)

    def _grid(self, height: float) -> Iterator[str]:
        line = mixed(self._style.edge, self._style.paper or "#ffffff", 0.35)
        for after in ticks(self._end - self._start) if self._rows else ():
            x = self._x(self._start + after)
            yield (
                f'<path class="grid" d="M{x:.2f} {TOP - 12:g}V{height - GROUP + 4:g}" stroke="{line}" '
                f'stroke-width="1"/>{words((Span(duration(after), "soft", 11),), round(x, 2), TOP - 18, self._style)}'
            )

    def _bars(self) -> Iterator[str]:
        top = TOP
        for row, name in zip(self._rows, self._names, strict=True):
            high = self._height(row)
            yield (
                f'<g class="row"><title>{escaped(row.title)}</title>'
                f"{words((name,), self._left - 12, top + high / 2 + 4, self._style, anchor='end')}</g>"
            )
            shift = (high - self._lane * row.lanes) / 2
            for call, lane in row.bars:
                yield self._bar(call, top + shift + self._lane * lane)
            top += high + GROUP

    def _bar(self, call: Timing, y: float) -> str:
        start, end = self._x(call.start), self._x(call.end)
        gap = 2.0 if self._lane > 8 else 0.5
        rect = Rect(round(start, 2), y + gap / 2, round(max(end - start, THINNEST), 2), self._lane - gap)
        colour = self._colours[_other(call, self._by)]
        where = f" on {call.where}" if call.where else ""
        about = (
            f"{_called(call)}{where}: {duration(call.end - call.start)}, from {duration(call.start - self._start)} on"
        )
        radius = min(4.0, rect.height / 2, rect.width / 2)
        return (
            f'<g class="bar"><title>{escaped(about)}</title>{shape(rect, Paint(colour, colour), radius, thick=0)}'
            f"{self._label(call, rect)}</g>"
        )

    def _label(self, call: Timing, rect: Rect) -> str:
        """What is written on a bar, if there is room: its item, and its node where the row is a worker's."""
        text = _called(call) if self._by == "where" else "" if call.item is None else _item(call.item)
        text = fitting(text, 11)
        if not text or rect.height < 14 or width_of(text, 11) + 8 > rect.width:
            return ""
        ink = readable(self._colours[_other(call, self._by)], "#000000", "#ffffff")
        x, y = rect.x + rect.width / 2, rect.y + rect.height / 2 + 4
        return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="middle" fill="{ink}" font-size="11">{escaped(text)}</text>'

    def _key_places(self) -> list[tuple[float, int]]:
        places: list[tuple[float, int]] = []
        x, row = self._left, 0
        for name in self._keys():
            width = 24 + width_of(name, SMALL) + 24
            if x > self._left and x + width > self._left + CHART:
                x, row = self._left, row + 1
            places.append((x, row))
            x += width
        return places

    def _keys(self) -> list[str]:
        names = [fitting(name or "elsewhere", SMALL) for name in self._colours]
        return names if len(names) <= KEYS else [*names[: KEYS - 1], f"… and {len(names) - KEYS + 1} more"]

    def _notes(self, height: float) -> Iterator[str]:
        """What colours mean, and what is not drawn."""
        top = height - GROUP + 18
        if len(self._colours) > 1:
            for (x, row), name, colour in zip(self._key_places(), self._keys(), self._colours.values(), strict=False):
                rect = Rect(x, top + 26 * row, 14, 14)
                mark = "" if name.startswith("… and ") else shape(rect, Paint(colour, colour), 3, thick=0)
                said = words((Span(name, "soft"),), x + 22, rect.y + 11.5, self._style, anchor="start")
                yield f'<g class="key">{mark}{said}</g>'
            top += 26 * (self._key_places()[-1][1] + 1)
        if not self._rows:
            yield words((Span("Nothing has run.", "soft"),), self._left, top, self._style, anchor="start")
        elif len(self._drawn) < len(self._calls):
            text = f"The longest {MOST:,} of {len(self._calls):,} calls are drawn."
            yield words((Span(text, "soft"),), self._left, top + 12, self._style, anchor="start")


def _rows(calls: Sequence[Timing], by: By) -> list[_Row]:
    """Rows in the order of their first calls; each call in the lane that has been free for longest."""
    found: dict[str, _Row] = {}
    free: dict[str, list[tuple[float, int]]] = {}
    for call in calls:
        title = call.name if by == "name" else call.where
        row = found.setdefault(title, _Row(title or "elsewhere", 0, []))
        lanes = free.setdefault(title, [])
        if lanes and lanes[0][0] <= call.start:
            lane = heapq.heappop(lanes)[1]
        else:
            lane, row.lanes = row.lanes, row.lanes + 1
        heapq.heappush(lanes, (call.end, lane))
        row.bars.append((call, lane))
    return list(found.values())


def _other(call: Timing, by: By) -> str:
    """What gives a bar its colour."""
    return call.where if by == "name" else call.name


def _called(call: Timing) -> str:
    return call.name if call.item is None else f"{call.name} [{_item(call.item)}]"


def _item(item: object) -> str:
    return ", ".join(map(str, item)) if isinstance(item, tuple) else str(item)
