"""What a store says when something goes wrong, as an OSError that holds no secret."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pipe_core.kernel.errors import PipeError
from pipe_core.kernel.urls import HIDDEN, redacted_text, without_query

_SHORTEST: Final = 3
"""Shorter values of options are no secrets, and hiding them would take every text apart."""
ACCESS: Final = "Is the store within reach, and are the credentials right? They go into the option storage_options."


class StoreError(OSError):
    """A store failed. `hint` is the next step."""

    def __init__(self, message: str, hint: str = ACCESS) -> None:
        super().__init__(message)
        self.hint = hint


@contextmanager
def store_errors(url: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Whatever a file system raises becomes an OSError without the secrets of *url* and *options*.

    The exception itself is not chained: its text, and that of its causes, may hold a signed URL or a key.
    """
    try:
        yield
    except (PipeError, StoreError):
        raise
    except Exception as error:
        raise _told(error, secrets_of(url, options)) from None


def _told(error: Exception, secrets: list[str]) -> OSError:
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and _from_the_web(cause) and getattr(cause, "status", None) != 404:
        error = cause  # type: ignore[assignment]  # fsspec says so of every answer but a good one
    text = scrubbed(_text(error), secrets)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, text)
    if isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, text)
    return StoreError(text)


def _from_the_web(cause: BaseException | None) -> bool:
    return cause is not None and (type(cause).__module__.startswith("aiohttp") or isinstance(cause, TimeoutError))


def _text(error: Exception) -> str:
    name = type(error).__name__
    text = getattr(error, "strerror", None) or str(error)
    if isinstance(error, NotImplementedError):
        return "its file system cannot do that"
    if not text:
        return name
    return text if isinstance(error, OSError) else f"{name}: {text}"


def scrubbed(text: str, secrets: list[str]) -> str:
    """*text* without the *secrets*, and without users, passwords and queries in URLs."""
    text = redacted_text(text)
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def secrets_of(url: str, options: Mapping[str, Any]) -> list[str]:
    """What nobody may see of *url* and *options*, the longest first."""
    found = {*_strings(options)}
    query = url[len(without_query(url)) + 1 :]
    found.update(query.split("&"), (value for _, value in parse_qsl(query)), [query])
    try:
        user, _, _ = urlsplit(url).netloc.rpartition("@")
    except ValueError:  # a broken URL: the file system will say so
        user = ""
    if ":" in user:
        found.update((user, user.partition(":")[2], unquote(user.partition(":")[2])))
    return sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _strings(inner)
