"""The two drawings of a timeline, as SVG: a row for each slot, and a line for the queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipe_core.looks.charts import safe, ticks
from pipe_core.looks.wording import duration
from pipe_core.tasks.timeline import Run, Timeline

WIDTH: Final = 1_000.0
LEFT: Final = 84.0
"""Where the time begins; it ends at `WIDTH`, less `MARGIN`."""
MARGIN: Final = 26.0
TOP: Final = 22.0
ROW: Final = 18.0
BAR: Final = 14.0
QUEUE: Final = 120.0
"""How high the drawing of the queue is."""
THINNEST: Final = 0.6
"""How wide a bar is at least."""
MOST: Final = 5_000
"""Bars drawn, the longest ones."""
SLOTS: Final = 64
"""Up to so many slots there is a row also for one on which nothing ran."""

STYLE: Final = """
.wide+.wide{margin-top:1.1rem}
svg{display:block;width:100%;min-width:40rem;height:auto}
svg text{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}
svg .grid{stroke:var(--line);stroke-width:1}svg .lane{fill:var(--track)}
svg .completed{fill:var(--valid)}svg .processing{fill:var(--read)}svg .cancelled{fill:var(--dropped)}
svg .failed{fill:var(--failed);stroke:var(--ink);stroke-width:.8;stroke-dasharray:3 2}
svg .again{fill:var(--warn);stroke:var(--ink);stroke-width:.8}
svg .area{fill:var(--read);fill-opacity:.16}svg .queue{fill:none;stroke:var(--read);stroke-width:1.5}
.key.completed{background:var(--valid)}.key.processing{background:var(--read)}.key.cancelled{background:var(--dropped)}
.key.failed{outline:1px dashed var(--ink)}.key.again{background:var(--warn);outline:1px solid var(--ink)}
"""

_Row = tuple[int | None, int]


def rows_of(line: Timeline, slots: int) -> list[_Row]:
    """The rows of the drawing: slot and lane, what ran on none of the slots last."""
    rows = {(run.slot, run.lane) for run in line.runs}
    if slots <= SLOTS:
        rows |= {(slot, 0) for slot in range(slots)}
    return sorted(rows, key=lambda row: (row[0] is None, row[0] or 0, row[1]))


def draw_runs(line: Timeline, slots: int) -> str:
    """A bar for every run, in the row of its slot."""
    rows = rows_of(line, slots)
    height = TOP + ROW * len(rows) + 4
    places = {row: TOP + ROW * i for i, row in enumerate(rows)}
    bars = (_bar(line, run, places[run.slot, run.lane]) for run in drawn(line.runs))
    parts = [*_ticks(line, height), *_labels(rows, places), *bars]
    return _svg("What ran when, in rows", height, parts)


def drawn(runs: Sequence[Run]) -> Sequence[Run]:
    """Those of *runs* that have a bar."""
    return sorted(runs, key=lambda run: run.start - run.end)[:MOST] if len(runs) > MOST else runs


def draw_queue(line: Timeline) -> str:
    """How many waited, as steps."""
    most = max((count for _, count in line.queue), default=0)
    low = TOP + QUEUE - 20
    scale = (low - TOP) / max(most, 1)
    path = "".join(_steps(line, low, scale))
    area = f'<path class="area" d="{path}V{low:g}H{LEFT:g}Z"/>'
    words = "".join(
        f'<text x="{LEFT - 8:g}" y="{low - scale * count + 4:.2f}" text-anchor="end">{count:,}</text>'
        for count in {0, most}
    )
    parts = [*_ticks(line, low), words, area, f'<path class="queue" d="{path}"/>']
    return _svg(f"How many waited, at most {most:,}", TOP + QUEUE, parts)


def _steps(line: Timeline, low: float, scale: float) -> Iterator[str]:
    """Places of the line. Where several fall together, the highest and the last one of them are enough."""
    x, seen = "", [0]
    for at, count in line.queue:
        here = f"{place(line, at):.2f}"
        if here != x:
            yield from _column(x, seen, low, scale)
            x, seen = here, []
        seen.append(count)
    yield from _column(x, seen, low, scale)
    yield f"H{place(line, line.end):.2f}"


def _column(x: str, counts: list[int], low: float, scale: float) -> Iterator[str]:
    if x:
        first = f"{LEFT:.2f}" == x
        yield f"M{x} {low - scale * counts[0]:.2f}" if first else f"H{x}"
        for count in dict.fromkeys((max(counts), counts[-1])):
            yield f"V{low - scale * count:.2f}"


def place(line: Timeline, at: float) -> float:
    """Where a time stands, from left to right."""
    share = (at - line.start) / line.span if line.span > 0 else 0.0
    return LEFT + (WIDTH - MARGIN - LEFT) * min(1.0, max(0.0, share))


def tone(run: Run) -> str:
    """How a run is drawn: as it ended, and as ``again`` where it failed and was tried again."""
    return "again" if run.again else run.status.value


def _bar(line: Timeline, run: Run, y: float) -> str:
    start, end = place(line, run.start), place(line, run.end)
    start = min(start, WIDTH - MARGIN - THINNEST)
    return (
        f'<rect class="{tone(run)}" x="{start:.2f}" y="{y + 2:g}" width="{max(end - start, THINNEST):.2f}" '
        f'height="{BAR:g}"><title>{", ".join(_words(line, run))}</title></rect>'
    )


def _words(line: Timeline, run: Run) -> Iterator[str]:
    """What is said of a run when the pointer rests on it."""
    if run.name:
        yield safe(run.name, 120)
    yield safe(f"call {run.id}" if isinstance(run.id, int) else f"event {run.id}", 120)
    yield f"{duration(run.end - run.start)} from {duration(run.start - line.start)} on"
    yield f"{run.status.value}, tried again" if run.again else run.status.value
    if run.attempt > 1:
        yield f"attempt {run.attempt}"
    if run.reason:
        yield safe(run.reason, 120)


def _labels(rows: Sequence[_Row], places: dict[_Row, float]) -> Iterator[str]:
    only_events = all(slot is None for slot, _ in rows)
    for slot, lane in rows:
        y = places[slot, lane]
        words = "" if only_events else "no slot" if slot is None else f"slot {slot}"
        yield f'<rect class="lane" x="{LEFT:g}" y="{y + 2:g}" width="{WIDTH - MARGIN - LEFT:g}" height="{BAR:g}"/>'
        if words and not lane:
            yield f'<text x="{LEFT - 8:g}" y="{y + 13:g}" text-anchor="end">{words}</text>'


def _ticks(line: Timeline, height: float) -> Iterator[str]:
    for after in ticks(line.span):
        x = place(line, line.start + after)
        yield f'<line class="grid" x1="{x:.2f}" x2="{x:.2f}" y1="{TOP - 4:g}" y2="{height:g}"/>'
        yield f'<text x="{x:.2f}" y="12" text-anchor="middle">{duration(after)}</text>'


def _svg(label: str, height: float, parts: Iterable[str]) -> str:
    return (
        f'<div class="wide"><svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg></div>"
    )
