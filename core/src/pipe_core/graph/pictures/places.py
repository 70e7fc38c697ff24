"""Where the items of each level stand: near their neighbours, and never on each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from pipe_core.graph.pictures.layers import Item, Layers, Link

ROUNDS: Final = 24
"""How often places are improved, down and up."""

FULL: Final = 0.75
"""Of its greatest length, from which on a level stands in the middle."""
NEAR: Final = (4.0, 10.0, 16.0, 16.0)
"""Lines that go no farther aside than that are made straight, where there is room, the nearly straight ones first."""

_TINY: Final = 1e-6

_LOOSE: Final = 0.02
"""What the present place of an item weighs, against its neighbours'."""


def placed(layers: Layers, *, space: float, limit: float) -> list[float]:
    """The middle of each item along its level, from 0 on.

    Args:
        layers: The items.
        space: Between two boxes.
        limit: How long a level may be. A level that nearly is stands in the middle, whatever its neighbours want: where
            boxes had to go to the next level, these levels stand below each other.
    """
    middles = [0.0] * len(layers.items)
    rooms = [_rooms([layers.items[one] for one in row], space) for row in layers.levels]
    for row, room in zip(layers.levels, rooms, strict=True):
        at = 0.0
        for one, before in zip(row, [0.0, *room], strict=False):
            at += before
            middles[one] = at
        for one in row:  # the rows begin around a common middle
            middles[one] -= at / 2
    full = [sum(room) > FULL * limit for room in rooms]
    into, out = layers.neighbours()
    for number in range(ROUNDS):
        down = number % 2 == 0
        both = number >= ROUNDS - 4
        for level in range(len(layers.levels)) if down else reversed(range(len(layers.levels))):
            sides = (into, out) if both else (into,) if down else (out,)
            if not full[level]:
                _settle(layers, layers.levels[level], rooms[level], middles, sides)
    for far in NEAR:
        _straighten(layers, rooms, middles, far)
    _follow(layers, rooms, middles, into, out)
    least = min((middle - item.cross / 2 for middle, item in zip(middles, layers.items, strict=True)), default=0.0)
    return [middle - least for middle in middles]


def _rooms(row: Sequence[Item], space: float) -> list[float]:
    """From the middle of each item to that of the next one."""
    pairs = pairwise(row)
    return [(one.cross + other.cross) / 2 + _between(one, other, space) for one, other in pairs]


def _between(one: Item, other: Item, space: float) -> float:
    small = sum(item.role in ("point", "way_in", "way_out") for item in (one, other))
    return (space, space * 0.75, space * 0.6)[small]


def _settle(
    layers: Layers, row: list[int], room: list[float], middles: list[float], sides: Sequence[list[list[Link]]]
) -> None:
    """Move the items of one level to where their neighbours want them, as far as there is room."""
    wishes, weights = [], []
    for one in row:
        total, weight = middles[one] * _LOOSE, _LOOSE
        for pieces in sides:
            for piece in pieces[one]:
                heavy = _weight(layers.items, piece)
                total += heavy * _wish(piece, one, middles)
                weight += heavy
        wishes.append(total / weight)
        weights.append(weight)
    for one, middle in zip(row, _apart(wishes, weights, room), strict=True):
        middles[one] = middle


def _wish(piece: Link, one: int, middles: list[float]) -> float:
    """Where *one* must stand for *piece* to be straight."""
    if piece.target == one:
        return middles[piece.source] + piece.leaves - piece.enters
    return middles[piece.target] + piece.enters - piece.leaves


def _weight(items: list[Item], piece: Link) -> float:
    """How much it matters that a piece is straight: most within long lines, least for those of inputs."""
    source, target = items[piece.source].role, items[piece.target].role
    points = (source == "point") + (target == "point")
    return (0.35 if source == "input" else 1.0, 1.5, 8.0)[points]


