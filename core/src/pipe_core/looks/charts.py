"""Bars, tables and axes of pages: every bar stands beside the figures that it draws."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pipe_core.looks.wording import foreign

_STEPS: Final = (1, 2, 5)


def safe(value: Any, most: int = 300) -> str:
    """*value* from anywhere as HTML text."""
    return html.escape(foreign(value, most))


def bar(part: float, whole: float, tone: str) -> str:
    """One bar: the share of *part* in *whole*, which is the widest of its chart."""
    width = 100 * part / whole if whole else 0
    return f'<span class="bar" aria-hidden="true"><i class="{tone}" style="width:{width:.2f}%"></i></span>'


def stack(parts: Iterable[tuple[int, str]], rest: int = 0) -> str:
    """A bar of several parts, each a number and a tone, that share its width; *rest* stays empty."""
    pieces = (f'<i class="{tone}" style="flex-grow:{part}"></i>' for part, tone in (*parts, (rest, "rest")) if part)
    return f'<div class="stack" aria-hidden="true">{"".join(pieces)}</div>'


def table(caption: str, heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already. *heads* are texts and classes of the columns."""
    top = "".join(f'<th scope="col" class="{name}">{text}</th>' for text, name in heads)
    body = "".join(f"<tr>{_cells(row, heads)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption>{caption}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], heads: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<td class="{name}">{cell}</td>' for cell, (_, name) in zip(row, heads, strict=True))


def section(title: str, *content: str, kind: str = "") -> str:
    """A part of the page under a heading of its own. *kind* is a class of the style."""
    name = title.lower().replace(" ", "-")
    return f'<section class="{kind}" aria-labelledby="{name}"><h2 id="{name}">{title}</h2>{"".join(content)}</section>'


def ticks(span: float) -> list[float]:
    """Round times from 0 to *span* seconds, five to ten of them."""
    if span <= 0:
        return [0.0]
    power = 1e-9
    while True:
        for step in _STEPS:
            if span / (power * step) <= 10:
                return [power * step * i for i in range(int(span / (power * step)) + 1)]
        power *= 10
