"""The colours of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pipe_core.graph.errors import GraphError
from pipe_core.kernel.index import suggestion
from pipe_core.looks.style import DARK, LIGHT


@dataclass(frozen=True, slots=True)
class Paint:
    """How one kind of shape is filled and bordered."""

    fill: str
    line: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a picture looks.

    Attributes:
        paper: Behind all; empty for nothing.
        ink: Of names.
        soft: Of types and all else that is said beside.
        edge: Of arrows.
        bound: The mark of a bound input.
        node: A node.
        pipeline: A nested pipeline that is not opened.
        input: An input.
        frame: Around a nested pipeline that is opened.
        series: Colours for kinds of bars.
    """

    paper: str
    ink: str
    soft: str
    edge: str
    bound: str
    node: Paint
    pipeline: Paint
    input: Paint
    frame: Paint
    series: tuple[str, ...]


def mixed(colour: str, ground: str, share: float) -> str:
    """*share* of *colour* on *ground*, both as ``#rrggbb`` or ``#rgb``."""
    pairs = zip(_parts(colour), _parts(ground), strict=True)
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)


def readable(ground: str, *inks: str) -> str:
    """The one of *inks* that differs most from *ground* in how light it is."""
    return max(inks, key=lambda ink: contrast(ink, ground))


def contrast(one: str, other: str) -> float:
    """How much two colours differ in how light they are, from 1 to 21, as WCAG 2 defines it."""
    low, high = sorted((_light(one), _light(other)))
    return (high + 0.05) / (low + 0.05)


def _light(colour: str) -> float:
    parts = (part / 255 for part in _parts(colour))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(colour: str) -> tuple[int, ...]:
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return tuple(int(digits[place : place + 2], 16) for place in (0, 2, 4))


def _tinted(colours: dict[str, str], paper: str, strength: float) -> Style:
    """A style of tinted shapes."""

    def paint(name: str, fill: float, line: float) -> Paint:
        return Paint(mixed(colours[name], paper, fill * strength), mixed(colours[name], paper, line))

    series = [colours[name] for name in ("read", "valid", "expanded", "warn", "dropped")]
    series += [mixed(colours[name], paper, 0.45) for name in ("read", "valid", "expanded", "warn")]
    return Style(
        paper=paper,
        ink=colours["ink"],
        soft=colours["soft"],
        edge=mixed(colours["soft"], paper, 0.75),
        bound=colours["valid"],
        node=paint("read", 0.11, 0.8),
        pipeline=paint("expanded", 0.12, 0.8),
        input=Paint(colours["track"], mixed(colours["dropped"], paper, 0.75)),
        frame=paint("expanded", 0.045, 0.5),
        series=tuple(series),
    )


def _minimal() -> Style:
    """Lines, and nothing behind them."""
    ink, soft = LIGHT["ink"], LIGHT["soft"]
    plain = Paint(LIGHT["card"], mixed(ink, "#fff", 0.55))
    quiet = Paint(LIGHT["card"], mixed(soft, "#fff", 0.4))
    return Style(
        paper="",
        ink=ink,
        soft=soft,
        edge=mixed(soft, "#fff", 0.7),
        bound=soft,
        node=plain,
        pipeline=plain,
        input=quiet,
        frame=Paint("none", mixed(soft, "#fff", 0.4)),
        series=tuple(mixed(LIGHT["read"], "#fff", share) for share in (0.75, 0.45, 0.95, 0.3, 0.6)),
    )


def _monochrome() -> Style:
    """Black on white, for print."""
    return Style(
        paper="#ffffff",
        ink="#000000",
        soft="#444444",
        edge="#000000",
        bound="#000000",
        node=Paint("#ffffff", "#000000"),
        pipeline=Paint("#e4e4e4", "#000000"),
        input=Paint("#f4f4f4", "#666666"),
        frame=Paint("#f9f9f9", "#888888"),
        series=("#3a3a3a", "#8c8c8c", "#5e5e5e", "#b4b4b4", "#1a1a1a", "#a0a0a0"),
    )


STYLES: Final = MappingProxyType(
    {
        "default": _tinted(LIGHT, LIGHT["card"], 1.0),
        "dark": _tinted(DARK, DARK["paper"], 1.9),
        "minimal": _minimal(),
        "monochrome": _monochrome(),
    }
)


def style_called(name: str) -> Style:
    """The style of that *name*.

    Raises:
        GraphError: There is none.
    """
    if name not in STYLES:
        raise GraphError(
            f"There is no style {name!r} for pictures.{suggestion(str(name), STYLES)} There are: {', '.join(STYLES)}"
        )
    return STYLES[name]
