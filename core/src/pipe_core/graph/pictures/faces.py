"""What is written in a box, and how large the box is for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pipe_core.graph.pictures.measure import shortened, width_of
from pipe_core.graph.pictures.model import Box, Frame, Value
from pipe_core.looks.wording import one_line, several

Tone = Literal["ink", "soft", "bound"]

TITLE: Final = 14.0
"""Size of a node's name."""
SMALL: Final = 12.0
"""Size of all other text."""
ROW: Final = 17.0
"""From one line to the next."""
WIDEST: Final = 230.0
"""How wide a name may be, before it is shortened."""
SHOWN: Final = 8
"""Values that are listed in one box; of more, the first ones."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some text of one look."""

    text: str
    tone: Tone = "ink"
    size: float = SMALL
    bold: bool = False

    @property
    def width(self) -> float:
        """How wide it is."""
        return width_of(self.text, self.size, bold=self.bold)


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Face:
    """The lines of a box, and its size.

    Attributes:
        lines: Below each other.
        width: In pixels.
        height: In pixels.
    """

    lines: tuple[Line, ...]
    width: float
    height: float


def face_of(box: Box, *, show_types: bool) -> Face:
    """What *box* looks like."""
    if box.kind == "input":
        lines = tuple(_limited([_input(value, show_types) for value in box.values]))
        return Face(lines, _widest(lines) + 26, ROW * len(lines) + (11 if len(lines) == 1 else 14))
    title = (Span(fitting(box.title, TITLE, bold=True), size=TITLE, bold=True),)
    lines = (title, *_limited(list(_below(box, show_types))))
    return Face(lines, max(_widest(lines) + 32, 84), 24 + ROW * len(lines))


def heading(frame: Frame) -> Line:
    """What is written at the top of *frame*."""
    title = Span(fitting(frame.title, SMALL, bold=True), bold=True)
    return (title, Span(fitting(f"\u00a0 over {frame.over}", SMALL), "soft")) if frame.over else (title,)


def fitting(text: str, size: float, *, bold: bool = False) -> str:
    """Foreign text on one line, and not too long."""
    room = text[: len(text) - len(text.lstrip())]  # is ours
    return room + shortened(one_line(text), WIDEST, size, bold=bold)


def width_of_line(line: Line) -> float:
    """How wide *line* is."""
    return sum(span.width for span in line)


def _widest(lines: tuple[Line, ...]) -> float:
    return max(map(width_of_line, lines))


def _limited(lines: list[Line]) -> list[Line]:
    if len(lines) <= SHOWN:
        return lines
    return [*lines[: SHOWN - 1], (Span(f"… and {len(lines) - SHOWN + 1} more", "soft"),)]


def _input(value: Value, show_types: bool) -> Line:
    spans = [Span("●\u00a0", "bound", 13.0)] if value.state == "bound" else []
    spans.append(Span(fitting(value.name, SMALL)))
    rest = (f": {value.type}" if value.type and show_types else "") + (f" = {value.default}" if value.default else "")
    return (*spans, Span(fitting(rest, SMALL), "soft")) if rest else tuple(spans)


def _below(box: Box, show_types: bool) -> Iterator[Line]:
    """What stands below the name: types, names of outputs that differ from it, what a nested pipeline holds."""
    if box.kind == "pipeline":
        yield (Span(several(box.holds, "node"), "soft"),)
    if box.over:
        yield (Span(fitting(f"over {box.over}", SMALL), "soft"),)
    for value in box.values:
        name = "" if value.name == box.title and len(box.values) == 1 else value.name
        words = value.type if show_types else ""
        if name or words:
            yield (Span(fitting("→ " + ": ".join(filter(None, (name, words))), SMALL), "soft"),)
