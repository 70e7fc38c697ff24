"""URLs of files as people give them: which part names the file, and which part nobody may see."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
WEB: Final = frozenset({"http", "https"})
_CONTAINERS: Final = frozenset({"abfs", "abfss", "wasb", "wasbs"})
"""Schemes that write a container where others write a user: ``abfs://container@account/path``."""
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_QUERY: Final = re.compile(r"[?](?=[^/]*=|\*{3}$)")
"""A query of any other scheme than the web's. There ``?`` may as well stand for a character, as in ``part-?.csv``."""
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_CHAINED: Final = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]+://)")
"""What stands in front of a URL that another one leads to: ``simplecache::https://host/file``."""


def scheme_of(target: str) -> str | None:
    """The scheme of a URL; None for a path. One letter is a drive."""
    found = _SCHEME.match(target)
    return found[1] if found else None


def without_query(target: str) -> str:
    """A path or URL up to what names the file: its suffixes are those of the file."""
    scheme = scheme_of(target)
    if scheme is None:
        return target
    found = re.search(r"[?#]", target) if scheme in WEB else _QUERY.search(target)
    return target[: found.start()] if found else target


def is_pattern(target: str) -> bool:
    """Whether a URL means many files. On the web only ``*`` does: ``?`` begins a query there."""
    _, _, rest = without_query(target).partition("://")
    _, _, path = rest.partition("/")
    if scheme_of(target) in WEB:
        return "*" in path
    return "*" in rest or "?" in rest or "[" in path  # in front of the path, a bracket begins an address


def redacted(target: str) -> str:
    """*target*, a URL without its user, password and query; a path as it is."""
    scheme = scheme_of(target)
    if scheme is None:
        chained = _CHAINED.search(target)
        return f"{target[: chained.end()]}{redacted(target[chained.end() :])}" if chained else target
    shown = without_query(target)
    query = f"?{HIDDEN}" if len(shown) < len(target) else ""
    begin = len(scheme) + 3
    at = _end_of_user(shown[begin:], scheme)
    return f"{scheme}://{HIDDEN}{shown[begin + at :]}{query}" if at else f"{shown}{query}"


def _end_of_user(rest: str, scheme: str) -> int:
    """Where the ``@`` behind a user stands, 0 where there is none."""
    host = rest.partition("/")[0]
    user, separator, _ = host.rpartition("@")
    if separator:
        return 0 if scheme in _CONTAINERS and ":" not in user else len(user)
    # A password with an unescaped '/' ends what a parser takes for the host. A port is a number.
    _, colon, behind = host.partition(":")
    return rest.rfind("@") if colon and not behind.isdecimal() and "@" in rest else 0


def redacted_text(text: str) -> str:
    """*text* with every URL in it redacted."""
    return _URL.sub(lambda found: redacted(found[0]), text)


def local_path(target: str) -> str:
    """The path that a URL such as ``file:///data/orders.csv`` means; anything else as it is."""
    if not target.lower().startswith("file://"):
        return target
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # which brings half of a web client

    return url2pathname(urlsplit(target).path)
