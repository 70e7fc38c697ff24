"""Which modules travel by value: those that a worker cannot be expected to have.

Installed distributions and the standard library are imported again where a call runs. The script itself, files given by
path, and modules beside these or in the working folder exist here and perhaps nowhere else, so their functions and
classes travel with their code. So do those of modules that are on no path where Python searches: whoever loaded them
did so in a way of their own, as pytest does with ``--import-mode=importlib``.
"""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from types import ModuleType
from typing import Final

PRIVATE: Final = "_pipe_file_"
"""How the names of modules begin that were imported from files given by path."""

_MAIN: Final = ("__main__", "__mp_main__")
_PACKAGED: Final = ("site-packages", "dist-packages")

_known: dict[str, tuple[ModuleType | None, bool]] = {}
_decided: dict[str, bool] = {}


def is_private(name: object) -> bool:
    """Whether no other process can import the module *name*, wherever it runs: a script, or a file given by path."""
    return type(name) is str and (name in _MAIN or name.startswith(PRIVATE))


def goes_by_value(name: object) -> bool:
    """Whether functions and classes of the module *name* travel with their code.

    Decided once for each file, by the working folder of that moment: what a value's bytes say must not change while a
    program runs.
    """
    if type(name) is not str:
        return False
    module = sys.modules.get(name)
    known = _known.get(name)
    if known is None or known[0] is not module:
        known = _known[name] = (module, is_private(name) or (module is not None and _lives_here(name, module)))
    return known[1]


def _lives_here(name: str, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or _folder(module)
    if type(file) is not str:
        return False
    found = _decided.get(file)
    if found is None:
        found = _decided[file] = _decide(name, file)
    return found


def _folder(module: ModuleType) -> str | None:
    """Where a package without an ``__init__`` is."""
    try:
        return str(next(iter(module.__path__)))
    except Exception:  # no package, or an object with ideas of its own about attributes
        return None


def _decide(name: str, file: str) -> bool:
    top = name.partition(".")[0]
    if top == "pipe_core" or file.endswith((".so", ".pyd")):
        return False
    path = os.path.realpath(file)
    if _is_below(path, _installed_folders()) or any(part in _PACKAGED for part in path.split(os.sep)):
        return False
    homes = _homes()
    if not _is_below(path, homes) and _is_found(name, path):
        return False
    if _is_below(path, _linked_folders() - homes):
        return False
    return not _is_linked(top, path)


def _homes() -> frozenset[str]:
    """The folders of the script and of files given by path, and the working folder."""
    modules = [module for name, module in list(sys.modules.items()) if is_private(name)]
    files = [getattr(module, "__file__", None) for module in modules]
    found = {os.path.dirname(os.path.realpath(file)) for file in files if type(file) is str}
    try:
        found.add(os.path.realpath(os.getcwd()))
    except OSError:  # it was removed
        return frozenset(found)
    return frozenset(found)


def _is_found(name: str, path: str) -> bool:
    """Whether Python comes upon *path* when it searches for the module."""
    stem = name.replace(".", os.sep)
    folders = [entry for entry in sys.path if type(entry) is str and entry]  # the empty one is the working folder
    return any(path.startswith(os.path.join(os.path.realpath(folder), stem)) for folder in folders)


def _is_below(path: str, folders: frozenset[str]) -> bool:
    return any(path.startswith(folder if folder.endswith(os.sep) else folder + os.sep) for folder in folders)


@functools.cache
def _installed_folders() -> frozenset[str]:
    paths = [path for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib")]
    return frozenset(map(os.path.realpath, [*paths, *_site_folders()]))


def _site_folders() -> list[str]:
    paths = sysconfig.get_paths()
    return [paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()]


@functools.cache
def _linked_folders() -> frozenset[str]:
    """The source folders of distributions that are installed as links (``pip install -e``) and only hold packages."""
    found = set()
    for folder in map(os.path.realpath, _site_folders()):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name.endswith(".pth"):
                found |= {os.path.realpath(os.path.join(folder, line)) for line in _lines(os.path.join(folder, name))}
    return frozenset(path for path in found if os.path.isdir(path))


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            stripped = [line.strip() for line in lines]
    except OSError:
        return []
    return [line for line in stripped if line and not line.startswith(("#", "import ", "import\t"))]


def _is_linked(top: str, path: str) -> bool:
    """Whether an installed distribution brings the module *top* by a link to where it lives.

    Everything else that is installed lives in a folder of installed packages. Reading what every distribution brings
    takes long, so that is only done where a link leads to a home itself.
    """
    if any(f"'{top}'" in text or f'"{top}"' in text for text in _finders()):
        return True
    return _is_below(path, _linked_folders()) and (_is_linked_distribution(top) or top in _distributed())


@functools.cache
def _finders() -> tuple[str, ...]:
    """The texts of modules with which setuptools finds linked packages one by one."""
    found = []
    for folder in _site_folders():
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name.startswith("__editable___") and name.endswith("_finder.py"):
                found.append("\n".join(_lines(os.path.join(folder, name))))  # noqa: PERF401  # two loops and a condition
    return tuple(found)


def _is_linked_distribution(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = distribution(name).read_text("direct_url.json")
    except (PackageNotFoundError, ValueError, OSError):
        return False
    return origin is not None and '"editable": true' in origin.replace('":true', '": true')


@functools.cache
def _distributed() -> frozenset[str]:
    from importlib.metadata import packages_distributions  # reads every distribution, which takes a while

    return frozenset(packages_distributions())
