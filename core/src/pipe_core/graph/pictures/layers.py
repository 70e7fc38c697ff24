"""A graph in levels: every box below what it needs, in an order in which few lines cross.

The way of Sugiyama, Tagawa and Toda (1981): levels, points on which long lines are led through the levels between their
ends, and orders from the mean places of neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

SWEEPS: Final = 12
"""How often the levels are put in order, down and up."""

PASSES: Final = 6
"""How often neighbours of one level are compared in a sweep."""

Role = Literal["box", "input", "way_in", "way_out", "point"]


@dataclass(slots=True)
class Item:
    """What has a place in a level. Lengths along the levels are called ``cross``, those from level to level ``main``.

    Attributes:
        role: A box or a frame; a box of inputs; where lines come into the frame around, or leave it; a point of a line.
        cross: How long it is along its level.
        main: How long it is from level to level.
    """

    role: Role
    cross: float
    main: float


@dataclass(frozen=True, slots=True)
class Link:
    """A line between two items, from the upper one.

    Attributes:
        source: The index of an item.
        target: The index of an item.
        leaves: Where it begins, from the middle of the source.
        enters: Where it ends, from the middle of the target.
    """

    source: int
    target: int
    leaves: float = 0.0
    enters: float = 0.0


@dataclass(slots=True)
class Layers:
    """Items in levels.

    Attributes:
        items: Those given, and behind them the points of long lines.
        levels: The indexes of the items of each level, in order.
        chains: The items along each link, from its source to its target.
        pieces: The links from one level to the next, each once.
        level_of: The level of each item.
    """

    items: list[Item]
    levels: list[list[int]]
    chains: list[list[int]]
    pieces: list[Link]
    level_of: list[int]

    def neighbours(self) -> tuple[list[list[Link]], list[list[Link]]]:
        """For each item the pieces that come into it, and those that leave it."""
        into: list[list[Link]] = [[] for _ in self.items]
        out: list[list[Link]] = [[] for _ in self.items]
        for piece in self.pieces:
            into[piece.target].append(piece)
            out[piece.source].append(piece)
        return into, out


def layered(items: Sequence[Item], links: Sequence[Link], *, limit: float, space: float) -> Layers:
    """*items* in levels and in order.

    Args:
        items: Each behind all from which a link comes to it, ways out aside.
        links: Between them.
        limit: How long a level may be; where boxes would make it longer, some go to the next one.
        space: Between two of them.
    """
    levels = _levels(items, links, limit, space)
    found = _with_points(list(items), links, levels)
    _order(found)
    return found


# --- levels ---------------------------------------------------------------------------------------------------------


def _levels(items: Sequence[Item], links: Sequence[Link], limit: float, space: float) -> list[int]:
    """The level of each item."""
    sources: list[list[int]] = [[] for _ in items]
    targets: list[list[int]] = [[] for _ in items]
    for link in links:
        sources[link.target].append(link.source)
        targets[link.source].append(link.target)
    levels = [0] * len(items)
    taken: dict[int, float] = defaultdict(float)
    for place, item in enumerate(items):
        if item.role == "box":
            before = (levels[one] + 1 for one in sources[place] if items[one].role == "box")
            level = max(before, default=0)
            while taken[level] and taken[level] + item.cross > limit:
                level += 1
            taken[level] += item.cross + space
            levels[place] = level
    _sink(items, levels, sources, targets)
    for place, item in enumerate(items):
        if item.role == "input":
            levels[place] = min((levels[one] for one in targets[place]), default=1) - 1
    _ends(items, levels)
    ranks = {level: rank for rank, level in enumerate(sorted(set(levels)))}
    return [ranks[level] for level in levels]


def _sink(items: Sequence[Item], levels: list[int], sources: list[list[int]], targets: list[list[int]]) -> None:
    """Move a box down to those that take what it gives, where that makes lines shorter."""
    for place in range(len(items) - 1, -1, -1):
        below = [levels[one] for one in targets[place] if items[one].role == "box"]
        above = [one for one in sources[place] if items[one].role == "box"]
        if items[place].role == "box" and len(below) > len(above):
            levels[place] = max(levels[place], min(below) - 1)


def _ends(items: Sequence[Item], levels: list[int]) -> None:
    """Ways in are above all, ways out below all."""
    inner = [level for item, level in zip(items, levels, strict=True) if item.role in ("box", "input")]
    top, bottom = min(inner, default=0) - 1, max(inner, default=0) + 1
    for place, item in enumerate(items):
        if item.role == "way_in":
            levels[place] = top
        elif item.role == "way_out":
            levels[place] = bottom


# --- points of long lines -------------------------------------------------------------------------------------------


def _with_points(items: list[Item], links: Sequence[Link], levels: list[int]) -> Layers:
    """Lead long lines through all levels between their ends.

    Long lines from one place share their points, or those to one place do: whichever are more. A point never has
    several sources and several targets, so one sees who takes what.
    """
    long = [link for link in links if levels[link.target] - levels[link.source] > 1]
    starts = Counter((link.source, link.leaves) for link in long)
    stops = Counter((link.target, link.enters) for link in long)
    points: dict[tuple[bool, int, float, int], int] = {}
    chains: list[list[int]] = []
    pieces: dict[Link, None] = {}
    for link in links:
        start, stop = (link.source, link.leaves), (link.target, link.enters)
        from_start = starts[start] >= stops[stop]
        chain = [link.source]
        for level in range(levels[link.source] + 1, levels[link.target]):
            key = (from_start, *(start if from_start else stop), level)
            if key not in points:
                points[key] = len(items)
                items.append(Item("point", 0.0, 0.0))
                levels.append(level)
            chain.append(points[key])
        chain.append(link.target)
        chains.append(chain)
        pieces.update(dict.fromkeys(pieces_of(chain, link)))
    rows: list[list[int]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for place, level in enumerate(levels):
        rows[level].append(place)
    return Layers(items, rows, chains, list(pieces), levels)


def pieces_of(chain: Sequence[int], link: Link) -> list[Link]:
    """The links from item to item along a *chain*, which begins and ends as *link* does."""
    last = len(chain) - 2
    return [
        Link(one, other, link.leaves if number == 0 else 0.0, link.enters if number == last else 0.0)
        for number, (one, other) in enumerate(pairwise(chain))
    ]


# --- order ----------------------------------------------------------------------------------------------------------


def _order(layers: Layers) -> None:
    """Order the levels so that few pieces cross."""
    into, out = layers.neighbours()
    best, fewest = [list(row) for row in layers.levels], _crossings(layers, out)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        rows = layers.levels if down else layers.levels[::-1]
        for before, row in pairwise(rows):
            _by_means(row, before, into if down else out, layers.items, down)
        _swap(layers, into, out)
        count = _crossings(layers, out)
        if count < fewest:
            best, fewest = [list(row) for row in layers.levels], count
    layers.levels[:] = best


def _by_means(row: list[int], before: list[int], pieces: list[list[Link]], items: list[Item], down: bool) -> None:
    """Order *row* by the mean place of each one's neighbours; who has none keeps its place."""
    places = {one: float(place) for place, one in enumerate(before)}
    means = {}
    for place, one in enumerate(row):
        total = weight = 0.0
        for piece in pieces[one]:
            heavy = 0.1 if items[piece.source].role == "input" else 1.0  # inputs follow
            total += heavy * _end(piece, places, items, down)
            weight += heavy
        means[one] = total / weight if weight else place * len(before) / len(row)
    row.sort(key=means.__getitem__)


