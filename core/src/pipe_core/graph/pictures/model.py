"""What a picture of a pipeline consists of: boxes, frames around them, and arrows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["input", "node", "pipeline"]
State = Literal["required", "optional", "bound"]


@dataclass(frozen=True, slots=True)
class Value:
    """An input or an output, in words.

    Attributes:
        name: Of the value.
        type: Its annotation; empty where it has none.
        default: What it is where nobody gives it; empty where somebody must.
        state: Of an input. An output is ``required``.
    """

    name: str
    type: str = ""
    default: str = ""
    state: State = "required"


@dataclass(frozen=True, slots=True)
class Box:
    """Something with a border: inputs, a node, or a nested pipeline that is not opened.

    Attributes:
        key: Its place: the same for the same pipeline.
        kind: What it stands for.
        title: The name of the node; empty for inputs.
        values: The inputs, or what the node gives.
        over: The inputs that it is mapped over.
        holds: How many nodes are in a nested pipeline.
        about: More about it, for who points at it.
        is_idle: Whether it never runs, since nobody asks for what it gives.
    """

    key: str
    kind: Kind
    title: str
    values: tuple[Value, ...]
    over: str = ""
    holds: int = 0
    about: str = ""
    is_idle: bool = False

    @property
    def is_optional(self) -> bool:
        """Whether nobody has to give any of these inputs."""
        return self.kind == "input" and all(value.state == "optional" for value in self.values)


@dataclass(slots=True)
class Frame:
    """A nested pipeline that is opened, or the whole.

    Attributes:
        key: Its place; empty for the whole.
        title: The name of the node.
        over: The inputs that it is mapped over.
        children: What is inside, in order.
        is_idle: As of a box.
    """

    key: str = ""
    title: str = ""
    over: str = ""
    children: list[Box | Frame] = field(default_factory=list)
    is_idle: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A box takes what another one gives.

    Attributes:
        source: The key of the box that gives.
        target: The key of the box that takes.
        names: What is taken, as the source calls it.
        is_optional: Whether the box has a default for all of it, and nobody has to give it.
    """

    source: str
    target: str
    names: tuple[str, ...]
    is_optional: bool = False


@dataclass(slots=True)
class Scene:
    """A pipeline as boxes and arrows.

    Attributes:
        title: Of the pipeline.
        root: What is to be seen, in frames.
        arrows: Between boxes, one for each pair.
    """

    title: str
    root: Frame
    arrows: list[Arrow]

    def boxes(self) -> Iterator[Box]:
        """All boxes, whatever frame they are in."""
        return (child for frame in self.frames() for child in frame.children if isinstance(child, Box))

    def frames(self) -> Iterator[Frame]:
        """All frames, each before those in it, the whole first."""
        waiting = [self.root]
        while waiting:
            frame = waiting.pop()
            yield frame
            waiting += [child for child in reversed(frame.children) if isinstance(child, Frame)]
