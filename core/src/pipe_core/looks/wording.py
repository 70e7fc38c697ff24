"""Numbers, times and foreign text in words for people: what pages, views and observers share."""

from __future__ import annotations

import re
from typing import Any, Final

# Control characters, line and paragraph separators, marks that turn the direction of text, halves of characters.
# Whoever reads a terminal, a log or a page must see them, not obey them.
_UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_BREAKS: Final = re.compile(r"[\t\n ]+")


def foreign(value: Any, most: int = 300) -> str:
    """*value* as text that is safe to show: shortened to *most* characters, unseen characters spelled out."""
    text = str(value)
    left = len(text) - most
    shown = _UNSEEN.sub(_spelled, text[:most])
    return shown if left <= 0 else f"{shown.rstrip()}… ({left:,} more characters)"


def one_line(value: Any, most: int = 200) -> str:
    """As `foreign`, on one line."""
    return _BREAKS.sub(" ", foreign(value, most)).strip()


def _spelled(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def number(count: int) -> str:
    """``1234567`` as ``1,234,567``."""
    return f"{count:,}"


def several(count: int, noun: str) -> str:
    """``1 record``, ``2 records``, ``1,000 records``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(part: float, whole: float) -> str:
    """A share that is never rounded to nothing or to everything: ``<0.1 %``, ``>99.9 %``."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    return f"{share:.0f} %" if share == round(share) else f"{share:.1f} %"


def duration(seconds: float) -> str:
    """Seconds as ``35 ms``, ``2.41 s``, ``1 min 05 s`` or ``3 h 07 min``."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms" if seconds > 0 else "0 s"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def rate(per_second: float) -> str:
    """Records a second, as ``12,400/s`` or ``0.25/s``."""
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s"
