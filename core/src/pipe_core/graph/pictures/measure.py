"""How wide text is, without a font to ask: a little wider than the usual ones draw it."""

from __future__ import annotations

import unicodedata
from typing import Final

FONT: Final = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

# Thousandths of the size, between Arial and the wider DejaVu Sans.
_GROUPS: Final = {
    240: "ijl'|",
    300: "\u00a0 !,./:;I[]\\ft`",
    360: 'r()-{}*"',
    520: "Jckszvxy",
    590: "0123456789abdeghnopqu_?$^LTFEZ",
    640: "#+<>=~BKPSXYAVR",
    730: "CDHNUwG&O",
    800: "QM",
    880: "m",
    960: "W%@→…●\u00d7",
}
_WIDTHS: Final = {character: width / 1000 for width, characters in _GROUPS.items() for character in characters}
_BOLD: Final = 1.12


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """How wide one line of *text* is, in the units of *size*."""
    whole = sum(_WIDTHS[one] if one in _WIDTHS else _unusual(one) for one in text)
    return whole * size * (_BOLD if bold else 1.0)


def _unusual(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.75


def shortened(text: str, most: float, size: float, *, bold: bool = False) -> str:
    """*text*, or as much of its beginning as is not wider than *most*, with an ellipsis."""
    if width_of(text, size, bold=bold) <= most:
        return text
    room = most - width_of("…", size, bold=bold)
    end, used = 0, 0.0
    for character in text:
        used += width_of(character, size, bold=bold)
        if used > room:
            break
        end += 1
    return text[:end].rstrip() + "…"
