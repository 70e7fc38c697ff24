"""A picture as SVG: shapes with their colours on them, without style sheets, scripts, marks or anything from elsewhere.

So it looks the same in a page, in a notebook beside other pictures, on a slide and as PNG.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from pipe_core.graph.pictures.faces import ROW, Face, Line
from pipe_core.graph.pictures.layout import Layout, PlacedFrame, Rect
from pipe_core.graph.pictures.legend import Key, keys_of, widths_of
from pipe_core.graph.pictures.measure import FONT
from pipe_core.graph.pictures.model import Arrow, Box, Scene
from pipe_core.graph.pictures.sheets import STACK, Orient, Point
from pipe_core.graph.pictures.styles import Paint, Style
from pipe_core.looks.wording import foreign

HEAD: Final = 7.0
"""How long the head of an arrow is."""
ROUND: Final = 10.0
"""The radius of corners of lines."""
LEGEND: Final = 46.0
"""How high the legend is."""
_BOLD: Final = ' font-weight="bold"'
_DASHES: Final = ' stroke-dasharray="5 4"'


def draw(scene: Scene, layout: Layout, faces: Mapping[str, Face], style: Style, *, legend: bool) -> str:
    """The whole picture."""
    width, height = layout.width, layout.height
    boxes = {box.key: box for box in scene.boxes()}
    parts = [
        *(_frame(one, style) for one in layout.frames),
        *(_line(arrow, points, layout.orient, style, boxes) for arrow, points in layout.routes),
        *_heads(layout, style),
        *(_box(box, layout.boxes[box.key], faces[box.key], style) for box in boxes.values()),
        *(_heading(one, style) for one in layout.frames),
    ]
    if legend:
        keys = keys_of(scene)
        rows = widths_of(keys, max(width, 420.0))
        parts += _legend(keys, rows, height, style)
        width = max(width, *(at + key.width for key, (at, _) in zip(keys, rows, strict=True)), 0.0)
        height += LEGEND * 0.6 * (rows[-1][1] + 1) + 10
    return whole(f"Pipeline {scene.title}", width, height, parts, style)


def whole(title: str, width: float, height: float, parts: Iterable[str], style: Style) -> str:
    """An SVG document of its own."""
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{style.paper}"/>\n' if style.paper else ""
    name = escaped(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{name}" font-family="{FONT}" '
        f'style="max-width:100%;height:auto">\n<title>{name}</title>\n{paper}' + "\n".join(parts) + "\n</svg>\n"
    )


def escaped(value: str, most: int = 1_000) -> str:
    """Foreign text for XML."""
    return html.escape(foreign(value, most))


def words(line: Line, x: float, y: float, style: Style, *, anchor: str = "middle") -> str:
    """One line of text, on the base line *y*."""
    tones = {"ink": style.ink, "soft": style.soft, "bound": style.bound}
    spans = (
        f'<tspan fill="{tones[span.tone]}" font-size="{span.size:g}"{_BOLD * span.bold}>{escaped(span.text)}</tspan>'
        for span in line
    )
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{"".join(spans)}</text>'


def shape(rect: Rect, paint: Paint, radius: float, *, thick: float = 1.5, more: str = "") -> str:
    """A rectangle with round corners."""
    return (
        f'<rect x="{rect.x:g}" y="{rect.y:g}" width="{rect.width:g}" height="{rect.height:g}" rx="{radius:g}" '
        f'fill="{paint.fill}" stroke="{paint.line}" stroke-width="{thick:g}"{more}/>'
    )


def _stack(rect: Rect, paint: Paint, radius: float, step: float) -> str:
    """The sheets behind what runs once for each item."""
    sheets = (Rect(rect.x + far, rect.y + far, rect.width, rect.height) for far in (2 * step, step))
    return "".join(shape(sheet, paint, radius, thick=1) for sheet in sheets)


# --- boxes and frames -----------------------------------------------------------------------------------------------


def _box(box: Box, rect: Rect, face: Face, style: Style) -> str:
    paint = {"input": style.input, "node": style.node, "pipeline": style.pipeline}[box.kind]
    radius = min(rect.height / 2, 14.0) if box.kind == "input" else 9.0
    stack = _stack(rect, paint, radius, 4.0) if box.over else ""
    more = _DASHES if box.is_optional else ""
    outline = shape(rect, paint, radius, thick=1.25 if box.kind == "input" else 1.5, more=more)
    top = rect.y + (rect.height - ROW * len(face.lines)) / 2 + 12.5
    lines = (
        words(line, rect.x + rect.width / 2, round(top + ROW * place, 2), style)
        for place, line in enumerate(face.lines)
    )
    idle = ' opacity="0.4"' if box.is_idle else ""
    about = box.about + ("\nnever runs here: nobody asks for what it gives" if box.is_idle else "")
    return (
        f'<g class="{box.kind}" data-key="{escaped(box.key)}"{idle}><title>{escaped(about)}</title>'
        f"{stack}{outline}{''.join(lines)}</g>"
    )


def _frame(placed: PlacedFrame, style: Style) -> str:
    frame, rect = placed.frame, placed.rect
    stack = _stack(rect, style.frame, 12.0, STACK) if frame.over else ""
    return f'<g class="frame" data-key="{escaped(frame.key)}">{stack}{shape(rect, style.frame, 12.0, thick=1.25)}</g>'


def _heading(placed: PlacedFrame, style: Style) -> str:
    rect = placed.title_at
    fill = style.paper or "#ffffff"
    full = placed.frame.title + (f" over {placed.frame.over}" if placed.frame.over else "")
    return (
        f'<g class="heading"><title>{escaped(full)}</title>'
        f"{shape(rect, Paint(fill, style.frame.line), 6.0, thick=1)}"
        f"{words(placed.title, rect.x + 8, rect.y + 14.2, style, anchor='start')}</g>"
    )


# --- arrows ---------------------------------------------------------------------------------------------------------


def _line(arrow: Arrow, points: Sequence[Point], orient: Orient, style: Style, boxes: Mapping[str, Box]) -> str:
    dashes = _DASHES if arrow.is_optional else ""
    ends = (boxes[arrow.source].title or "input", boxes[arrow.target].title)
    about = f"{', '.join(arrow.names)}: {ends[0]} → {ends[1]}"
    idle = ' opacity="0.4"' if boxes[arrow.target].is_idle else ""
    return (
        f'<path class="arrow" data-source="{escaped(arrow.source)}" data-target="{escaped(arrow.target)}" '
        f'd="{path_of(points, orient)}" fill="none" stroke="{style.edge}" stroke-width="1.5"{dashes}{idle}>'
        f"<title>{escaped(about)}</title></path>"
    )


def path_of(points: Sequence[Point], orient: Orient) -> str:
    """A line through *points*: straight along the picture and on tracks, with round corners there, else in curves."""
    line = [_along(point, orient) for point in points]
    parts = ["M", _at(line[0], orient)]
    for number, ((cross, main), (aside, ahead)) in enumerate(pairwise(line)):
        if cross == aside or main == ahead:
            corner = line[number + 2] if number + 2 < len(line) and _turns(line[number : number + 3]) else None
            parts += _straight((cross, main), (aside, ahead), corner, orient)
        else:
            middle = round((main + ahead) / 2, 2)
            ends = ((cross, middle), (aside, middle), (aside, ahead))
            parts += ["C", " ".join(_at(end, orient) for end in ends)]
    return "".join(parts)


def _straight(start: Point, end: Point, beyond: Point | None, orient: Orient) -> list[str]:
    """A straight line, with a round corner at its end where the line turns there."""
    if beyond is None:
        return ["L", _at(end, orient)]
    radius = min(ROUND, math.dist(start, end) / 2, math.dist(end, beyond) / 2)
    before, after = _towards(end, start, radius), _towards(end, beyond, radius)
    return ["L", _at(before, orient), "Q", _at(end, orient), " ", _at(after, orient)]


def _turns(line: Sequence[Point]) -> bool:
    """Whether three points are a corner of straight lines."""
    (one, low), (two, middle), (three, high) = line
    return (one == two and middle == high and two != three) or (low == middle and two == three and middle != high)


def _towards(start: Point, end: Point, far: float) -> Point:
    share = far / math.dist(start, end)
    return round(start[0] + (end[0] - start[0]) * share, 2), round(start[1] + (end[1] - start[1]) * share, 2)


def _along(point: Point, orient: Orient) -> Point:
    """(x, y) as what goes across the picture and what goes along it."""
    return point if orient == "TB" else (point[1], point[0])


def _at(point: Point, orient: Orient) -> str:
    x, y = _along(point, orient)
    return f"{x:g} {y:g}"


def _heads(layout: Layout, style: Style) -> Iterator[str]:
    """One head where arrows end, however many end there."""
    for x, y in dict.fromkeys(points[-1] for _, points in layout.routes):
        back, wide = HEAD, HEAD * 0.55
        if layout.orient == "TB":
            corners = f"M{x:g} {y:g}L{x - wide:g} {y - back:g}H{x + wide:g}Z"
        else:
            corners = f"M{x:g} {y:g}L{x - back:g} {y - wide:g}V{y + wide:g}Z"
        yield f'<path class="head" d="{corners}" fill="{style.edge}"/>'


# --- legend ---------------------------------------------------------------------------------------------------------


def _legend(keys: Sequence[Key], rows: Sequence[tuple[float, int]], top: float, style: Style) -> Iterator[str]:
    for key, (x, row) in zip(keys, rows, strict=True):
        y = top + LEGEND * 0.6 * row
        said = words(key.line, x + 36, y + 14, style, anchor="start")
        yield f'<g class="legend">{_sample(key, x, y, style)}{said}</g>'


def _sample(key: Key, x: float, y: float, style: Style) -> str:
    rect = Rect(x, y + 2, 26, 16)
    if key.kind == "bound":
        return f'<circle cx="{x + 13:g}" cy="{y + 10:g}" r="4" fill="{style.bound}"/>'
    paint = {"node": style.node, "pipeline": style.pipeline, "frame": style.frame}.get(key.kind, style.input)
    radius = 8.0 if key.kind in ("input", "optional") else 4.0
    if key.kind == "mapped":
        return _stack(Rect(x, y, 22, 13), style.pipeline, 4.0, 3.0) + shape(Rect(x, y, 22, 13), style.pipeline, 4.0)
    return shape(rect, paint, radius, more=_DASHES if key.kind == "optional" else "")
