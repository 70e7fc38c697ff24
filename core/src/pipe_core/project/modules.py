"""Importing the module of a reference: a file by its path, or an installed module by its name."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from pipe_core.kernel.errors import ConfigError
from pipe_core.kernel.index import suggestion
from pipe_core.runtime.travel import PRIVATE

_by_path: dict[str, ModuleType] = {}
_lock = threading.RLock()


class ObjectNotFoundError(ConfigError, LookupError):
    """A reference names a file, a module or an object that is not there, or that it may not name."""


def not_found(reference: str, text: str) -> ObjectNotFoundError:
    """The error that *reference* names nothing usable, and why."""
    return ObjectNotFoundError(text, path=reference)


def shown(module: ModuleType) -> str:
    """How messages call *module*: by its path, if it was imported by that."""
    file = getattr(module, "__file__", None)
    return str(file) if file and module.__name__.startswith(PRIVATE) else module.__name__


def import_module(reference: str, place: str, folder: Path | None) -> ModuleType:
    """The module that *place*, the part of *reference* before the colon, means.

    Files are imported once for each path, under a private name. Neighbours of a file can be imported as when Python
    runs it, but they never hide an installed module.

    Args:
        reference: The whole reference, for messages.
        place: A path to a file, or a dotted module.
        folder: Where a configuration file is that says so, which reaches nothing else; None for what a person typed.

    Raises:
        ObjectNotFoundError: There is none, or it is out of reach.
        ConfigError: It cannot be imported; names the line.
    """
    if "\0" in place:
        raise not_found(reference, "A reference cannot hold NUL.")
    if _is_file(place):
        path = Path(place) if folder is None else _inside(reference, folder, place)
        return _import_file(reference, path)
    parts = place.split(".")
    if not all(part.isidentifier() and not part.startswith("_") for part in parts):
        text = f"'{place}' in '{reference}' is neither a file (file.py) nor a module (package.module)."
        raise not_found(reference, text)
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
        raise not_found(reference, text)
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
    raise not_found(reference, text)


def _import_file(reference: str, path: Path) -> ModuleType:
    path = path.absolute()
    if path.is_dir():
        raise not_found(reference, f"'{path}' is a folder. Name a Python file in it: {path.name}/file.py:Name.")
    if not path.is_file():
        near = suggestion(path.name, [one.name for one in path.parent.glob("*.py")])
        raise not_found(reference, f"There is no file '{path}'.{near}")
    with _lock:
        key = str(path.resolve())
        if key not in _by_path:
            _importable(str(path.parent))
            _by_path[key] = execute_file(path, key)
        return _by_path[key]


def execute_file(path: Path, key: str) -> ModuleType:
    """Import the file at *path* under a name of its own, made of *key*, which no other import can meet.

    Raises:
        ConfigError: It cannot be imported; names the line.
    """
    name = f"{PRIVATE}{hashlib.blake2b(key.encode(), digest_size=6).hexdigest()}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ObjectNotFoundError(f"'{path}' is no Python file: its name must end in .py.", path=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    except BaseException as error:  # a file that calls sys.exit() is a broken file, not the end
        del sys.modules[name]
        raise failed_import(str(path), error) from error
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
            raise not_found(reference, text) from error
        raise failed_import(name, error) from error
    except BaseException as error:
        raise failed_import(name, error) from error


def failed_import(where: str, error: BaseException) -> ConfigError:
    """The error that *where*, a file or a module, cannot be imported; names the line."""
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
