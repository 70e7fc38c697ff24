"""Where very many lines meet: they share one track between the levels, as a line with branches."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Final

from pipe_core.graph.pictures.layers import Layers, Link

MANY: Final = 6
"""So many lines on one side of an item, and they share a track."""

_Hub = tuple[bool, int, float]
"""Whether lines leave it, the item, and where on it."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """Tracks between levels.

    Attributes:
        of: For each piece that has one, its number between its two levels, from 0 on.
        counts: How many there are below each level.
    """

    of: dict[Link, int]
    counts: list[int]


def tracks_of(layers: Layers) -> Tracks:
    """The tracks of all hubs. Those into which lines come lie above those from which they go: so they cross less."""
    lines: Counter[_Hub] = Counter()
    for piece in layers.pieces:
        lines.update(_ends(piece))
    hub_of: dict[Link, _Hub] = {}
    for piece in layers.pieces:
        hub = max(_ends(piece), key=lambda end: lines[end])
        if lines[hub] >= MANY:
            hub_of[piece] = hub
    below: dict[int, dict[_Hub, int]] = defaultdict(dict)
    for piece, hub in sorted(hub_of.items(), key=lambda pair: pair[1][0]):
        known = below[layers.level_of[piece.source]]
        known.setdefault(hub, len(known))
    numbers = {piece: below[layers.level_of[piece.source]][hub] for piece, hub in hub_of.items()}
    return Tracks(numbers, [len(below[level]) for level in range(len(layers.levels))])


def _ends(piece: Link) -> tuple[_Hub, _Hub]:
    return (True, piece.source, piece.leaves), (False, piece.target, piece.enters)
