"""Secrets: configuration names them, ``${secret:NAME}``, and holds no more than the name.

What is in them is put in its place by `reveal` at the moment when it is used: nothing before that can show it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pipe_core.kernel.errors import ConfigError
from pipe_core.kernel.urls import HIDDEN

SECRET: Final = "${secret:"
_REFERENCE: Final = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}")

T = TypeVar("T")


def has_secret(value: Any) -> bool:
    """Whether something in *value* refers to a secret."""
    if isinstance(value, str):
        return SECRET in value
    if isinstance(value, Mapping):
        return any(has_secret(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(has_secret(inner) for inner in value)


def reveal(value: T) -> T:
    """*value*, plain data, with secrets in the place of their references.

    A secret is an environment variable. Inside a URL it is percent-encoded, so that it cannot end the part that it
    stands in.

    Raises:
        ConfigError: There is no such variable.
    """
    return _reveal(value)  # type: ignore[no-any-return]  # plain data of the same shape


def hidden(text: str, said: Any) -> str:
    """*text* with ``***`` in the place of every secret that *said*, plain data, refers to."""
    found = {os.environ.get(name, "") for name in _names(said)}
    for secret in sorted(filter(None, found), key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), repr(secret)[1:-1]):
            text = text.replace(form, HIDDEN)
    return text


def conceal(error: BaseException, said: Any) -> None:
    """Hide in *error*, and in what it was raised from, every secret that *said*, plain data, refers to."""
    if not has_secret(said):
        return
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        one = errors.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(hidden(part, said) if isinstance(part, str) else part for part in one.args)
        for name, value in vars(one).items():
            if isinstance(value, str):
                setattr(one, name, hidden(value, said))
        errors += [one.__cause__, one.__context__]


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


def _reveal(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value) if SECRET in value else value
    if isinstance(value, Mapping):
        return {key: _reveal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_reveal(inner) for inner in value])
    return value


def _text(text: str) -> str:
    def secret(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise ConfigError(
                f"There is no secret '{name}' here: the environment variable of that name is not set. "
                f"Set it where this runs.",
                path="the environment",
                key=name,
            )
        inside_a_url = "://" in text[: found.start()]
        return quote(os.environ[name], safe="") if inside_a_url else os.environ[name]

    return _REFERENCE.sub(secret, text)
