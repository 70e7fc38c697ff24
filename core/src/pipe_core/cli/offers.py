"""What a plugin offers, as data and as text: options, capabilities, where it comes from."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin

from pipe_core.cli.output import public, redact, table
from pipe_core.kernel.index import PluginEntry
from pipe_core.kernel.kernel import Kernel

if TYPE_CHECKING:
    from pydantic import BaseModel

_COMMON: Final = {"factory", "options", "summary", "api_version", "capabilities"}


def describe(kernel: Kernel, entry: PluginEntry) -> dict[str, Any]:
    """What is known of *entry*, as plain data."""
    facts: dict[str, Any] = {
        "family": entry.family,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "module": entry.module,
        "status": "blocked" if entry.blocked else "ok",
    }
    if entry.blocked:
        return {**facts, "reason": f"blocked by {entry.blocked}"}
    if (failure := kernel.failure(entry)) is not None:
        return {**facts, "status": "broken", "reason": redact(str(failure))}
    return {**facts, **_offer(kernel.spec(entry.family, entry.qualified))}


def _offer(spec: Any) -> dict[str, Any]:
    own = {field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in _COMMON}
    offer = {"summary": spec.summary, "api_version": spec.api_version, **own}
    if hasattr(spec, "capabilities"):
        offer["capabilities"] = asdict(spec.capabilities)
    words = _documented(spec.options)
    options = [_option(name, field, words.get(name, "")) for name, field in spec.options.model_fields.items()]
    return {**offer, "options": options}


def _documented(model: type[BaseModel]) -> Mapping[str, str]:
    """What the docstrings of *model* and its bases say of its fields, under ``Attributes:``."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for name, text in re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", section, re.MULTILINE):
            found[name] = " ".join(text.split())
    return found


def _type(annotation: Any) -> str:
    """A type as people write it, without the constraints that pydantic keeps beside it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " | ".join(map(repr, inner))
    if origin in (Union, types.UnionType):
        return " | ".join(map(_type, inner))
    if inner:
        return f"{origin.__name__}[{', '.join('...' if one is ... else _type(one) for one in inner)}]"
    return "None" if annotation is type(None) else str(getattr(annotation, "__name__", annotation))


def _option(name: str, field: Any, words: str) -> dict[str, Any]:
    required = field.is_required()
    default = None if required else field.get_default(call_default_factory=True)
    return {
        "name": name,
        "type": _type(field.annotation),
        "required": required,
        "default": public(default),
        "description": field.description or words,
    }


def as_text(facts: dict[str, Any]) -> str:
    """What `describe` gave, for people."""
    head = [(key, _plain(value)) for key, value in facts.items() if key not in ("options", "capabilities")]
    lines = [table([(f"{key}:", value) for key, value in head if value != ""])]
    if facts.get("capabilities"):
        lines.append("capabilities:\n" + table([(k, _plain(v)) for k, v in facts["capabilities"].items()], indent="  "))
    if facts.get("options"):
        lines.append("options:\n" + "\n".join(_option_text(one) for one in facts["options"]))
    elif "options" in facts:
        lines.append("options: none")
    return "\n".join(lines)


def _option_text(option: dict[str, Any]) -> str:
    default = "required" if option["required"] else f"default {option['default']!r}"
    head = f"  {option['name']}: {option['type']}, {default}"
    return f"{head}\n      {option['description']}" if option["description"] else head


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
