"""Finding the object that ``file.py:Object`` or ``package.module:Object`` names.

What a person types may be any file and any installed module. What a configuration file says reaches only code in its
own folder: ``os:system``, ``../other.py:Hook`` and walks such as ``file.py:Object.__class__`` are refused before
anything is imported.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, is_typeddict

from pipe_core.kernel.errors import ConfigError, SchemaError
from pipe_core.kernel.index import suggestion
from pipe_core.project.modules import ObjectNotFoundError as ObjectNotFoundError
from pipe_core.project.modules import import_module, not_found, shown

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What kind of object a reference is for."""

    word: str
    plural: str
    fits: Callable[[Any], bool]


def _is_model(value: Any) -> bool:
    return inspect.isclass(value) and (
        hasattr(value, "model_fields") or hasattr(value, "__dataclass_fields__") or is_typeddict(value)
    )


def _is_hook(value: Any) -> bool:
    return inspect.isfunction(value) or (inspect.isclass(value) and callable(getattr(value, "execute", None)))


def _is_pipeline(value: Any) -> bool:
    from pipe_core.graph.pipeline import Pipeline  # only who asks for one needs it

    return isinstance(value, Pipeline)


_SCHEMA = _Wanted("schema", "models", _is_model)
_HOOK = _Wanted("hook", "hooks", _is_hook)
_PIPELINE = _Wanted("pipeline", "pipelines", _is_pipeline)


def load_schema(reference: str, folder: Path | None = None) -> Any:
    """The schema that *reference* names.

    Args:
        reference: ``file.py:Name`` or ``package.module:Name``.
        folder: For references from a configuration file, its folder: nothing outside is reached. None for what a
            person typed: relative to the working folder, and installed modules count.

    Raises:
        ObjectNotFoundError: It names nothing that is there, or nothing that it may name.
        ConfigError: The file cannot be imported; names the line.
        SchemaError: What it names is no schema; lists those that the file has.
    """
    from pipe_core.records.schema import Schema

    module, kind = _load(reference, folder, _SCHEMA)
    try:
        Schema(kind)
    except SchemaError as error:
        raise SchemaError(f"{reference} {_why_no_schema(kind, error)}{_candidates(module, _SCHEMA)}") from error
    return kind


def _why_no_schema(kind: Any, error: SchemaError) -> str:
    if not inspect.isclass(kind):
        what = "a function" if inspect.isroutine(kind) else f"of type {type(kind).__name__}"
        return f"is {what}, no schema. Name a pydantic model, a dataclass or a TypedDict."
    if type(error.__cause__).__name__ == "PydanticSchemaGenerationError" and not _is_model(kind):
        return "is a plain class, no schema. Derive it from pydantic.BaseModel, or make it a dataclass."
    return f"is no schema: {str(error).splitlines()[0]}."


def load_hook(reference: str, folder: Path | None = None) -> Any:
    """The record hook that *reference* names: a function, or a class with a method `execute`.

    Raises:
        ObjectNotFoundError: As `load_schema`.
        ConfigError: As `load_schema`; or the object is no hook.
    """
    module, hook = _load(reference, folder, _HOOK)
    if callable(hook) or hasattr(hook, "execute"):
        return hook
    kind = type(hook).__name__
    text = f"{reference} is a {kind}, no hook: give a function hook(entry, store) or a class with a method execute."
    raise ConfigError(text + _candidates(module, _HOOK), path=shown(module))


def load_pipeline(reference: str, folder: Path | None = None) -> Pipeline:
    """The pipeline of functions that *reference* names.

    Raises:
        ObjectNotFoundError: As `load_schema`.
        ConfigError: As `load_schema`; or the object is no pipeline.
    """
    module, found = _load(reference, folder, _PIPELINE)
    if _is_pipeline(found):
        pipeline: Pipeline = found
        return pipeline
    kind = "a class" if inspect.isclass(found) else f"of type {type(found).__name__}"
    text = f"{reference} is {kind}, no pipeline: name a Pipeline([...]) that the file makes."
    raise ConfigError(text + _candidates(module, _PIPELINE), path=shown(module))


def _load(reference: str, folder: Path | None, wanted: _Wanted) -> tuple[ModuleType, Any]:
    place, separator, name = reference.strip().rpartition(":")
    if not separator or _is_drive(place):
        raise _incomplete(reference.strip(), folder, wanted)
    if not place:
        raise not_found(reference, f"'{reference}' names no file. Write file.py:{name or 'Name'}.")
    _check_name(reference, name)
    module = import_module(reference, place, folder)
    try:
        found = getattr(module, name)
    except AttributeError:
        hint = suggestion(name, _names(module, wanted))
        text = f"There is no '{name}' in {shown(module)}.{hint}{_candidates(module, wanted)}"
        raise ObjectNotFoundError(text, path=shown(module), key=name) from None
    if folder is not None:
        _check_origin(reference, found)
    return module, found


def _is_drive(place: str) -> bool:
    return os.name == "nt" and len(place) == 1


def _check_name(reference: str, name: str) -> None:
    if name.startswith("_"):
        raise not_found(reference, f"'{name}' in '{reference}' is private: names beginning with '_' are refused.")
    if not name.isidentifier() or iskeyword(name):
        text = f"'{name}' in '{reference}' is no plain name: it must be one word, such as file.py:Order."
        raise not_found(reference, text)


def _check_origin(reference: str, found: Any) -> None:
    """A file may hold ``from os import system``; a configuration file still does not reach it."""
    if inspect.ismodule(found):
        raise not_found(reference, f"{reference} is a module, nothing that a configuration file may name.")
    while isinstance(found, functools.partial):
        found = found.func
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        return
    home = str(getattr(found, "__module__", None) or "builtins").partition(".")[0]
    if home in sys.stdlib_module_names:
        text = f"{reference} is not of this file: it belongs to Python's own module '{home}'. Wrap it in a function."
        raise not_found(reference, text)


# --- messages ---


def _incomplete(reference: str, folder: Path | None, wanted: _Wanted) -> ConfigError:
    text = f"'{reference}' does not say which {wanted.word}: write file.py:Name or package.module:Name."
    if not reference.endswith(".py"):
        return not_found(reference, text)
    module = import_module(reference, reference, folder)
    example = next(iter(_names(module, wanted)), "Name")
    text = f"'{reference}' does not say which {wanted.word}: write {reference}:{example}."
    return not_found(reference, text + _candidates(module, wanted))


def _names(module: ModuleType, wanted: _Wanted) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and wanted.fits(value) and _is_of(module, value)
    ]


def _is_of(module: ModuleType, value: Any) -> bool:
    """Whether *value* was made there, as far as it says so: classes and functions do."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return getattr(value, "__module__", "") == module.__name__
    return True


def _candidates(module: ModuleType, wanted: _Wanted) -> str:
    names = _names(module, wanted)
    return f" The {wanted.plural} there: {', '.join(names)}." if names else f" There are no {wanted.plural} in it."
