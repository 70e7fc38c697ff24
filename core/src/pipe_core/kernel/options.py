"""Options: raw values from wherever they were said become a plugin's validated options model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.families import FAMILIES
from pipe_core.kernel.index import PluginEntry, suggestion
from pipe_core.kernel.settings import Setting

if TYPE_CHECKING:
    from pydantic import BaseModel


def validate(entry: PluginEntry, model: type[BaseModel], raw: Mapping[str, Setting]) -> BaseModel:
    """The options of *entry*, with every problem named together with the place that its value came from.

    Raises:
        OptionsError: An option is unknown, missing or of a wrong type.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate({name: setting.value for name, setting in raw.items()})
    except ValidationError as error:
        problems = {
            ".".join(map(str, problem["loc"])): _problem(problem["type"], problem["msg"], problem["loc"], model, raw)
            for problem in error.errors(include_url=False, include_input=False)
        }
    known = ", ".join(model.model_fields) or "none"
    who = f"{FAMILIES[entry.family].word} '{entry.name}' ({entry.distribution} {entry.version})"
    text = " ".join(_sentence(f"{name}: {problem}" if name else problem) for name, problem in problems.items())
    # Not from inside of `except`: pydantic's error holds the values, secrets among them, and would stay in its context.
    raise OptionsError(f"Wrong options for the {who}: {text} Its options: {known}.", problems=problems)


def _problem(
    kind: str, message: str, place: tuple[int | str, ...], model: type[BaseModel], raw: Mapping[str, Setting]
) -> str:
    name = str(place[0]) if place else ""
    source = f" (from {raw[name].source})" if name in raw else ""
    if kind == "extra_forbidden":
        return f"there is no such option{source}.{suggestion(name, model.model_fields)}"
    return f"{message}{source}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."
