"""Where everything stands: frame by frame from the innermost, each a box of the one around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipe_core.graph.pictures.faces import Face, Line, heading, width_of_line
from pipe_core.graph.pictures.model import Arrow, Frame, Scene
from pipe_core.graph.pictures.sheets import STACK, Orient, Planner, Point, Sheet, Token

MARGIN: Final = 20.0


@dataclass(frozen=True, slots=True)
class Rect:
    """A place in the picture, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class PlacedFrame:
    """A frame of the picture.

    Attributes:
        frame: Which one.
        rect: Where its border is.
        title: What is written in its border.
        title_at: Where.
    """

    frame: Frame
    rect: Rect
    title: Line
    title_at: Rect


@dataclass(slots=True)
class Layout:
    """A picture, measured.

    Attributes:
        orient: Which way the arrows go.
        width: Of all, in pixels.
        height: Of all, in pixels.
        boxes: Where each box is, by its key.
        frames: Those that are drawn, outer ones first.
        routes: The points along each arrow. From each to the next goes a curve that begins and ends in the direction
            of the picture.
    """

    orient: Orient
    width: float = 0.0
    height: float = 0.0
    boxes: dict[str, Rect] = field(default_factory=dict)
    frames: list[PlacedFrame] = field(default_factory=list)
    routes: list[tuple[Arrow, list[Point]]] = field(default_factory=list)


def lay_out(scene: Scene, faces: Mapping[str, Face], orient: Orient) -> Layout:
    """Where everything in *scene* stands, with boxes as large as their *faces*."""
    paths = _paths(scene.root)
    sheet = Planner(scene, faces, orient, paths).sheet(scene.root)
    layout = Layout(orient)
    cross, main = sheet.cross + 2 * MARGIN, sheet.main + 2 * MARGIN
    layout.width, layout.height = (cross, main) if orient == "TB" else (main, cross)
    _compose(layout, sheet, (MARGIN, MARGIN), faces)
    for arrow in scene.arrows:
        layout.routes.append((arrow, [_turned(point, orient) for point in _route(sheet, arrow, paths)]))
    return layout


def _paths(root: Frame) -> dict[str, tuple[str, ...]]:
    """For each box the keys of its frame's outer frames, its frame, and its own."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[Frame, tuple[str, ...]]] = [(root, ())]
    while waiting:
        frame, path = waiting.pop()
        for child in frame.children:
            found[child.key] = (*path, child.key)
            if isinstance(child, Frame):
                waiting.append((child, (*path, child.key)))
    return found


def _route(root: Sheet, arrow: Arrow, paths: Mapping[str, tuple[str, ...]]) -> list[Point]:
    """The points along an arrow, through all frames that it leaves and enters."""
    one, other = paths[arrow.source], paths[arrow.target]
    shared = 0
    while one[shared] == other[shared]:
        shared += 1
    points: list[Point] = []
    for depth in range(len(one) - 1, shared, -1):
        points += _piece(root, one[:depth], (("at", one[depth]), ("out", arrow.source), arrow.source))
    points += _piece(root, one[:shared], (("at", one[shared]), ("at", other[shared]), arrow.source))
    for depth in range(shared + 1, len(other)):
        points += _piece(root, other[:depth], (("in", arrow.source), ("at", other[depth]), arrow.source))
    return list(dict.fromkeys(points))


def _piece(root: Sheet, path: Sequence[str], ends: tuple[Token, Token, str]) -> list[Point]:
    """The points of a line inside of one frame."""
    sheet, cross, main = root, MARGIN, MARGIN
    for key in path:
        spot = sheet.spots[key]
        sheet, cross, main = sheet.inner[key], cross + spot[0], main + spot[1]
    return [(round(cross + one, 2), round(main + other, 2)) for one, other in sheet.routes[ends]]


def _compose(layout: Layout, sheet: Sheet, origin: Point, faces: Mapping[str, Face]) -> None:
    """Put the contents of *sheet*, which begins at *origin*, into the picture."""
    for key, spot in sheet.spots.items():
        start = (origin[0] + spot[0], origin[1] + spot[1])
        x, y = _turned(start, layout.orient)
        inner = sheet.inner.get(key)
        if inner is None:
            face = faces[key]
            layout.boxes[key] = Rect(round(x, 2), round(y, 2), face.width, face.height)
            continue
        sheets = 2 * STACK if inner.frame.over else 0.0
        width, height = _turned((inner.cross, inner.main), layout.orient)
        rect = Rect(round(x, 2), round(y, 2), round(width - sheets, 2), round(height - sheets, 2))
        layout.frames.append(_framed(inner, rect, x, layout.orient))
        _compose(layout, inner, start, faces)


def _framed(sheet: Sheet, rect: Rect, x: float, orient: Orient) -> PlacedFrame:
    """A frame, with its title where no line comes in, if there is such a place."""
    line = heading(sheet.frame)
    width = width_of_line(line) + 16
    lines = [x + way for (side, _), way in sheet.ways.items() if side == "in" and orient == "TB"]
    left, right = rect.x + 12, rect.right - 12 - width
    at = min((left, right), key=lambda start: sum(start - 6 < one < start + width + 6 for one in lines))
    return PlacedFrame(sheet.frame, rect, line, Rect(round(at, 2), rect.y - 10, width, 20))


def _turned(point: Point, orient: Orient) -> Point:
    """(cross, main) as (x, y), or the other way round."""
    return point if orient == "TB" else (point[1], point[0])
