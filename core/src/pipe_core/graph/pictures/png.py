"""SVG as PNG, where `resvg-py` is installed."""

from __future__ import annotations

import importlib
from typing import Any, Final

from pipe_core.graph.pictures.errors import PictureError

INSTALL: Final = "pip install 'pipe-core[pictures]'"

_BLANK: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'
_LETTER: Final = '<text x="2" y="16" font-family="sans-serif" font-size="14">n</text>'


def png_of(svg: str, *, scale: float = 2.0) -> bytes:
    """*svg* as PNG, *scale* pixels for each of its units.

    Raises:
        PictureError: What draws it is not installed, or this machine has no font to write with.
    """
    drawer = _drawer()
    found = _drawn(drawer, svg, scale)
    if "<text" in svg and _drawn(drawer, _BLANK.format(_LETTER), 1.0) == _drawn(drawer, _BLANK.format(""), 1.0):
        raise PictureError(
            "This machine has no font, so the names in the picture would be missing. Install one, such as the package "
            "fonts-dejavu-core of Debian, or write SVG, which is drawn with the fonts of whoever looks at it."
        )
    return found


def _drawn(drawer: Any, svg: str, scale: float) -> bytes:
    return bytes(drawer.svg_to_bytes(svg_string=svg, zoom=scale))


def _drawer() -> Any:
    try:
        return importlib.import_module("resvg_py")
    except ImportError as error:
        raise PictureError(
            f"PNG is drawn by resvg-py, which is not installed. Install it with: {INSTALL}. "
            f"SVG, HTML, Mermaid and text need nothing.",
            missing="resvg_py",
        ) from error
