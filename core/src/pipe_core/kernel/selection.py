"""Selections: the ways in which people say which plugin they want.

``"ray"``, ``"pipe-ray:ray"``, ``"ray://head:10001?namespace=x"``, ``("ray", {"num_cpus": 4})``,
``{"name": "ray", "num_cpus": 4}``, an instance of the plugin's options model, or a finished object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pipe_core.kernel.errors import OptionsError


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for: a name with options, or an options model, or a finished product."""

    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    model: Any = None
    product: Any = None


def parse(value: Any, word: str) -> Selection:
    """Understand *value*, however it was said. *word* is the family's, for messages.

    Raises:
        OptionsError: It is none of the known forms.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), word)
    if isinstance(value, Mapping):
        return _from_mapping(value, word)
    if isinstance(value, tuple | list):
        return _from_pair(value, word)
    if hasattr(type(value), "model_fields"):
        return Selection(model=value)
    return Selection(product=value)


def _from_text(text: str, word: str) -> Selection:
    if not text:
        raise OptionsError(f"The name of the {word} is empty. Give a name such as 'sync', or leave it out.")
    name, separator, rest = text.partition("://")
    place, _, query = rest.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if place:  # without the distribution that may qualify the name: the address is for the backend
        options["address"] = f"{name.rpartition(':')[2]}{separator}{place}"
    return Selection(name=name, options=options)


def _from_mapping(value: Mapping[str, Any], word: str) -> Selection:
    options = dict(value)
    name = options.pop("name", None)
    if name is None:
        return Selection(options=options)
    chosen = parse(name, word)
    return Selection(name=chosen.name, options={**chosen.options, **options})


def _from_pair(value: tuple[Any, ...] | list[Any], word: str) -> Selection:
    match value:
        case [str() as name, Mapping() as options]:
            chosen = parse(name, word)
            return Selection(name=chosen.name, options={**chosen.options, **options})
        case _:
            raise OptionsError(f"{value!r} selects no {word}. Give a name, or (name, {{option: value}}).")