def _apart(wishes: list[float], weights: list[float], room: list[float]) -> list[float]:
    """The places nearest to *wishes*, by weighted squares, that keep their order and their *room*.

    With the room taken off it is a regression that may only rise; neighbours that would not are pooled.
    """
    offset, offsets = 0.0, [0.0]
    for one in room:
        offset += one
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, before, weight in zip(wishes, offsets, weights, strict=True):
        mean, count = wish - before, 1
        while pools and pools[-1][0] > mean:
            other, heavy, many = pools.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + many
        pools.append((mean, weight, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + before for mean, before in zip(means, offsets, strict=True)]


def _straighten(layers: Layers, rooms: list[list[float]], middles: list[float], far: float) -> None:
    """Put items on one line that nearly are, and all points of a long line, where nobody stands in the way."""
    for line in _lines(layers, rooms, middles, far):
        spans = {one: _span(layers, rooms, middles, one, pushing=True) for one in line}  # others may have moved
        low = max(spans[one][0] - offset for one, offset in line.items())
        high = min(spans[one][1] - offset for one, offset in line.items())
        if low <= high + _TINY:
            mean = sum(middles[one] - offset for one, offset in line.items()) / len(line)
            for one, offset in line.items():
                middles[one] = min(max(mean, low), high) + offset
                _push(layers, rooms, middles, layers.level_of[one])


def _follow(
    layers: Layers, rooms: list[list[float]], middles: list[float], into: list[list[Link]], out: list[list[Link]]
) -> None:
    """Move inputs that only one item takes to where their line is straight, and what has no lines to its neighbour."""
    for one, item in enumerate(layers.items):
        low, high = _span(layers, rooms, middles, one)
        if item.role == "input" and len(out[one]) == 1:
            middles[one] = max(low, min(high, _wish(out[one][0], one, middles)))
        elif not into[one] and not out[one]:
            near = low if math.isfinite(low) else high
            middles[one] = near if math.isfinite(near) else middles[one]


def _span(
    layers: Layers, rooms: list[list[float]], middles: list[float], one: int, *, pushing: bool = False
) -> tuple[float, float]:
    """Between which places an item can move while the others stay, or inputs at the ends of its level give way."""
    level = layers.level_of[one]
    row, room = layers.levels[level], rooms[level]
    first, last = _inner(layers, row) if pushing else (0, len(room))
    place = row.index(one)
    low = middles[row[place - 1]] + room[place - 1] if place > first else -math.inf
    high = middles[row[place + 1]] - room[place] if place < last else math.inf
    return low, high


def _inner(layers: Layers, row: list[int]) -> tuple[int, int]:
    """The places of the first and the last item of a level that is no input."""
    places = [place for place, one in enumerate(row) if layers.items[one].role != "input"]
    return (places[0], places[-1]) if places else (0, len(row) - 1)


def _push(layers: Layers, rooms: list[list[float]], middles: list[float], level: int) -> None:
    """Make room: inputs at the ends of a level give way."""
    row, room = layers.levels[level], rooms[level]
    first, last = _inner(layers, row)
    for place in range(first - 1, -1, -1):
        middles[row[place]] = min(middles[row[place]], middles[row[place + 1]] - room[place])
    for place in range(last + 1, len(row)):
        middles[row[place]] = max(middles[row[place]], middles[row[place - 1]] + room[place - 1])


def _lines(layers: Layers, rooms: list[list[float]], middles: list[float], far: float) -> list[dict[int, float]]:
    """Items that can stand on one line, each with how far its middle is from the line; the longest lines first."""
    spans = [_span(layers, rooms, middles, one, pushing=True) for one in range(len(layers.items))]
    line_of = {one: {one: 0.0} for one in range(len(layers.items))}
    for piece in sorted(layers.pieces, key=lambda piece: _aside(layers, piece, middles)):
        line, other = line_of[piece.source], line_of[piece.target]
        if line is other or _aside(layers, piece, middles) > far or layers.items[piece.source].role == "input":
            continue
        shift = line[piece.source] + piece.leaves - piece.enters - other[piece.target]
        joined = {**line, **{one: offset + shift for one, offset in other.items()}}
        low = max(spans[one][0] - offset for one, offset in joined.items())
        high = min(spans[one][1] - offset for one, offset in joined.items())
        if low <= high + _TINY and len({layers.level_of[one] for one in joined}) == len(joined):
            line_of.update(dict.fromkeys(joined, joined))
    lines = {id(line): line for line in line_of.values() if len(line) > 1}
    return sorted(lines.values(), key=lambda line: -len(line))


def _aside(layers: Layers, piece: Link, middles: list[float]) -> float:
    """How far a piece goes aside; not at all between two points of a long line, which belong on one line."""
    if layers.items[piece.source].role == layers.items[piece.target].role == "point":
        return 0.0
    return abs(middles[piece.source] + piece.leaves - middles[piece.target] - piece.enters)
