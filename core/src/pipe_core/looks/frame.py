"""What is around every page: one HTML file with its style inside, which runs nothing and fetches nothing."""

from __future__ import annotations

from typing import Final

from pipe_core.looks.style import STYLE

# The browser is told to hold the page to that.
_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
"""
_FOOT: Final = "<footer>Made by pipe. This page needs nothing beside itself and loads nothing from elsewhere.</footer>"


def page(title: str, body: str, *, style: str = "") -> str:
    """A page.

    Args:
        title: HTML text.
        body: HTML.
        style: Of this kind of page, beside that of all.
    """
    return (
        f"{_HEAD}<title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}\n{_FOOT}\n"
        f"</main>\n</body>\n</html>\n"
    )
