"""A timeline as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pipe_core.looks.charts import bar, safe, section, table
from pipe_core.looks.frame import page
from pipe_core.looks.wording import duration, number, percent, several
from pipe_core.runtime.history import Transition
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks.timeline import Run, Timeline, busy, timeline_of
from pipe_core.tasks.timeline_drawing import MOST, STYLE, draw_queue, draw_runs, tone

NAMES: Final = 20
"""Names shown, those that took longest."""

_KEYS: Final = {
    "completed": ("Completed", "gave a value"),
    "again": ("Tried again", "raised or took too long, and another attempt followed"),
    "failed": ("Failed", "raised or took too long, for good"),
    "cancelled": ("Cancelled", "was cancelled"),
    "processing": ("Running", "still ran when this was written"),
}
_FINAL: Final = [status for status in TaskStatus if status.final]
_AT_THE_END: Final = {TaskStatus.PROCESSING: "running", TaskStatus.PENDING: "waiting"}


def write_timeline(
    transitions: Iterable[Transition], path: str | os.PathLike[str], *, title: str = "tasks", slots: int = 0
) -> Path:
    """Write the page of a log to *path*, and return that.

    Args:
        transitions: The log: of an executor's `history()`, or of `read_history`.
        path: Where to.
        title: What ran.
        slots: How many slots there are, so that those on which nothing ran are shown as well.
    """
    path = Path(path)
    path.write_text(render_timeline(transitions, title=title, slots=slots), "utf-8", errors="backslashreplace")
    return path


def render_timeline(transitions: Iterable[Transition], *, title: str = "tasks", slots: int = 0) -> str:
    """The page as text. See `write_timeline`."""
    line = timeline_of(transitions)
    if not line.tasks:
        parts = [_top(line, title), section("What ran when", "<p>The log has no transitions.</p>")]
    else:
        parts = [
            _top(line, title),
            _tiles(line, slots),
            _runs(line, slots),
            _queue(line),
            *([_slots(line, slots)] if _has_slots(line, slots) else []),
            _names(line),
        ]
    return page(f"{safe(title, 80)}: timeline", "\n".join(parts), style=STYLE)


def _top(line: Timeline, title: str) -> str:
    over = "Timeline of tasks"
    if line.tasks:
        began = datetime.fromtimestamp(line.start, UTC)
        over += f', from <time datetime="{began.isoformat()}">{began:%Y-%m-%d %H:%M:%S} UTC</time>'
    return f'<header><p class="over">{over}</p><div class="title"><h1>{safe(title, 120)}</h1></div></header>'


def _tiles(line: Timeline, slots: int) -> str:
    most = max(count for _, count in line.queue)
    tiles = (
        ("Duration", duration(line.span), "from the first to the last transition"),
        ("Tasks", number(line.tasks.total()), _fates(line)),
        ("Most that waited", number(most), f"{number(line.queue[-1][1])} at the end"),
        _load(line, slots),
    )
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>" for name, value, more in tiles)
    return f'<dl class="tiles">{cells}</dl>'


def _fates(line: Timeline) -> str:
    """What became of the tasks, in words."""
    counts = [(_AT_THE_END.get(status, status.value), line.tasks[status]) for status in (*_FINAL, *_AT_THE_END)]
    fates = ", ".join(f"{number(count)} {word}" for word, count in counts if count)
    again = sum(run.again for run in line.runs)
    return f"{fates}; tried again {several(again, 'time')}" if again else fates


def _load(line: Timeline, slots: int) -> tuple[str, str, str]:
    """How much was done at once, as a tile."""
    if not _has_slots(line, slots):
        lanes = max((run.lane + 1 for run in line.runs), default=0)
        return "Most that ran at once", number(lanes), "events have no slots"
    places = max(slots, len({run.slot for run in line.runs if run.slot is not None}))
    spent = sum(busy(runs) for slot, runs in _by_slot(line.runs).items() if slot is not None)
    share = percent(spent, places * line.span) if line.span else "none"
    return "Slots busy", share, f"of {several(places, 'slot')}"


def _has_slots(line: Timeline, slots: int) -> bool:
    return slots > 0 or any(run.slot is not None for run in line.runs)


def _runs(line: Timeline, slots: int) -> str:
    left_out = len(line.runs) - MOST
    words = f"The {number(MOST)} longest runs; {number(left_out)} shorter ones are left out. " if left_out > 0 else ""
    note = f'<p class="over">{words}Rest the pointer on a bar to see what it is.</p>'
    return section("What ran when", note, draw_runs(line, slots), _legend(line))


def _legend(line: Timeline) -> str:
    counts = Counter(map(tone, line.runs))
    rows = [
        (f'<span class="key {key}" aria-hidden="true"></span>{name}', meaning, number(counts[key]))
        for key, (name, meaning) in _KEYS.items()
        if counts[key]
    ]
    return table("What the colours mean.", (("Colour and name", "name"), ("The run", ""), ("Runs", "number")), rows)


def _queue(line: Timeline) -> str:
    note = '<p class="over">Waiting for a slot, a permit or another attempt.</p>'
    return section("How many waited", note, draw_queue(line))


def _slots(line: Timeline, slots: int) -> str:
    idle: dict[int | None, list[Run]] = {slot: [] for slot in range(slots)}
    rows = list(_slot_rows({**idle, **_by_slot(line.runs)}, line.span))
    heads = (("Where", "name"), ("", "draw"), ("Busy", "number"), ("Share", "number"), ("Runs", "number"))
    return section("How busy each slot was", table("Time in which at least one call ran there.", heads, rows))


def _slot_rows(groups: dict[int | None, list[Run]], span: float) -> Iterator[tuple[str, ...]]:
    for slot in sorted(groups, key=lambda slot: (slot is None, slot or 0)):
        runs, spent = groups[slot], busy(groups[slot])
        name = "no slot" if slot is None else f"slot {slot}"
        yield name, bar(spent, span, "valid"), duration(spent), percent(spent, span), number(len(runs))


def _names(line: Timeline) -> str:
    groups: dict[str, list[Run]] = {}
    for run in line.runs:
        groups.setdefault(run.name, []).append(run)
    spent = {name: sum(run.end - run.start for run in runs) for name, runs in groups.items()}
    longest = sorted(groups, key=lambda name: -spent[name])[:NAMES]
    rows = [
        (
            safe(name or "not known", 120),
            bar(spent[name], spent[longest[0]], "valid"),
            duration(spent[name]),
            number(len(groups[name])),
            number(sum(tone(run) == "failed" for run in groups[name])),
            number(sum(run.again for run in groups[name])),
        )
        for name in longest
    ]
    numbers = ((head, "number") for head in ("Time", "Runs", "Failed", "Tried again"))
    heads = (("Name", "where"), ("", "draw"), *numbers)
    more = f" {several(len(groups) - NAMES, 'more name')} took less." if len(groups) > NAMES else ""
    return section("What took the time", table(f"Time added up over all runs, the longest first.{more}", heads, rows))


def _by_slot(runs: Iterable[Run]) -> dict[int | None, list[Run]]:
    groups: dict[int | None, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.slot, []).append(run)
    return groups
