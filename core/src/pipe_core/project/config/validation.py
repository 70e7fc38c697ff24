"""From merged values to models, with the place of every mistake."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pipe_core.project.config.fields import FIELDS, PLAIN
from pipe_core.project.config.interpolation import Interpolation, InterpolationError
from pipe_core.project.config.layers import Layers
from pipe_core.project.config.models import Config
from pipe_core.project.config.problems import Problems, nearest
from pipe_core.project.document import Place

_WORDS: Final = {
    "too_short": "it cannot be empty",
    "string_too_short": "it cannot be empty",
    "string_type": "it must be text. Quote it if it is",
    "tuple_type": "it must be a list",
    "dict_type": "it must be a mapping",
}

Model = TypeVar("Model", bound=Config)


class Reader:
    """Reads values of merged layers: ``${NAME}`` is put in, and models are made of them.

    Attributes:
        used: For each place, the names of variables in it and where their values came from.
    """

    def __init__(self, layers: Layers, problems: Problems) -> None:
        self._layers = layers
        self._problems = problems
        self.used: dict[Place, tuple[tuple[str, str], ...]] = {}
        variables = self._variables(layers.value.get("variables", {}))
        chosen = frozenset(name for name in variables if layers.origin(("variables", name)).layer == "overrides")
        self._interpolation = Interpolation(variables, os.environ, chosen)

    def _variables(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, value in values.items():
            if not name.isidentifier():
                self.wrong("the name of a variable is one word of letters, digits and '_'", ("variables", name))
            elif value is not None and not isinstance(value, str | int | float):
                self.wrong("a variable is text, a number, true or false", ("variables", name))
            else:
                found[name] = "" if value is None else value
        return found

    def wrong(self, text: str, place: Place, error: Exception | None = None) -> None:
        """Remember that *text* is wrong at *place*."""
        self._problems.add(self._layers.origin(place).problem(text, place, error))

    def read(self, model: type[Model], value: Any, place: Place, **given: Any) -> Model | None:
        """The *model* of *value*, which stands at *place*; None where it is wrong, which is remembered."""
        if isinstance(value, model):  # Python said it
            return value.model_copy(update=given)
        if not isinstance(value, Mapping):
            self.wrong(f"it must be a mapping with keys such as {', '.join(_keys(model)[:3])}", place)
            return None
        for key in given:
            if key in value:
                self.wrong(f"'{key}' is no key of a file: it is the key above", (*place, key))
        before = len(self._problems)
        values = self.put_in(value, place)
        if len(self._problems) > before:
            return None
        try:
            return model.model_validate({**values, **given})
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False, include_context=False):
                self._told(model, one, place, value)
            return None

    def put_in(self, value: Any, place: Place) -> Any:
        """*value* with every ``${NAME}`` in it replaced."""
        if isinstance(value, str):
            return self._text(value, place) if "$" in value else value
        if isinstance(value, Mapping):
            return {key: self.put_in(inner, (*place, key)) for key, inner in value.items() if inner is not None}
        if isinstance(value, list | tuple):
            return [self.put_in(inner, (*place, index)) for index, inner in enumerate(value)]
        return value

    def _text(self, text: str, place: Place) -> Any:
        used: list[tuple[str, str]] = []
        try:
            value = self._interpolation.text(text, lambda *one: used.append(one), secrets=_may_be_secret(place))
        except InterpolationError as error:
            self.wrong(str(error), place)
            return None
        if used:
            self.used[place] = tuple(dict.fromkeys(used))
        return value

    def check_unused(self) -> None:
        """Tell of circles of variables that nothing uses."""
        for name, text in self._interpolation.circles():
            self.wrong(text, ("variables", name))

    def _told(self, model: type[Config], error: Mapping[str, Any], place: Place, value: Any) -> None:
        at = tuple(part for part in error["loc"] if part not in (PLAIN, FIELDS))
        kind, message = error["type"], str(error["msg"])
        if kind == "extra_forbidden":
            known = _keys(_model_at(model, at[:-1]))
            message = f"there is no such key.{nearest(at[-1], known)} Known: {', '.join(known)}"
        elif kind == "missing":
            at, message = at[:-1], f"the key '{at[-1]}' is missing{'' if at[:-1] else self._meant(place)}"
        elif kind in _WORDS:
            message = _WORDS[kind]
        else:
            message = message.removeprefix("Value error, ").replace("Input should", "it should")
        self.wrong(message, (*place, *_as_said(at, value)))

    def _meant(self, place: Place) -> str:
        """What to say of a thing that only a layer upon the files says something of: is its name mistyped?"""
        layer = self._layers.origin(place).layer
        if layer != "overrides" and not layer.startswith("environment "):
            return ""
        section, name = str(place[0]), str(place[-1])
        known = [one for one in self._layers.value.get(section, {}) if one != name]
        return f", and nothing else says what '{name}' is.{nearest(name, known)}"


def _as_said(at: Place, value: Any) -> Place:
    """The place *at* without indexes of what the file says alone and not in a list."""
    found: list[str | int] = []
    for part in at:
        if isinstance(part, int) and not isinstance(value, list | tuple):
            continue
        found.append(part)
        is_inside = isinstance(value, Mapping) and part in value
        if is_inside or (isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)):
            value = value[part]
    return tuple(found)


def _may_be_secret(place: Place) -> bool:
    """Whether a secret may stand there: where only what opens data or executors reads it."""
    section, inner = place[0], place[2:]
    if section == "catalog":
        return inner[:1] in (("path",), ("options",))
    if section == "nodes" and inner[:1] in (("input",), ("output",)):
        return any(part in ("path", "options") for part in inner[1:3])
    at = place[1:] if section == "project" else inner
    return section in ("project", "nodes", "pipelines") and at[:1] == ("executor",) and len(at) > 1


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel]:
    """The model that a mapping at *place* inside *model* is read into."""
    for part in place:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if str(part) in fields:
            model = next(_models_in(fields[str(part)].annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
