"""Importing the modules of a project's folder under their own names, without that folder in ``sys.path``.

Installed modules always win: a project's module of the same name is refused, not hidden. Two projects in one process
may have modules of the same name: the one that was loaded or used last has the name, the other one keeps its objects.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.modules import execute_file, failed_import
from pipe_core.runtime.travel import PRIVATE

_lock: Final = threading.RLock()


class _Finder:
    """Finds the top-level modules of projects' folders, behind everything that is installed."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.used: Path | None = None

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module *name* of the folder that was used last, of those that have one."""
        if path is not None:
            return None
        for folder in tuple(self.folders):
            spec = _spec(folder, name)
            if spec is not None:
                return spec
        return None


_finder: Final = _Finder()
_away: Final[dict[str, dict[str, ModuleType]]] = {}
"""By folder, the modules whose names another project has now."""
_files: Final[dict[str, ModuleType]] = {}


def import_from(folder: Path, name: str) -> ModuleType:
    """The module *name*, which `is_in` the folder.

    Raises:
        ConfigError: There is an installed module of that name, or it cannot be imported; names the line.
    """
    root = os.path.realpath(folder)
    with _lock:
        use(folder)
        top = name.partition(".")[0]
        _check_free(root, top)
        try:
            return importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a file that calls sys.exit() is a broken file, not the end
            raise failed_import(_file(root, name) or name, error) from error


def import_file(folder: Path, path: Path) -> ModuleType:
    """The module of the file at *path*, which has no name that other code could import it by.

    Raises:
        ConfigError: It cannot be imported; names the line.
    """
    key = os.path.realpath(path)
    with _lock:
        if key not in _files:
            _files[key] = run_file(folder, path)
        return _files[key]


def run_file(folder: Path, path: Path) -> ModuleType:
    """Run the file at *path* as a module with a name of its own; code in the folder can be imported in it.

    Raises:
        ConfigError: It cannot be run; names the line.
    """
    with _lock:
        use(folder)
        return execute_file(path, os.path.realpath(path))


def use(folder: Path) -> None:
    """Let the project in *folder* have the names of its modules."""
    if _finder.used is folder:  # every node of a run asks
        return
    root = os.path.realpath(folder)
    with _lock:
        _finder.used = folder
        if _finder.folders[:1] == [root]:
            return
        if _finder not in sys.meta_path:
            sys.meta_path.append(_finder)
        if root not in _finder.folders:
            _make_home(root)
        else:
            _finder.folders.remove(root)
        _finder.folders.insert(0, root)
        importlib.invalidate_caches()
        _put_away(root)
        sys.modules.update(_away.pop(root, {}))


def is_in(folder: Path, name: str) -> bool:
    """Whether the folder has a module *name*, links out of it not counted."""
    root = os.path.realpath(folder)
    file = _file(root, name)
    return file is not None and _is_below(os.path.realpath(file), root)


def is_importable(folder: Path, top: str) -> bool:
    """Whether the folder has a top-level module *top*, or a package without modules of its own."""
    return _spec(os.path.realpath(folder), top) is not None


def is_of(folder: Path, name: str) -> bool:
    """Whether the imported module *name* comes from the folder."""
    module = sys.modules.get(name)
    file = None if module is None else _place(module)
    return file is not None and _is_below(os.path.realpath(file), os.path.realpath(folder))


def _make_home(root: str) -> None:
    """Tell `runtime.travel` that code below *root* is only here, by a module that stands for the folder."""
    digest = hashlib.blake2b(root.encode(), digest_size=6).hexdigest()
    home = ModuleType(f"{PRIVATE}{digest}_project", "Stands for the folder of a project.")
    home.__file__ = os.path.join(root, "__project__.py")
    sys.modules[home.__name__] = home


def _put_away(root: str) -> None:
    """Take the names that *root* has too from modules of other projects."""
    others = [folder for folder in _finder.folders if folder != root]
    if not others:
        return
    for top, module in [(name, one) for name, one in list(sys.modules.items()) if "." not in name]:
        place = _place(module)
        if place is None or top.startswith(PRIVATE):
            continue
        real = os.path.realpath(place)
        owner = max((folder for folder in others if _is_below(real, folder)), key=len, default=None)
        mine = None if owner is None else _spec(root, top)
        if owner is None or mine is None or _spec_place(mine) == place:
            continue
        kept = _away.setdefault(owner, {})
        for name in [one for one in sys.modules if one == top or one.startswith(f"{top}.")]:
            kept[name] = sys.modules.pop(name)


def _check_free(root: str, top: str) -> None:
    mine = _spec(root, top)
    if mine is None:
        return
    place = _spec_place(mine)
    there = sys.modules.get(top)
    if there is None:
        spec = importlib.util.find_spec(top)
        other = None if spec is None else _spec_place(spec)
    else:
        other = _place(there) or "Python itself"
    if other is None or _same(other, place):
        return
    text = (
        f"The module '{top}' in {root} has the name of another one, {other}, which would be hidden by it. "
        f"Rename the file."
    )
    raise ConfigError(text, path=place or root)


def _spec(folder: str, name: str) -> ModuleSpec | None:
    """How the folder's top-level module *name* is imported; None when it has none."""
    spec = PathFinder.find_spec(name, [folder])
    if spec is None or spec.loader is not None:
        return spec
    paths = list(spec.submodule_search_locations or ())
    if not any(any(Path(path).glob(pattern)) for path in paths for pattern in ("*.py", "*/*.py")):
        return None  # any folder would do as a package: only those with code in them count
    spec.submodule_search_locations = paths
    return spec


def _spec_place(spec: ModuleSpec) -> str | None:
    return spec.origin or next(iter(spec.submodule_search_locations or ()), None)


def _place(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    if type(file) is str:
        return file
    try:
        return str(next(iter(module.__path__)))
    except Exception:  # no package, or an object with ideas of its own about attributes
        return None


def _file(root: str, name: str) -> str | None:
    """The file of the module *name* in the folder, found without importing anything."""
    stem = os.path.join(root, *name.split("."))
    for path in (os.path.join(stem, "__init__.py"), f"{stem}.py"):
        if os.path.isfile(path):
            return path
    return None


def _same(one: str, other: str | None) -> bool:
    return other is not None and os.path.realpath(one) == os.path.realpath(other)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)
