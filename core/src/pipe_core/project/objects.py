"""Finding the object that ``file.py:Object`` or ``package.module:Object`` names.

What a person types may be any file and any installed module. What a configuration file says reaches only code in its
own folder: ``os:system``, ``../other.py:Hook`` and walks such as ``file.py:Object.__class__`` are refused before
anything is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import Any, is_typeddict

from pipe_core.kernel.errors import ConfigError, SchemaError
from pipe_core.kernel.index import suggestion

_by_path: dict[str, ModuleType] = {}
_lock = threading.RLock()


class ObjectNotFoundError(ConfigError, LookupError):
    """A reference names a file, a module or an object that is not there, or that it may not name."""


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


_SCHEMA = _Wanted("schema", "models", _is_model)
_HOOK = _Wanted("hook", "hooks", _is_hook)


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
        what = "a function" if inspect.isroutine(kind) else f"a {type(kind).__name__}"
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
    raise ConfigError(text + _candidates(module, _HOOK), path=_shown(module))


def _load(reference: str, folder: Path | None, wanted: _Wanted) -> tuple[ModuleType, Any]:
    place, separator, name = reference.strip().rpartition(":")
    if not separator or _is_drive(place):
        raise _incomplete(reference.strip(), folder, wanted)
    if not place:
        raise _not_found(reference, f"'{reference}' names no file. Write file.py:{name or 'Name'}.")
    _check_name(reference, name)
    module = _module(reference, place, folder)
    try:
        found = getattr(module, name)
    except AttributeError:
        hint = suggestion(name, _names(module, wanted))
        text = f"There is no '{name}' in {_shown(module)}.{hint}{_candidates(module, wanted)}"
        raise ObjectNotFoundError(text, path=_shown(module), key=name) from None
    if folder is not None:
        _check_origin(reference, found)
    return module, found


def _is_drive(place: str) -> bool:
    return os.name == "nt" and len(place) == 1


def _check_name(reference: str, name: str) -> None:
    if name.startswith("_"):
        raise _not_found(reference, f"'{name}' in '{reference}' is private: names beginning with '_' are refused.")
    if not name.isidentifier() or iskeyword(name):
        text = f"'{name}' in '{reference}' is no plain name: it must be one word, such as file.py:Order."
        raise _not_found(reference, text)


def _check_origin(reference: str, found: Any) -> None:
    """A file may hold ``from os import system``; a configuration file still does not reach it."""
    if inspect.ismodule(found):
        raise _not_found(reference, f"{reference} is a module, nothing that a configuration file may name.")
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        return
    home = str(getattr(found, "__module__", None) or "builtins").partition(".")[0]
    if home in sys.stdlib_module_names:
        text = f"{reference} is not of this file: it belongs to Python's own module '{home}'. Wrap it in a function."
        raise _not_found(reference, text)


# --- from a place to a module ---


def _module(reference: str, place: str, folder: Path | None) -> ModuleType:
    if "\0" in place:
        raise _not_found(reference, "A reference cannot hold NUL.")
    if _is_file(place):
        path = Path(place) if folder is None else _inside(reference, folder, place)
        return _import_file(reference, path)
    parts = place.split(".")
    if not all(part.isidentifier() and not part.startswith("_") for part in parts):
        text = f"'{place}' in '{reference}' is neither a file (file.py) nor a module (package.module)."
        raise _not_found(reference, text)
    if folder is None:
        return _import_installed(reference, place)
    return _import_file(reference, _beside(reference, folder, parts))


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or os.sep in place


def _inside(reference: str, folder: Path, place: str) -> Path:
    root = folder.resolve()
    path = (root / place).resolve()
    if not path.is_relative_to(root):
        text = f"'{place}' is outside {root}: a configuration file may name only files in its own folder."
        raise _not_found(reference, text)
    return path


def _beside(reference: str, folder: Path, parts: list[str]) -> Path:
    stem = folder.joinpath(*parts)
    for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
        if path.is_file():
            return _inside(reference, folder, str(path))
    text = (
        f"There is no module '{'.'.join(parts)}' beside the file. A configuration file names only code in its own "
        f"folder ({'/'.join(parts)}.py:Name); installed code is reached by the name of its plugin."
    )
    raise _not_found(reference, text)


def _import_file(reference: str, path: Path) -> ModuleType:
    path = path.absolute()
    if path.is_dir():
        raise _not_found(reference, f"'{path}' is a folder. Name a Python file in it: {path.name}/file.py:Name.")
    if not path.is_file():
        near = suggestion(path.name, [one.name for one in path.parent.glob("*.py")])
        raise _not_found(reference, f"There is no file '{path}'.{near}")
    with _lock:
        key = str(path.resolve())
        if key not in _by_path:
            _by_path[key] = _execute(path, key)
        return _by_path[key]


def _execute(path: Path, key: str) -> ModuleType:
    """Import the file under a name of its own, which no other import can meet.

    Neighbours of the file can be imported as when Python runs it, but they never hide an installed module.
    """
    name = f"_pipe_file_{hashlib.blake2b(key.encode(), digest_size=6).hexdigest()}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ObjectNotFoundError(f"'{path}' is no Python file: its name must end in .py.", path=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _importable(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    except BaseException as error:  # a file that calls sys.exit() is a broken file, not the end
        del sys.modules[name]
        raise _import_error(str(path), error) from error
    return module


def _importable(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)


def _import_installed(reference: str, name: str) -> ModuleType:
    _importable(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            text = f"There is no module '{error.name}'. For a file write its path: {name.replace('.', '/')}.py:Name."
            raise _not_found(reference, text) from error
        raise _import_error(name, error) from error
    except BaseException as error:
        raise _import_error(name, error) from error


def _import_error(where: str, error: BaseException) -> ConfigError:
    file, line, code = _culprit(where, error)
    at = f" (line {line}: {code})" if file == where and code else f" ({file}, line {line}: {code})" if code else ""
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    text = f"{where} cannot be imported{at}: {type(error).__name__}" + (f": {reason}" if reason else "")
    return ConfigError(text, path=file, line=line)


def _culprit(where: str, error: BaseException) -> tuple[str, int | None, str]:
    """The line of the user's own that went wrong: the innermost one of the file, or the innermost one of all."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno, (error.text or "").strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if frame.filename == where] or frames
    if not own or own[-1].filename in (__file__, importlib.__file__):
        return where, None, ""
    return own[-1].filename, own[-1].lineno, (own[-1].line or "").strip()


# --- messages ---


def _incomplete(reference: str, folder: Path | None, wanted: _Wanted) -> ConfigError:
    text = f"'{reference}' does not say which {wanted.word}: write file.py:Name or package.module:Name."
    if not reference.endswith(".py"):
        return _not_found(reference, text)
    module = _module(reference, reference, folder)
    example = next(iter(_names(module, wanted)), "Name")
    text = f"'{reference}' does not say which {wanted.word}: write {reference}:{example}."
    return _not_found(reference, text + _candidates(module, wanted))


def _not_found(reference: str, text: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(text, path=reference)


def _names(module: ModuleType, wanted: _Wanted) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and wanted.fits(value) and getattr(value, "__module__", "") == module.__name__
    ]


def _candidates(module: ModuleType, wanted: _Wanted) -> str:
    names = _names(module, wanted)
    return f" The {wanted.plural} there: {', '.join(names)}." if names else f" There are no {wanted.plural} in it."


def _shown(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return str(file) if file and module.__name__.startswith("_pipe_file_") else module.__name__
