"""A picture as Mermaid: for READMEs, issues and wikis that draw it themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipe_core.graph.pictures.faces import Face, Line, heading
from pipe_core.graph.pictures.model import Arrow, Box, Frame, Scene
from pipe_core.graph.pictures.styles import Paint, Style
from pipe_core.looks.wording import one_line

# All else may mean something to Mermaid, to Markdown or to HTML.
_OTHER: Final = re.compile(r"[^\w \u00a0…→●\u00d7.,:=()\[\]-]", re.ASCII)
_LETTERS: Final = re.compile(r"[^\W_]")


def mermaid_of(scene: Scene, faces: dict[str, Face], orient: str, style: Style) -> str:
    """The picture as a flowchart."""
    names = {box.key: f"n{number}" for number, box in enumerate(scene.boxes())}
    frames = {frame.key: f"p{number}" for number, frame in enumerate(scene.frames()) if frame.key}
    lines = [f"flowchart {orient}"]
    lines += _inside(scene.root, faces, names, frames, orient, "    ")
    lines += (f"    {_arrow(arrow, names, scene)}" for arrow in scene.arrows)
    lines += (f"    {line}" for line in _looks(scene, names, frames, style))
    return "\n".join(lines) + "\n"


def label(text: str) -> str:
    """Foreign text between the quotes of a label: what is no letter and might mean something stands as its number."""
    return _OTHER.sub(lambda match: match[0] if _is_letter(match[0]) else f"#{ord(match[0])};", one_line(text))


def _is_letter(character: str) -> bool:
    return ord(character) > 127 and _LETTERS.match(character) is not None


def _inside(
    frame: Frame, faces: dict[str, Face], names: dict[str, str], frames: dict[str, str], orient: str, indent: str
) -> Iterator[str]:
    for child in frame.children:
        if isinstance(child, Box):
            yield f"{indent}{names[child.key]}{_shape(child, faces[child.key])}"
            continue
        yield f'{indent}subgraph {frames[child.key]}["{_text(heading(child))}"]'
        yield f"{indent}    direction {orient}"
        yield from _inside(child, faces, names, frames, orient, indent + "    ")
        yield f"{indent}end"


def _shape(box: Box, face: Face) -> str:
    lines = [_text(line) for line in face.lines]
    text = "<br/>".join([f"<b>{lines[0]}</b>", *lines[1:]] if box.title else lines)
    if box.kind == "input":
        return f'(["{text}"])'
    if box.over:
        return f'@{{ shape: procs, label: "{text}" }}'
    return f'[["{text}"]]' if box.kind == "pipeline" else f'("{text}")'


def _text(line: Line) -> str:
    return label("".join(span.text for span in line))


def _arrow(arrow: Arrow, names: dict[str, str], scene: Scene) -> str:
    line = "-.->" if arrow.is_optional else "-->"
    many = any(box.key == arrow.source and box.kind != "input" and len(box.values) > 1 for box in scene.boxes())
    said = f'|"{label(", ".join(arrow.names))}"|' if many else ""
    return f"{names[arrow.source]} {line}{said} {names[arrow.target]}"


def _looks(scene: Scene, names: dict[str, str], frames: dict[str, str], style: Style) -> Iterator[str]:
    """Classes with colours, and what belongs to each."""
    kinds = {"input": style.input, "node": style.node, "pipeline": style.pipeline}
    for kind, paint in kinds.items():
        members = [names[box.key] for box in scene.boxes() if box.kind == kind]
        if members:
            yield f"classDef {kind} {_paint(paint)},color:{style.ink}"
            yield f"class {','.join(members)} {kind}"
    optional = [names[box.key] for box in scene.boxes() if box.is_optional]
    if optional:
        yield "classDef optional stroke-dasharray:5 4"
        yield f"class {','.join(optional)} optional"
    idle = [names[box.key] for box in scene.boxes() if box.is_idle]
    if idle:
        yield "classDef idle opacity:0.4"
        yield f"class {','.join(idle)} idle"
    if frames:
        yield f"classDef frame {_paint(style.frame)},color:{style.ink}"
        yield f"class {','.join(frames.values())} frame"


def _paint(paint: Paint) -> str:
    return f"fill:{paint.fill},stroke:{paint.line}"
