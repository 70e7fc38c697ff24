"""A pipeline read as boxes, frames and arrows."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.node import Node, Parameter
from pipe_core.graph.pictures.model import Arrow, Box, Frame, Scene, State, Value
from pipe_core.graph.pictures.words import UNKNOWN, default_words, returned, type_words
from pipe_core.looks.wording import one_line

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline

TIMES: Final = " \u00d7 "
"""Between inputs of which all combinations are taken."""


def scene_of(pipeline: Pipeline, *, depth: int | None = 1, flatten: bool = False, group: int | None = 2) -> Scene:
    """What there is to draw.

    Args:
        pipeline: Of which.
        depth: How many levels of pipelines are open, the outermost included; None for all.
        flatten: Whether there are no frames around what is open.
        group: How many inputs that only one box takes are drawn as one; None for never.
    """
    reader = _Reader(depth, flatten)
    root = Frame()
    inputs = pipeline.wiring.inputs()
    scope = {name: reader.input(root, pipeline, name) for name in inputs}
    reader.read(pipeline, root, scope, _Place("", 1))
    scene = Scene(pipeline.name or "pipeline", root, list(reader.arrows.values()))
    return scene if group is None else _grouped(scene, group)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a value comes from: the key of its box, what that one calls it, whether nobody has to give it."""

    box: str
    name: str
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the nesting something stands."""

    key: str
    depth: int
    over: str = ""
    is_idle: bool = False

    def of(self, node: int) -> str:
        """The key of a node that is here."""
        return f"{self.key}.{node}" if self.key else str(node)


class _Reader:
    """Collects boxes and arrows.

    Attributes:
        arrows: By the keys of the boxes at their ends.
    """

    def __init__(self, depth: int | None, flatten: bool) -> None:
        self.arrows: dict[tuple[str, str], Arrow] = {}
        self._depth = depth
        self._flatten = flatten

    def input(self, frame: Frame, pipeline: Pipeline, name: str, place: str = "") -> _Source:
        """A box for an input of *pipeline*."""
        parameter = pipeline.wiring.inputs()[name]
        state: State = "required" if parameter.is_required else "optional"
        default = default_words(parameter) if state == "required" or _is_one(pipeline, parameter) else "…"
        value = Value(name, _taken_type(pipeline, name), default, state)
        if name in pipeline.bound_inputs:
            value = replace(value, default="", state="bound")
        box = Box(f"{place}@{name}", "input", "", (value,), about=_about_input(value))
        frame.children.append(box)
        return _Source(box.key, name, value.state == "optional")

    def read(
        self,
        pipeline: Pipeline,
        frame: Frame,
        scope: dict[str, _Source],
        place: _Place,
        wanted: Iterable[str] | None = None,
    ) -> None:
        """All nodes of *pipeline*; what they give is put into *scope*. Those that *wanted* does not need are idle."""
        wiring = pipeline.wiring
        asked = set(wiring.upstream(wiring.givers if wanted is None else wanted))
        for number, node in enumerate(wiring.nodes):
            here = replace(place, key=place.of(number), is_idle=place.is_idle or number not in asked)
            if isinstance(node, PipelineNode):
                self._nested(node, frame, scope, here)
            elif isinstance(node, Node):
                self._node(node, frame, scope, here)

    def _node(self, node: Node[..., Any], frame: Frame, scope: dict[str, _Source], place: _Place) -> None:
        values = tuple(Value(name, words) for name, words in zip(node.outputs, returned(node), strict=True))
        over = place.over if self._flatten else ""
        box = Box(place.key, "node", node.name, values, over, about=_about(node), is_idle=place.is_idle)
        self._put(box, node, frame, scope)

    def _nested(self, node: PipelineNode, frame: Frame, scope: dict[str, _Source], place: _Place) -> None:
        over = (TIMES if node.map_mode == "product" else ", ").join(node.map_over)
        if self._depth is not None and place.depth >= self._depth:
            types = _given_types(node.pipeline)
            shown = (types[name] for name in node.wanted)
            values = tuple(
                Value(name, _listed(words) if over else words) for name, words in zip(node.outputs, shown, strict=True)
            )
            holds = len(node.pipeline.nodes)
            box = Box(place.key, "pipeline", node.name, values, over or place.over, holds, repr(node), place.is_idle)
            self._put(box, node, frame, scope)
            return
        inside = frame
        if not self._flatten:
            inside = Frame(place.key, node.name, over, is_idle=place.is_idle)
            frame.children.append(inside)
        self._open(node, inside, scope, replace(place, depth=place.depth + 1, over=over or place.over))

    def _open(self, node: PipelineNode, frame: Frame, scope: dict[str, _Source], place: _Place) -> None:
        names = {one.name: node.input_mapping.get(one.name, one.name) for one in node.parameters}
        inner = {name: scope[outer] for outer, name in names.items() if outer in scope}
        for name in node.pipeline.bound_inputs:
            inner[name] = self.input(frame, node.pipeline, name, place.key)
        self.read(node.pipeline, frame, inner, place, node.wanted)
        scope.update({outer: inner[name] for name, outer in zip(node.wanted, node.outputs, strict=True)})

    def _put(self, box: Box, node: Node[..., Any] | PipelineNode, frame: Frame, scope: dict[str, _Source]) -> None:
        frame.children.append(box)
        for one in node.parameters:
            self._arrow(scope[one.name], box.key)
        scope.update({value.name: _Source(box.key, value.name) for value in box.values})

    def _arrow(self, source: _Source, target: str) -> None:
        ends = (source.box, target)
        known = self.arrows.get(ends)
        names = (source.name,) if known is None else (*known.names, source.name)
        optional = source.is_optional and (known is None or known.is_optional)
        self.arrows[ends] = Arrow(*ends, tuple(dict.fromkeys(names)), optional)


def _grouped(scene: Scene, least: int) -> Scene:
    """*scene* with one box for inputs of one frame that only one box takes, where there are *least* of them."""
    takers: dict[str, list[Arrow]] = defaultdict(list)
    for arrow in scene.arrows:
        takers[arrow.source].append(arrow)
    for frame in scene.frames():
        alone: dict[str, list[Box]] = defaultdict(list)
        for child in frame.children:
            if isinstance(child, Box) and child.kind == "input" and len(takers[child.key]) == 1:
                alone[takers[child.key][0].target].append(child)
        for target, boxes in alone.items():
            if len(boxes) >= max(least, 2):
                _join(scene, frame, boxes, target)
    return scene


def _join(scene: Scene, frame: Frame, boxes: list[Box], target: str) -> None:
    values = tuple(value for box in boxes for value in box.values)
    joined = Box(boxes[0].key, "input", "", values, about="\n".join(box.about for box in boxes))
    gone = {box.key for box in boxes}
    frame.children[:] = [
        joined if child is boxes[0] else child for child in frame.children if child not in boxes or child is boxes[0]
    ]
    at = next(place for place, arrow in enumerate(scene.arrows) if arrow.source in gone)
    arrow = Arrow(joined.key, target, tuple(value.name for value in values), joined.is_optional)
    rest = [one for one in scene.arrows if one.source not in gone]
    scene.arrows[:] = [*rest[:at], arrow, *rest[at:]]


def _taken_type(pipeline: Pipeline, name: str) -> str:
    """The type of an input, as the first node that says one takes it; a list where that node is mapped over it."""
    for node in pipeline.nodes:
        for one in node.parameters:
            if one.name == name and one.type is not UNKNOWN:
                words = _inner_type(node, one) if isinstance(node, PipelineNode) else type_words(one.type)
                return _listed(words) if isinstance(node, PipelineNode) and name in node.map_over else words
    return ""


def _is_one(pipeline: Pipeline, parameter: Parameter) -> bool:
    """Whether all nodes that take an input have the same default for it; else each has its own."""
    taken = (one for node in pipeline.nodes for one in node.parameters if one.name == parameter.name)
    return len({default_words(one) for one in taken}) == 1


def _inner_type(node: PipelineNode, parameter: Parameter) -> str:
    return _taken_type(node.pipeline, node.input_mapping.get(parameter.name, parameter.name))


def _given_types(pipeline: Pipeline) -> Mapping[str, str]:
    """The type of each output."""
    found: dict[str, str] = {}
    for node in pipeline.nodes:
        if isinstance(node, PipelineNode):
            inner = _given_types(node.pipeline)
            types: Iterable[str] = (_listed(inner[name]) if node.is_mapped else inner[name] for name in node.wanted)
        else:
            types = returned(node)
        found.update(zip(node.outputs, types, strict=True))
    return found


def _listed(words: str) -> str:
    return f"list[{words}]" if words else "list"


def _about(node: Node[..., Any]) -> str:
    """The signature of *node*, and what its function says of itself."""
    takes = ", ".join(_parameter(one) for one in node.parameters)
    text = f"{node.name}({takes}) → {', '.join(node.outputs)}"
    said = inspect.getdoc(node.fn) if inspect.isroutine(node.fn) else None
    return f"{text}\n{one_line(said.splitlines()[0], 200)}" if said else text


def _parameter(one: Parameter) -> str:
    words = type_words(one.type)
    return one.name + (f": {words}" if words else "") + ("" if one.is_required else f" = {default_words(one)}")


def _about_input(value: Value) -> str:
    text = f"input {value.name}" + (f": {value.type}" if value.type else "")
    return f"{text}, bound" if value.state == "bound" else f"{text} = {value.default}" if value.default else text
