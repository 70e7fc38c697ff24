"""What the shapes of a picture mean: those that are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipe_core.graph.pictures.faces import Line, Span, width_of_line
from pipe_core.graph.pictures.model import Scene

_MEANINGS: Final = {
    "input": "input",
    "optional": "input with a default",
    "bound": "bound input",
    "node": "node",
    "pipeline": "nested pipeline, closed",
    "frame": "nested pipeline",
    "mapped": "runs for each item",
}
_LEFT: Final = 20.0
_SAMPLE: Final = 36.0
_BETWEEN: Final = 26.0


@dataclass(frozen=True, slots=True)
class Key:
    """A shape and what it means.

    Attributes:
        kind: Of the shape.
        line: What is said of it.
    """

    kind: str
    line: Line

    @property
    def width(self) -> float:
        """How wide shape and words are."""
        return _SAMPLE + width_of_line(self.line) + _BETWEEN


def keys_of(scene: Scene) -> list[Key]:
    """Those shapes that are in *scene*."""
    found = {"frame" for frame in scene.frames() if frame.key}
    found |= {"mapped" for frame in scene.frames() if frame.over}
    for box in scene.boxes():
        if box.kind == "input":
            states = {value.state for value in box.values}
            found |= states & {"bound"}
            found.add("optional" if box.is_optional else "input")
        else:
            found |= {"mapped"} if box.over else {box.kind}
    return [Key(kind, (Span(words, "soft"),)) for kind, words in _MEANINGS.items() if kind in found]


def widths_of(keys: Sequence[Key], width: float) -> list[tuple[float, int]]:
    """Where each key begins, and in which row, where the picture is *width* wide."""
    places: list[tuple[float, int]] = []
    at, row = _LEFT, 0
    for key in keys:
        if at > _LEFT and at + key.width > width:
            at, row = _LEFT, row + 1
        places.append((at, row))
        at += key.width
    return places
