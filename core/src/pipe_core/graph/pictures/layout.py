"""Where everything stands: frame by frame from the innermost, each a box of the one around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pipe_core.graph.pictures.faces import Face, Line, heading, width_of_line
from pipe_core.graph.pictures.layers import Item, Layers, Link, layered, pieces_of
from pipe_core.graph.pictures.model import Arrow, Box, Frame, Scene
from pipe_core.graph.pictures.places import placed
from pipe_core.graph.pictures.tracks import Tracks, tracks_of

Orient = Literal["TB", "LR"]
Point = tuple[float, float]

SPACE: Final = {"TB": 26.0, "LR": 20.0}
"""Between two boxes of a level."""
LIMIT: Final = {"TB": 1_250.0, "LR": 820.0}
"""How long a level may be."""
GAP: Final = 44.0
"""Between two levels, at least."""
STEEP: Final = 0.11
"""How much wider a gap is for each pixel that a line in it goes aside."""
WIDEST: Final = 120.0
PORT_GAP: Final = 26.0
"""Between the border of a frame and its first level, where lines come in."""
TRACK: Final = 26.0
"""Between two tracks, and between a track and a level."""
INSIDE: Final = 18.0
"""Between the border of a frame and what is in it."""
TOP: Final = 26.0
"""The same above, where the title is."""
STACK: Final = 5.0
"""How far apart the sheets are that stand behind what runs once for each item."""
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


_Token = tuple[str, str]
"""An item of a sheet: ``("at", key)`` of a child, ``("in", key)`` or ``("out", key)`` of a box outside or inside."""


@dataclass(slots=True)
class _Sheet:
    """A frame with its contents, laid out on its own. Points are (cross, main).

    Attributes:
        frame: Which one.
        cross: How long it is along the levels.
        main: How long it is from level to level.
        spots: Where each child begins.
        inner: The frames among its children.
        ways: Where the line of a box outside comes in, or that of a box inside leaves, along the border.
        routes: The points between two items, by these and by the box from which the line comes.
    """

    frame: Frame
    cross: float = 0.0
    main: float = 0.0
    spots: dict[str, Point] = field(default_factory=dict)
    inner: dict[str, _Sheet] = field(default_factory=dict)
    ways: dict[_Token, float] = field(default_factory=dict)
    routes: dict[tuple[_Token, _Token, str], list[Point]] = field(default_factory=dict)


def lay_out(scene: Scene, faces: Mapping[str, Face], orient: Orient) -> Layout:
    """Where everything in *scene* stands, with boxes as large as their *faces*."""
    paths = _paths(scene.root)
    sheet = _Planner(scene, faces, orient, paths).sheet(scene.root)
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


class _Planner:
    """Lays frames out."""

    def __init__(
        self, scene: Scene, faces: Mapping[str, Face], orient: Orient, paths: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._faces = faces
        self._orient = orient
        self._paths = paths
        self._arrows = scene.arrows

    def sheet(self, frame: Frame, depth: int = 0) -> _Sheet:
        """*frame* with all that is in it."""
        sheet = _Sheet(frame)
        sheet.inner = {child.key: self.sheet(child, depth + 1) for child in frame.children if isinstance(child, Frame)}
        tokens, items = self._items(frame, sheet)
        ends = self._ends(frame, depth)
        known: dict[_Token, int] = {token: place for place, token in enumerate(tokens)}
        for one in dict.fromkeys(token for pair in ends for token in pair[:2] if token[0] != "at"):
            known[one] = len(items)
            items.append(Item("way_in" if one[0] == "in" else "way_out", 4.0, 0.0))
        links = [
            Link(known[one], known[other], self._offset(sheet, one, "out", key), self._offset(sheet, other, "in", key))
            for one, other, key in ends
        ]
        space = SPACE[self._orient]
        layers = layered(items, links, limit=LIMIT[self._orient], space=space)
        self._arrange(sheet, known, ends, links, layers, placed(layers, space=space, limit=LIMIT[self._orient]))
        return sheet

    def _items(self, frame: Frame, sheet: _Sheet) -> tuple[list[_Token], list[Item]]:
        """The children as items, inputs first."""
        children = sorted(frame.children, key=lambda child: not (isinstance(child, Box) and child.kind == "input"))
        items = []
        for child in children:
            if isinstance(child, Frame):
                items.append(Item("box", sheet.inner[child.key].cross, sheet.inner[child.key].main))
            else:
                face = self._faces[child.key]
                cross, main = (face.width, face.height) if self._orient == "TB" else (face.height, face.width)
                items.append(Item("input" if child.kind == "input" else "box", cross, main))
        return [("at", child.key) for child in children], items

    def _ends(self, frame: Frame, depth: int) -> list[tuple[_Token, _Token, str]]:
        """The lines inside of *frame*: its items at both ends, and the box from which the line comes."""
        found: dict[tuple[_Token, _Token, str], None] = {}
        for arrow in self._arrows:
            one, other = (self._token(frame, depth, key) for key in (arrow.source, arrow.target))
            if (one is None and other is None) or one == other:
                continue
            found[one or ("in", arrow.source), other or ("out", arrow.source), arrow.source] = None
        return list(found)

    def _token(self, frame: Frame, depth: int, box: str) -> _Token | None:
        """The child of *frame* that is the box or holds it."""
        path = self._paths[box]
        inside = depth == 0 or (len(path) > depth and path[depth - 1] == frame.key)
        return ("at", path[depth]) if inside else None

    def _offset(self, sheet: _Sheet, token: _Token, side: str, box: str) -> float:
        """Where a line leaves or enters an item, from its middle."""
        inner = sheet.inner.get(token[1]) if token[0] == "at" else None
        return inner.ways[side, box] - inner.cross / 2 if inner else 0.0

    def _arrange(
        self,
        sheet: _Sheet,
        known: Mapping[_Token, int],
        ends: Sequence[tuple[_Token, _Token, str]],
        links: Sequence[Link],
        layers: Layers,
        middles: list[float],
    ) -> None:
        """Put everything in its place, with room around it."""
        is_root = not sheet.frame.key
        top, left, right, bottom = _room(sheet.frame, self._orient)
        tracks = tracks_of(layers)
        bands = _bands(layers, middles, tracks)
        content = max((middles[i] + item.cross / 2 for i, item in enumerate(layers.items)), default=0.0)
        sheet.main = (0.0 if is_root else top + bottom) + (bands[-1][1] if bands else 0.0)
        sheet.cross = content + (0.0 if is_root else left + right)
        if not is_root:
            title = width_of_line(heading(sheet.frame)) + 2 * INSIDE + 16
            aside = max(0.0, title - sheet.cross) if self._orient == "TB" else 0.0
            sheet.cross += aside
            left += aside / 2
            if self._orient == "LR":
                more = max(0.0, title - sheet.main)
                sheet.main += more
                top += more / 2
        else:
            top = left = 0.0
        middles = [left + middle for middle in middles]
        bands = [(top + begin, top + end) for begin, end in bands]
        starts: dict[int, Point] = {}
        for one, item in enumerate(layers.items):
            begin, end = bands[layers.level_of[one]]
            at = end - item.main if item.role == "input" else (begin + end - item.main) / 2  # near to who takes it
            starts[one] = (middles[one] - item.cross / 2, at)
        for token, one in known.items():
            if token[0] == "at":
                sheet.spots[token[1]] = starts[one]
            else:
                sheet.ways[token] = middles[one]
        for (first, last, key), link, chain in zip(ends, links, layers.chains, strict=True):
            sheet.routes[first, last, key] = _points(sheet, layers, tracks, link, chain, middles, bands, starts)


def _points(
    sheet: _Sheet,
    layers: Layers,
    tracks: Tracks,
    link: Link,
    chain: Sequence[int],
    middles: Sequence[float],
    bands: Sequence[tuple[float, float]],
    starts: Mapping[int, Point],
) -> list[Point]:
    """The points along a line: out of its source, through the levels between, into its target."""
    source, target = layers.items[chain[0]], layers.items[chain[-1]]
    begin = 0.0 if source.role == "way_in" else starts[chain[0]][1] + source.main
    points = [(middles[chain[0]] + link.leaves, begin)]
    for piece in pieces_of(chain, link):
        out, into = middles[piece.source] + piece.leaves, middles[piece.target] + piece.enters
        level = layers.level_of[piece.source]
        low, high = bands[level][1], bands[level + 1][0]
        points.append((out, low))
        if piece in tracks.of and out != into:
            track = low + (high - low) * (tracks.of[piece] + 1) / (tracks.counts[level] + 1)
            points += [(out, track), (into, track)]
        points.append((into, high))
    points.append((points[-1][0], sheet.main if target.role == "way_out" else starts[chain[-1]][1]))
    return list(dict.fromkeys(points))


def _room(frame: Frame, orient: Orient) -> tuple[float, float, float, float]:
    """Around what is in a frame: before and after it along main, then along cross, as (top, left, right, bottom)."""
    sheets = 2 * STACK if frame.over else 0.0
    if orient == "TB":
        return TOP, INSIDE, INSIDE + sheets, INSIDE + sheets
    return INSIDE, TOP, INSIDE + sheets, INSIDE + sheets


def _bands(layers: Layers, middles: Sequence[float], tracks: Tracks) -> list[tuple[float, float]]:
    """Where each level begins and ends. Gaps are wider where lines go far aside."""
    found: list[tuple[float, float]] = []
    aside = [0.0] * len(layers.levels)
    for piece in layers.pieces:
        far = abs(middles[piece.source] + piece.leaves - middles[piece.target] - piece.enters)
        level = layers.level_of[piece.source]
        aside[level] = max(aside[level], far if piece not in tracks.of else 0.0)
    at = 0.0
    for level, row in enumerate(layers.levels):
        deep = max(layers.items[one].main for one in row)
        found.append((at, at + deep))
        ways = any(layers.items[one].role == "way_in" for one in row)
        ways |= level + 1 < len(layers.levels) and any(
            layers.items[one].role == "way_out" for one in layers.levels[level + 1]
        )
        gap = min(WIDEST, (PORT_GAP if ways else GAP) + STEEP * aside[level])
        at += deep + max(gap, TRACK * (tracks.counts[level] + 1))
    return found


def _route(root: _Sheet, arrow: Arrow, paths: Mapping[str, tuple[str, ...]]) -> list[Point]:
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


def _piece(root: _Sheet, path: Sequence[str], ends: tuple[_Token, _Token, str]) -> list[Point]:
    """The points of a line inside of one frame."""
    sheet, cross, main = root, MARGIN, MARGIN
    for key in path:
        spot = sheet.spots[key]
        sheet, cross, main = sheet.inner[key], cross + spot[0], main + spot[1]
    return [(round(cross + one, 2), round(main + other, 2)) for one, other in sheet.routes[ends]]


def _compose(layout: Layout, sheet: _Sheet, origin: Point, faces: Mapping[str, Face]) -> None:
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


def _framed(sheet: _Sheet, rect: Rect, x: float, orient: Orient) -> PlacedFrame:
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
