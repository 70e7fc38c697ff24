"""Finding the function or the class that a project's file names.

What may be named: code in the project's folder, and code of the packages that ``project.code`` lists. Nothing is
imported for a name outside of these, and of an object that is found it is asked where it comes from: a module that
holds ``from os import system`` does not make that a function of the project.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import Any, Final, is_typeddict

from pipe_core.kernel.errors import ConfigError
from pipe_core.kernel.index import suggestion
from pipe_core.project.config.imports import import_file, import_from, is_importable, is_in, is_of
from pipe_core.project.modules import ObjectNotFoundError, failed_import, shown

MOST_SHOWN: Final = 10


class CodeNotAllowedError(ConfigError, PermissionError):
    """A file names code that it may not name."""


class ModuleMissingError(ObjectNotFoundError):
    """There is no module of that name."""


class FunctionMissingError(ObjectNotFoundError, AttributeError):
    """The module has nothing of that name."""


class NotCallableError(ConfigError, TypeError):
    """What was found is no function."""


@dataclass(frozen=True, slots=True)
class Code:
    """The code that a project may name.

    Attributes:
        folder: The project's folder.
        prefixes: Packages and modules beside those in the folder.
    """

    folder: Path
    prefixes: tuple[str, ...] = ()
    _known: dict[str, ModuleType] = field(default_factory=dict)

    def function(self, reference: Any, module: str | None = None) -> Callable[..., Any]:
        """The function that *reference* names, in *module* when it is a plain name.

        Raises:
            CodeNotAllowedError: It is none that the project may name.
            ModuleMissingError: There is no such module.
            FunctionMissingError: The module has no such function; lists those that it has.
            NotCallableError: It is no function.
            ConfigError: The module cannot be imported; names the line.
        """
        if callable(reference):
            return reference  # type: ignore[no-any-return]  # Python gave it, and Python gives what it likes
        found_in, name = self._module(str(reference), module, "function")
        found = _found(found_in, name, "function", _functions)
        if not callable(found):
            text = f"'{name}' of {shown(found_in)} is no function but {_kind(found)}.{_there(_functions(found_in))}"
            raise NotCallableError(text, path=shown(found_in), key=name)
        self._check(reference, found)
        return found  # type: ignore[no-any-return]  # it was asked

    def schema(self, reference: Any) -> Any:
        """The class, or the schema of Arrow, that *reference* names.

        Raises:
            CodeNotAllowedError: As `function`.
            ModuleMissingError: As `function`.
            FunctionMissingError: As `function`.
            SchemaError: What it names is no schema.
            ConfigError: As `function`.
        """
        from pipe_core.records.schema import Schema

        if not isinstance(reference, str):
            return reference
        found_in, name = self._module(reference, None, "schema")
        found = _found(found_in, name, "schema", _models)
        self._check(reference, found)
        if type(found).__module__.partition(".")[0] != "pyarrow":
            if not inspect.isclass(found):
                text = f"'{name}' of {shown(found_in)} is {_kind(found)}, no model.{_there(_models(found_in))}"
                raise NotCallableError(text, path=shown(found_in), key=name)
            Schema(found)
        return found

    # --- modules ---

    def _module(self, reference: str, module: str | None, word: str) -> tuple[ModuleType, str]:
        place, name = _split(reference, module, word)
        if not name.isidentifier() or iskeyword(name) or name.startswith("_"):
            text = f"'{name}' in '{reference}' cannot be named: a {word} is one public word, as in pkg.module.{word}"
            raise CodeNotAllowedError(text, path=reference)
        if "\0" in place:
            raise CodeNotAllowedError("a reference cannot hold NUL", path=reference)
        if place not in self._known:
            self._known[place] = self._imported(reference, place)
        return self._known[place], name

    def _imported(self, reference: str, place: str) -> ModuleType:
        if place.endswith(".py") or "/" in place or os.sep in place:
            return self._of_file(reference, place)
        if not all(part.isidentifier() and not part.startswith("_") for part in place.split(".")):
            text = f"'{place}' in '{reference}' is neither a module (package.module) nor a file (file.py)"
            raise CodeNotAllowedError(text, path=reference)
        return self._of_name(reference, place)

    def _of_file(self, reference: str, place: str) -> ModuleType:
        root = Path(os.path.realpath(self.folder))
        path = Path(os.path.realpath(root / place))
        if not path.is_relative_to(root):
            text = f"'{place}' is outside {self.folder}: a project names only code in its own folder"
            raise CodeNotAllowedError(text, path=reference)
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts)
        is_plain = path.suffix == ".py" and parts[-1] != "__init__" and all(map(str.isidentifier, parts))
        if is_plain and parts[0] not in sys.stdlib_module_names and is_in(root, name):
            return import_from(root, name)
        if not path.is_file():
            near = suggestion(path.name, [one.name for one in path.parent.glob("*.py")])
            what = "a folder" if path.is_dir() else "no file"
            raise ModuleMissingError(f"'{place}' is {what} in {self.folder}.{near}", path=reference)
        return import_file(self.folder, path)

    def _of_name(self, reference: str, name: str) -> ModuleType:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "builtins":
            text = f"'{top}' is a module of Python's own, which no project names. Wrap what you need in a function"
            raise CodeNotAllowedError(text, path=reference)
        if is_in(self.folder, name):
            return import_from(self.folder, name)
        if is_importable(self.folder, top):
            raise ModuleMissingError(self._missing(name), path=reference)
        if not self._is_listed(name) and not _is_installed_below(self.folder, top):
            text = (
                f"there is no module '{top}' in {self.folder}, and project.code does not list it."
                f"{suggestion(top, _neighbours(self.folder))} A project names code in its own folder, and packages "
                f"that it lists: project: {{code: [{top}]}}"
            )
            raise CodeNotAllowedError(text, path=reference)
        return self._installed(reference, name)

    def _missing(self, name: str) -> str:
        *outer, last = name.split(".")
        near = _neighbours(self.folder.joinpath(*outer))
        hint = suggestion(last, near)
        return f"there is no module '{name}' in {self.folder}.{hint}{_there(near, 'Modules')}"

    def _installed(self, reference: str, name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                text = f"there is no module '{error.name}': it is not installed here"
                raise ModuleMissingError(text, path=reference) from error
            raise failed_import(name, error) from error
        except BaseException as error:
            raise failed_import(name, error) from error

    # --- what may be named ---

    def _is_listed(self, name: str) -> bool:
        return any(name == prefix or name.startswith(f"{prefix}.") for prefix in self.prefixes)

    def _check(self, reference: str, found: Any) -> None:
        if inspect.ismodule(found):
            raise CodeNotAllowedError(f"{reference} is a module", path=reference)
        home = _home(found)
        if home is None:  # a plain value says nothing, and stands in a module that may be named
            return
        top = home.partition(".")[0]
        if top in sys.stdlib_module_names or top == "builtins":
            text = f"{reference} is of Python's own module '{home}', which no project names. Wrap it in a function"
            raise CodeNotAllowedError(text, path=reference)
        if not is_of(self.folder, home) and not self._is_listed(home):
            text = f"{reference} comes from '{home}', which project.code does not list: project: {{code: [{top}]}}"
            raise CodeNotAllowedError(text, path=reference)


def _split(reference: str, module: str | None, word: str) -> tuple[str, str]:
    reference = reference.strip()
    if module is not None:
        if ":" in reference or "." in reference:
            text = f"'{reference}' names a module already: leave out 'module', or give the name alone"
            raise CodeNotAllowedError(text, path=reference)
        return module.strip(), reference
    place, _, name = reference.rpartition(":" if ":" in reference else ".")
    if not place:
        text = f"'{reference}' does not say which module: write pkg.module.{word} or file.py:{word}"
        raise CodeNotAllowedError(text, path=reference)
    if ":" not in reference and name == "py":
        text = f"'{reference}' does not say which {word} of the file: write {reference}:{word}"
        raise CodeNotAllowedError(text, path=reference)
    return place, name


def _found(module: ModuleType, name: str, word: str, known: Callable[[ModuleType], list[str]]) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        names = known(module)
        text = f"there is no {word} '{name}' in {shown(module)}.{suggestion(name, names)}{_there(names)}"
        raise FunctionMissingError(text, path=shown(module), key=name) from None


def _home(found: Any) -> str | None:
    """The name of the module that *found* comes from; None for plain values."""
    while isinstance(found, functools.partial):
        found = found.func
    if inspect.isclass(found) or inspect.isroutine(found):
        return str(getattr(found, "__module__", None) or "builtins")
    wrapped = getattr(found, "fn", None) if type(found).__module__.startswith("pipe_core.") else None
    if wrapped is not None:
        return _home(wrapped)
    return type(found).__module__ if callable(found) else None


def _is_installed_below(folder: Path, top: str) -> bool:
    """Whether the package *top* is installed as a link into the folder, as in a layout with ``src``."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    root = os.path.realpath(folder)
    return any(place and Path(os.path.realpath(place)).is_relative_to(root) for place in places)


# --- messages ---


def _functions(module: ModuleType) -> list[str]:
    return _public(module, inspect.isroutine)


def _models(module: ModuleType) -> list[str]:
    def fits(value: Any) -> bool:
        is_model = hasattr(value, "model_fields") or hasattr(value, "__dataclass_fields__") or is_typeddict(value)
        return inspect.isclass(value) and is_model

    return _public(module, fits)


def _public(module: ModuleType, fits: Callable[[Any], bool]) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and fits(value) and getattr(value, "__module__", "") == module.__name__
    ]


def _neighbours(folder: Path) -> list[str]:
    """The modules in the folder."""
    if not folder.is_dir():
        return []
    names = [path.stem for path in folder.glob("*.py") if path.stem.isidentifier()]
    names += [path.name for path in folder.iterdir() if path.is_dir() and any(path.glob("*.py"))]
    return sorted(name for name in names if not name.startswith("_"))


def _there(names: Sequence[str], word: str = "There") -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    label = "It has" if word == "There" else f"{word} there:"
    return f" {label} {_joined(names[:MOST_SHOWN])}{more}."


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)


def _kind(found: Any) -> str:
    return "a module" if inspect.ismodule(found) else f"of type {type(found).__name__}"