def _end(piece: Link, places: dict[int, float], items: list[Item], down: bool) -> float:
    """The place of a piece's other end: of its item, and a part of one for where it is on that."""
    other, offset = (piece.source, piece.leaves) if down else (piece.target, piece.enters)
    return places[other] + (offset / items[other].cross if items[other].cross else 0.0)


def _swap(layers: Layers, into: list[list[Link]], out: list[list[Link]]) -> None:
    """Swap neighbours of a level as long as fewer pieces cross for it."""
    places = {one: float(place) for row in layers.levels for place, one in enumerate(row)}
    for row in layers.levels:
        above = {one: sorted(_end(piece, places, layers.items, True) for piece in into[one]) for one in row}
        below = {one: sorted(_end(piece, places, layers.items, False) for piece in out[one]) for one in row}
        for _ in range(PASSES):
            swapped = False
            for left in range(len(row) - 1):
                one, other = row[left], row[left + 1]
                gain = _gain(above[one], above[other]) + _gain(below[one], below[other])
                if gain > 0:
                    row[left], row[left + 1] = other, one
                    swapped = True
            if not swapped:
                break
        places.update((one, float(place)) for place, one in enumerate(row))


def _gain(left: list[float], right: list[float]) -> int:
    """How many fewer pieces cross when two neighbours with these ends change places."""
    return _pairs(right, left) - _pairs(left, right)


def _pairs(low: list[float], high: list[float]) -> int:
    """Pairs of which the one in *low* is smaller than the one in *high*."""
    return sum(bisect_left(low, one) for one in high)


def _crossings(layers: Layers, out: list[list[Link]]) -> int:
    """Pairs of pieces that cross."""
    places = {one: place for row in layers.levels for place, one in enumerate(row)}
    count = 0
    for row in layers.levels[:-1]:
        seen: list[tuple[int, float]] = []
        ends = [(places[one], piece.leaves, places[piece.target], piece.enters) for one in row for piece in out[one]]
        same: list[tuple[int, float]] = []
        start: tuple[int, float] | None = None
        for place, leaves, target, enters in sorted(ends):
            if start != (place, leaves):  # pieces from one point do not cross
                for end in same:
                    insort(seen, end)
                same, start = [], (place, leaves)
            count += len(seen) - bisect_left(seen, (target, enters + 1e-9))
            same.append((target, enters))
    return count
