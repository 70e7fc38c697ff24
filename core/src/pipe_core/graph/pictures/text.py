"""A picture in plain text: what is needed, and the nodes in order with where they get it from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pipe_core.graph.pictures.model import Arrow, Box, Frame, Scene, Value
from pipe_core.looks.wording import one_line, several


def text_of(scene: Scene, *, show_types: bool) -> str:
    """The picture as lines of text."""
    return "\n".join(_Writer(scene, show_types).lines()) + "\n"


class _Writer:
    """Writes a scene."""

    def __init__(self, scene: Scene, show_types: bool) -> None:
        self._scene = scene
        self._types = show_types
        self._boxes = {box.key: box for box in scene.boxes()}
        self._into: dict[str, list[Arrow]] = defaultdict(list)
        for arrow in scene.arrows:
            self._into[arrow.target].append(arrow)

    def lines(self) -> Iterator[str]:
        """All of it."""
        nodes = sum(box.kind != "input" for box in self._boxes.values())
        yield f"{one_line(self._scene.title)}: {several(nodes, 'node')}"
        yield from self._inside(self._scene.root, "  ")

    def _inside(self, frame: Frame, indent: str) -> Iterator[str]:
        inputs = [child for child in frame.children if isinstance(child, Box) and child.kind == "input"]
        for value in (value for box in inputs for value in box.values):
            yield f"{indent}{self._input(value)}"
        for child in frame.children:
            if isinstance(child, Frame):
                over = f" over {child.over}" if child.over else ""
                yield f"{indent}{one_line(child.title)}{over}:"
                yield from self._inside(child, indent + "  ")
            elif child.kind != "input":
                yield f"{indent}{self._node(child)}"

    def _input(self, value: Value) -> str:
        default = f" = {value.default}" if value.default else ""
        bound = ", bound" if value.state == "bound" else ""
        return f"input {self._value(value)}{default}{bound}"

    def _value(self, value: Value) -> str:
        return one_line(f"{value.name}: {value.type}" if value.type and self._types else value.name)

    def _node(self, box: Box) -> str:
        takes = ", ".join(self._taken(arrow, name) for arrow in self._into[box.key] for name in arrow.names)
        text = f"{one_line(box.title)}({takes})"
        alone = len(box.values) == 1 and box.values[0].name == box.title
        gives = box.values[0].type * self._types if alone else ", ".join(map(self._value, box.values))
        text += f" -> {one_line(gives)}" if gives else ""
        text += f", over {box.over}" if box.over else ""
        text += f", a pipeline of {several(box.holds, 'node')}" if box.kind == "pipeline" else ""
        return f"{text}, never runs here" if box.is_idle else text

    def _taken(self, arrow: Arrow, name: str) -> str:
        """A value, and who gives it where that is called otherwise."""
        giver = self._boxes[arrow.source]
        return name if giver.kind == "input" or giver.title == name else f"{one_line(giver.title)}.{name}"
