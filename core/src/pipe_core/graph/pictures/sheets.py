"""One frame with its contents, laid out on its own: items in levels, room around them, lines between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pipe_core.graph.pictures.faces import Face, heading, width_of_line
from pipe_core.graph.pictures.layers import Item, Layers, Link, layered, pieces_of
from pipe_core.graph.pictures.model import Box, Frame, Scene
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

Token = tuple[str, str]
"""An item of a sheet: ``("at", key)`` of a child, ``("in", key)`` or ``("out", key)`` of a box outside or inside."""


@dataclass(slots=True)
class Sheet:
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
    inner: dict[str, Sheet] = field(default_factory=dict)
    ways: dict[Token, float] = field(default_factory=dict)
    routes: dict[tuple[Token, Token, str], list[Point]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Room:
    """What is free around the contents of a frame, before and after it, from level to level and along the levels."""

    main_before: float = 0.0
    main_after: float = 0.0
    cross_before: float = 0.0
    cross_after: float = 0.0


@dataclass(frozen=True, slots=True)
class _Grid:
    """The places of all items of a sheet.

    Attributes:
        layers: The items.
        tracks: Of their lines.
        middles: The middle of each item, along its level.
        bands: Where each level begins and ends.
    """

    layers: Layers
    tracks: Tracks
    middles: list[float]
    bands: list[Point]

    def start(self, one: int) -> Point:
        """Where an item begins. Inputs are near to who takes them, all else is in the middle of its level."""
        item = self.layers.items[one]
        begin, end = self.bands[self.layers.level_of[one]]
        main = end - item.main if item.role == "input" else (begin + end - item.main) / 2
        return self.middles[one] - item.cross / 2, main

    def line(self, link: Link, chain: Sequence[int], end: float) -> list[Point]:
        """The points along a line: out of its source, through the levels between, into its target.

        Args:
            link: From where to where.
            chain: The items along it.
            end: Where the sheet ends.
        """
        source, target = self.layers.items[chain[0]], self.layers.items[chain[-1]]
        begin = 0.0 if source.role == "way_in" else self.start(chain[0])[1] + source.main
        points = [(self.middles[chain[0]] + link.leaves, begin)]
        for piece in pieces_of(chain, link):
            points += self._gap(piece)
        points.append((points[-1][0], end if target.role == "way_out" else self.start(chain[-1])[1]))
        return list(dict.fromkeys(points))

    def _gap(self, piece: Link) -> list[Point]:
        """The points of a line between two levels."""
        out, into = self.middles[piece.source] + piece.leaves, self.middles[piece.target] + piece.enters
        level = self.layers.level_of[piece.source]
        low, high = self.bands[level][1], self.bands[level + 1][0]
        if piece not in self.tracks.of or out == into:
            return [(out, low), (into, high)]
        track = low + (high - low) * (self.tracks.of[piece] + 1) / (self.tracks.counts[level] + 1)
        return [(out, low), (out, track), (into, track), (into, high)]


class Planner:
    """Lays frames out."""

    def __init__(
        self, scene: Scene, faces: Mapping[str, Face], orient: Orient, paths: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._faces = faces
        self._orient = orient
        self._paths = paths
        self._arrows = scene.arrows

    def sheet(self, frame: Frame, depth: int = 0) -> Sheet:
        """*frame* with all that is in it."""
        sheet = Sheet(frame)
        sheet.inner = {child.key: self.sheet(child, depth + 1) for child in frame.children if isinstance(child, Frame)}
        tokens, items = self._items(frame, sheet)
        ends = self._ends(frame, depth)
        known: dict[Token, int] = {token: place for place, token in enumerate(tokens)}
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

    def _items(self, frame: Frame, sheet: Sheet) -> tuple[list[Token], list[Item]]:
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

    def _ends(self, frame: Frame, depth: int) -> list[tuple[Token, Token, str]]:
        """The lines inside of *frame*: its items at both ends, and the box from which the line comes."""
        found: dict[tuple[Token, Token, str], None] = {}
        for arrow in self._arrows:
            one, other = (self._token(frame, depth, key) for key in (arrow.source, arrow.target))
            if (one is None and other is None) or one == other:
                continue
            found[one or ("in", arrow.source), other or ("out", arrow.source), arrow.source] = None
        return list(found)

    def _token(self, frame: Frame, depth: int, box: str) -> Token | None:
        """The child of *frame* that is the box or holds it."""
        path = self._paths[box]
        inside = depth == 0 or (len(path) > depth and path[depth - 1] == frame.key)
        return ("at", path[depth]) if inside else None

    def _offset(self, sheet: Sheet, token: Token, side: str, box: str) -> float:
        """Where a line leaves or enters an item, from its middle."""
        inner = sheet.inner.get(token[1]) if token[0] == "at" else None
        return inner.ways[side, box] - inner.cross / 2 if inner else 0.0

    def _arrange(
        self,
        sheet: Sheet,
        known: Mapping[Token, int],
        ends: Sequence[tuple[Token, Token, str]],
        links: Sequence[Link],
        layers: Layers,
        middles: list[float],
    ) -> None:
        """Put everything in its place, with room around it."""
        tracks = tracks_of(layers)
        bands = _bands(layers, middles, tracks)
        cross = max(middle + item.cross / 2 for middle, item in zip(middles, layers.items, strict=True))
        room = _room(sheet.frame, self._orient, cross, bands[-1][1])
        sheet.main = room.main_before + bands[-1][1] + room.main_after
        sheet.cross = room.cross_before + cross + room.cross_after
        grid = _Grid(
            layers,
            tracks,
            [room.cross_before + middle for middle in middles],
            [(room.main_before + begin, room.main_before + end) for begin, end in bands],
        )
        for token, one in known.items():
            if token[0] == "at":
                sheet.spots[token[1]] = grid.start(one)
            else:
                sheet.ways[token] = grid.middles[one]
        for (first, last, key), link, chain in zip(ends, links, layers.chains, strict=True):
            sheet.routes[first, last, key] = grid.line(link, chain, sheet.main)


def _room(frame: Frame, orient: Orient, cross: float, main: float) -> _Room:
    """The room around what is *cross* and *main* large; more where the title of the frame is wider."""
    if not frame.key:
        return _Room()
    after = INSIDE + (2 * STACK if frame.over else 0.0)
    title = width_of_line(heading(frame)) + 2 * INSIDE + 16
    more = max(0.0, title - INSIDE - after - (cross if orient == "TB" else main)) / 2
    if orient == "TB":
        return _Room(TOP, after, INSIDE + more, after + more)
    return _Room(INSIDE + more, after + more, TOP, after)


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
