"""What the commands write: tables, JSON, and nothing secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import click

HIDDEN: Final = "***"
_SECRET: Final = (
    "secret",
    "token",
    "password",
    "passwd",
    "pwd",
    "credential",
    "apikey",
    "api_key",
    "access_key",
    "auth",
)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>,]+")


def is_secret(name: str) -> bool:
    """Whether something of that name is likely to be a secret."""
    return any(word in name.lower() for word in _SECRET) or name.lower().endswith("_key")


def redact(text: str) -> str:
    """*text* with the passwords and tokens of the URLs in it hidden."""
    return _URL.sub(lambda found: _redact_url(found.group()), text)


def _redact_url(text: str) -> str:
    try:
        url = urlsplit(text)
        user, separator, host = url.netloc.rpartition("@")
    except ValueError:  # no URL after all, or a broken one, of which nothing is safe
        return f"{text.partition('://')[0]}://{HIDDEN}"
    if not separator and ":" in url.netloc and "@" in text:
        # A password with an unescaped '/', '?' or '#' ends what a parser takes for the host.
        return f"{url.scheme}://{HIDDEN}@{text.rpartition('@')[2]}"
    if separator:
        name = user.partition(":")[0]
        host = f"{name}:{HIDDEN}@{host}" if ":" in user else f"{HIDDEN}@{host}"
    query = url.query
    if any(is_secret(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        pairs = [(n, HIDDEN if is_secret(n) else v) for n, v in parse_qsl(query, keep_blank_values=True)]
        query = urlencode(pairs, safe="*", quote_via=quote)
    return url._replace(netloc=host, query=query).geturl() if (separator or query != url.query) else text


def public(value: Any) -> Any:
    """*value*, plain data, with secrets hidden: by the names of keys, and inside URLs."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: HIDDEN if is_secret(str(key)) and inner else public(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [public(one) for one in value]
    return value


def write_json(value: Any) -> None:
    """*value* as one JSON text on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] = (), *, indent: str = "") -> str:
    """*rows* as aligned columns: numbers to the right, and no spaces at the ends of lines."""
    body = [[_cell(value) for value in row] for row in rows]
    lines = [list(header), *body] if header else body
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    right = [bool(body) and all(_is_number(line[i]) for line in body) for i in range(len(lines[0]))]
    return "\n".join(indent + _row(line, widths, right) for line in lines)


def _row(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = [
        text.rjust(width) if number else text.ljust(width)
        for text, width, number in zip(line, widths, right, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").isdigit()
