"""Layers of configuration, merged by key, with the place where each value was said.

The first layer is the project's file and what it includes; the environment and the command line lie upon it. Where a
layer says a key that is there already, mappings are merged and everything else is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.project.config.problems import Problem
from pipe_core.project.document import Document, Place, dotted


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was said.

    Attributes:
        layer: What said it: ``pipe.yaml``, ``environment prod``, ``--set``.
        document: The document.
        at: The place in the document.
        value: The value as it stands there.
        previous: What it replaced.
    """

    layer: str
    document: Document
    at: Place
    value: Any
    previous: Origin | None = None

    def inner(self, more: Place) -> Origin:
        """The origin of what stands *more* keys inside."""
        if not more:
            return self
        return Origin(self.layer, self.document, (*self.at, *more), _at(self.value, more, None))

    @property
    def line(self) -> int | None:
        """The line, where the document has lines."""
        return self.document.line(self.at) if self.document.lines else None

    def shown(self, folder: Path) -> str:
        """The place as people write it: ``pipe.yaml:12``, the file relative to *folder*."""
        path = self.document.path
        name = str(path.relative_to(folder)) if path.is_absolute() and path.is_relative_to(folder) else str(path)
        return f"{name}:{self.line}" if self.line else name

    def problem(self, text: str, key: Place | None = None, error: Exception | None = None) -> Problem:
        """The problem *text* at this place; *key* is how to name it where that is not the place itself."""
        return Problem(text, str(self.document.path), self.line, dotted(self.at if key is None else key) or None, error)


class Layers:
    """Values of all layers, and their origins.

    Attributes:
        value: The merged values. Never changed in place: what a document holds may be in it twice.
    """

    def __init__(self, document: Document, layer: str) -> None:
        self.value: Mapping[str, Any] = {}
        # An origin holds for everything inside its place that has none of its own.
        self._origins: dict[Place, Origin] = {(): Origin(layer, document, (), document.value)}

    def origin(self, place: Place) -> Origin:
        """Where the value at *place* was said, or what is nearest around it."""
        for end in range(len(place), 0, -1):
            found = self._origins.get(place[:end])
            if found is not None:
                return found.inner(place[end:])
        return self._origins[()].inner(place)

    def has(self, place: Place) -> bool:
        """Whether any layer says something at *place*."""
        return _at(self.value, place, _NOTHING) is not _NOTHING

    def add(self, document: Document, layer: str, place: Place, at: Place, value: Any) -> None:
        """Put *value*, which stands in *document* under *at*, to *place*, where nothing is yet."""
        self.value = _put(self.value, place, value)
        self._origins[place] = Origin(layer, document, at, value)

    def lay(self, document: Document, layer: str, at: Place, values: Mapping[str, Any]) -> None:
        """Lay *values*, which stand in *document* under *at*, upon what there is."""
        self.value = self._laid(self.value, Origin(layer, document, at, values), (), values)

    def _laid(self, below: Mapping[str, Any], top: Origin, place: Place, values: Mapping[str, Any]) -> dict[str, Any]:
        merged = dict(below)
        for key, value in values.items():
            inner = (*place, key)
            old = merged.get(key)
            if isinstance(old, Mapping) and isinstance(value, Mapping):
                merged[key] = self._laid(old, top.inner((key,)), inner, value)
                continue
            previous = self.origin(inner) if key in merged else None
            self._forget(inner)
            new = top.inner((key,))
            self._origins[inner] = Origin(new.layer, new.document, new.at, value, previous)
            merged[key] = value
        return merged

    def _forget(self, place: Place) -> None:
        for known in [one for one in self._origins if one[: len(place)] == place]:
            del self._origins[known]

    def history(self, place: Place) -> Iterator[Origin]:
        """The origins of the value at *place*, the one that holds first."""
        origin: Origin | None = self.origin(place)
        while origin is not None:
            yield origin
            origin = origin.previous


_NOTHING: Final = object()


def _at(value: Any, place: Place, default: Any) -> Any:
    """What stands at *place* inside *value*."""
    for part in place:
        is_key = isinstance(value, Mapping) and part in value
        if not is_key and not (isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)):
            return default
        value = value[part]
    return value


def _put(values: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    first, *rest = place
    inner = values.get(str(first))
    below = inner if isinstance(inner, Mapping) else {}
    return {**values, str(first): _put(below, tuple(rest), value) if rest else value}
