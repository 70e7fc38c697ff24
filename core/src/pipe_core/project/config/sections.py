"""The sections that any file of a project may have, and what is said in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipe_core.project.config.layers import Layers
from pipe_core.project.config.problems import Problem, Problems, nearest
from pipe_core.project.document import Document, Place, dotted

SECTIONS: Final = ("project", "variables", "catalog", "nodes", "pipelines")
"""What any file of a project may say."""
TOP: Final = (*SECTIONS, "include", "environments")
"""What the project's own file may say."""
BASE: Final = "base"
"""The environment that adds nothing."""
MAX_NAME: Final = 200
ENVIRONMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_keys(
    document: Document, found: Mapping[Any, Any], place: Place, known: tuple[str, ...], problems: Problems
) -> None:
    """Tell of every key of *found*, which stands at *place*, that is none of *known*."""
    for key in found:
        if key not in known:
            text = f"there is no such key.{nearest(key, known)} Known: {', '.join(known)}"
            problems.add(problem_at(document, text, (*place, key)))


def add_section(layers: Layers, document: Document, place: Place, values: Any, problems: Problems) -> None:
    """Put what a section says to what other files have said of it."""
    for key, value in entries(document, place, values, problems):
        inner = (*place, key)
        there = layers.value
        for part in place:
            there = there.get(str(part), {})
        if key in there:
            first = layers.origin(inner)
            text = f"this is said twice: in {document.path.name} and in {first.shown(document.path.parent)}"
            problems.add(problem_at(document, text, inner))
            continue
        layers.add(document, document.path.name, inner, inner, value)


def entries(document: Document, place: Place, values: Any, problems: Problems) -> Iterator[tuple[str, Any]]:
    """The names in a section and what is said of each, with what a text or a list alone stands for."""
    if values is None:
        return
    if not isinstance(values, Mapping):
        problems.add(problem_at(document, "it must be a mapping: one 'name: ...' a line", place))
        return
    for key, value in values.items():
        if not isinstance(key, str) or not key or "\0" in key or len(key) > MAX_NAME:
            problems.add(
                problem_at(document, f"{shortened(key)} is no name. Quote it if it is one", (*place, str(key)))
            )
            continue
        yield key, _expanded(str(place[-1]), value)


def _expanded(section: str, value: Any) -> Any:
    if section == "catalog" and isinstance(value, str):
        return {"path": value}
    if section == "nodes" and (isinstance(value, str) or callable(value)):
        return {"function": value}
    return {"nodes": value} if section == "pipelines" and isinstance(value, list | tuple) else value


def add_environments(layers: Layers, document: Document, top: Mapping[str, Any], problems: Problems) -> None:
    """Put what a file says of environments to what other files have said of them."""
    for name, sections in entries(document, ("environments",), top.get("environments"), problems):
        place = ("environments", name)
        if not ENVIRONMENT.fullmatch(name) or name == BASE:
            problems.add(problem_at(document, f"'{name}' cannot be the name of an environment", place))
            continue
        if sections is not None and not isinstance(sections, Mapping):
            problems.add(problem_at(document, f"it must be a mapping with some of {listed(SECTIONS)}", place))
            continue
        if name not in layers.value.get("environments", {}):
            layers.add(document, document.path.name, place, place, {})
        check_keys(document, sections or {}, place, SECTIONS, problems)
        for section in SECTIONS:
            add_section(layers, document, (*place, section), (sections or {}).get(section), problems)


# --- messages ---


def problem_at(document: Document, text: str, place: Place) -> Problem:
    """The problem *text* at *place* of the document."""
    return Problem(text, str(document.path), document.line(place) if document.lines else None, dotted(place) or None)


def listed(names: tuple[str, ...]) -> str:
    """Keys, for messages."""
    return ", ".join(f"{name}:" for name in names)


def shortened(value: Any) -> str:
    """*value* as code, no longer than a message bears."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
