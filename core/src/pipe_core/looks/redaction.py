"""Text and data without what is nobody's business: passwords and tokens are hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

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
        inner = [public(one) for one in value]
        return tuple(inner) if type(value) is tuple else inner
    return value
