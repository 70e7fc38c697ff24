"""Which files make a project, and their layers."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.errors import ConfigError
from pipe_core.kernel.index import suggestion
from pipe_core.project.config.documents import READERS, mapping_document, read_document
from pipe_core.project.config.fields import Said
from pipe_core.project.config.layers import Layers
from pipe_core.project.config.problems import Problem, Problems, UnknownNameError, as_problem
from pipe_core.project.document import Document, Place, dotted

STEM: Final = "pipe"
SECTIONS: Final = ("project", "variables", "catalog", "nodes", "pipelines")
"""What any file of a project may say."""
TOP: Final = (*SECTIONS, "include", "environments")
"""What the project's own file may say."""
RECORDS: Final = "pipe"
"""The top key of a file that is of a record pipe and of no project."""
BASE: Final = "base"
"""The environment that adds nothing."""
MAX_INCLUDED: Final = 200

_ENVIRONMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """The layers of a project's files.

    Attributes:
        folder: The project's folder.
        document: The project's own file.
        layers: What all of them say.
        environments: The names of the environments that there are.
    """

    folder: Path
    document: Document
    layers: Layers
    environments: tuple[str, ...]


def find_project(start: Path) -> Path:
    """The project's file in the folder *start*, or in the nearest folder above that has one.

    Raises:
        ConfigError: There is none, or a folder has several.
    """
    if start.is_file():
        return start
    if not start.is_dir():
        raise ConfigError(f"There is no file or folder '{start}'.", path=str(start))
    start = start.absolute()
    for folder in (start, *start.parents):
        found = [path for suffix in READERS if _is_project(path := folder / f"{STEM}{suffix}")]
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise ConfigError(f"{folder} has {names}: which of them is the project? Name it.", path=str(folder))
        if found:
            return found[0]
    text = f"There is no project in {start} or above it: no {STEM}.yaml. Make one with: pipe init DIR"
    raise ConfigError(text, path=str(start))


def _is_project(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.suffix != ".toml":
        return True
    try:  # a file of settings has the same name
        value = read_document(path).value
    except ConfigError:
        return True
    return isinstance(value, Mapping) and any(key in value for key in TOP)


def read_project(
    document: Document, folder: Path, env: str | None, overrides: Mapping[str, Any] | None, problems: Problems
) -> ProjectFiles:
    """All layers of the project of *document*.

    Args:
        document: The project's own file.
        folder: Its folder.
        env: The environment that is chosen.
        overrides: What the command line says: nested, or with dotted keys.
        problems: Where mistakes go.

    Raises:
        UnknownNameError: There is no environment of that name; lists those that there are.
        ProjectConfigError: The file is no project's.
    """
    layers = Layers(document, document.path.name)
    top = _top(document, problems)
    for section in SECTIONS:
        _add(layers, document, (section,), top.get(section), problems)
    _environments_of(layers, document, top, problems)
    for path, line in _included(document, folder, top.get("include"), problems):
        _include(layers, path, document.path, line, problems)
    environments = layers.value.get("environments", {})
    files = _environment_files(document, folder)
    known = tuple(dict.fromkeys([*environments, *files]))
    if env is not None and env not in known and env != BASE:
        raise _unknown_environment(env, known, document)
    if env is not None and env in environments:
        _lay_environment(layers, env, problems)
    if env is not None and env in files:
        _lay_file(layers, env, files[env], problems)
    if overrides:
        _lay_overrides(layers, overrides, problems)
    return ProjectFiles(folder, document, layers, known)


# --- the project's own file ---


def _top(document: Document, problems: Problems) -> Mapping[str, Any]:
    top = document.value
    if isinstance(top, Mapping) and RECORDS in top:
        text = "this is the file of a record pipe, no project's: it has the key 'pipe:'. Run it with: pipe run FILE"
        problems.add(_problem(document, text, (RECORDS,)))
        problems.stop()
    if not isinstance(top, Mapping):
        problems.add(_problem(document, f"a project's file begins with one of the keys {_listed(TOP)}", ()))
        problems.stop()
    _check_keys(document, top, (), TOP, problems)
    return top


def _check_keys(
    document: Document, found: Mapping[Any, Any], place: Place, known: tuple[str, ...], problems: Problems
) -> None:
    for key in found:
        if key not in known:
            text = f"there is no such key.{suggestion(str(key), known)} Known: {', '.join(known)}"
            problems.add(_problem(document, text, (*place, key)))


def _add(layers: Layers, document: Document, place: Place, values: Any, problems: Problems) -> None:
    """Put what a section says to what other files have said of it."""
    for key, value in _entries(document, place, values, problems):
        inner = (*place, key)
        there = layers.value
        for part in place:
            there = there.get(str(part), {})
        if key in there:
            first = layers.origin(inner)
            text = f"this is said twice: in {document.path.name} and in {first.shown(document.path.parent)}"
            problems.add(_problem(document, text, inner))
            continue
        layers.add(document, document.path.name, inner, inner, value)


def _entries(document: Document, place: Place, values: Any, problems: Problems) -> Iterator[tuple[str, Any]]:
    if values is None:
        return
    if not isinstance(values, Mapping):
        problems.add(_problem(document, "it must be a mapping: one 'name: ...' a line", place))
        return
    for key, value in values.items():
        if not isinstance(key, str) or not key or "\0" in key or len(key) > 200:
            problems.add(_problem(document, f"{_short(key)} is no name. Quote it if it is one", (*place, str(key))))
            continue
        yield key, value


def _environments_of(layers: Layers, document: Document, top: Mapping[str, Any], problems: Problems) -> None:
    for name, sections in _entries(document, ("environments",), top.get("environments"), problems):
        place = ("environments", name)
        if not _ENVIRONMENT.fullmatch(name) or name == BASE:
            problems.add(_problem(document, f"'{name}' cannot be the name of an environment", place))
            continue
        if sections is not None and not isinstance(sections, Mapping):
            problems.add(_problem(document, f"it must be a mapping with some of {_listed(SECTIONS)}", place))
            continue
        if name not in layers.value.get("environments", {}):
            layers.add(document, document.path.name, place, place, {})
        _check_keys(document, sections or {}, place, SECTIONS, problems)
        for section in SECTIONS:
            _add(layers, document, (*place, section), (sections or {}).get(section), problems)


# --- included files ---


def _included(document: Document, folder: Path, patterns: Any, problems: Problems) -> Iterator[tuple[Path, int | None]]:
    if patterns is None:
        return
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(patterns, list | tuple):
        problems.add(_problem(document, "write files as a list, even a single one: [conf/*.yaml]", ("include",)))
        return
    seen = {os.path.realpath(document.path)}
    for index, pattern in enumerate(patterns):
        place = ("include", index)
        paths, wrong = _matches(folder, pattern)
        for path in paths:
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                yield path, document.line(place)
        if wrong:
            problems.add(_problem(document, wrong, place))


def _matches(folder: Path, pattern: Any) -> tuple[list[Path], str]:
    """The files that *pattern* means, and what is wrong with it."""
    if not isinstance(pattern, str) or not pattern or "\0" in pattern or "${" in pattern or "://" in pattern:
        return [], f"{_short(pattern)} is no path of a file in the project's folder"
    root = os.path.realpath(folder)
    if os.path.isabs(pattern) or ".." in Path(pattern).parts:
        return [], f"'{pattern}' may be outside {folder}: a project includes only files in its own folder"
    names = sorted(glob.glob(pattern, root_dir=root, recursive=True))
    files = [Path(root, name) for name in names if os.path.isfile(os.path.join(root, name))]
    if not files:
        return [], f"there is no file '{pattern}' in {folder}"
    if len(files) > MAX_INCLUDED:
        return [], f"'{pattern}' means {len(files)} files, more than {MAX_INCLUDED}"
    for path in files:
        if not Path(os.path.realpath(path)).is_relative_to(root):
            return [], f"'{path.relative_to(root)}' is a link out of {folder}: a project includes only its own files"
        if path.suffix.lower() not in READERS:
            return [], f"'{path.name}' cannot be included: files of a project end in {', '.join(READERS)}"
    return [folder / path.relative_to(root) for path in files], ""


def _include(layers: Layers, path: Path, by: Path, line: int | None, problems: Problems) -> None:
    document = _read(path, problems)
    if document is None or document.value is None:
        return
    if not isinstance(document.value, Mapping):
        problems.add(_problem(document, f"an included file begins with one of the keys {_listed(SECTIONS)}", ()))
        return
    known = (*SECTIONS, "environments")
    if "include" in document.value:
        text = f"only the project's own file includes others: say it in {by.name}" + (f", line {line}" if line else "")
        problems.add(_problem(document, text, ("include",)))
    _check_keys(document, {k: v for k, v in document.value.items() if k != "include"}, (), known, problems)
    for section in SECTIONS:
        _add(layers, document, (section,), document.value.get(section), problems)
    _environments_of(layers, document, document.value, problems)


def _read(path: Path, problems: Problems) -> Document | None:
    try:
        return read_document(path)
    except ConfigError as error:
        problems.add(as_problem(error, str(path)))
        return None


# --- environments and the command line ---


def _environment_files(document: Document, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if document.path.is_absolute():
        for suffix in READERS:
            for path in sorted(folder.glob(f"{document.path.stem}.*{suffix}")):
                name = path.name[len(document.path.stem) + 1 : -len(suffix)]
                if _ENVIRONMENT.fullmatch(name):
                    found.setdefault(name, path)
    return found


def _unknown_environment(env: str, known: tuple[str, ...], document: Document) -> UnknownNameError:
    name = _short(env)
    said = f"Known: {', '.join(known)}" if known else "There are none: say them under environments:"
    text = f"There is no environment {name}.{suggestion(str(env), known)} {said}."
    return UnknownNameError(text, path=str(document.path), known=known)


def _lay_environment(layers: Layers, env: str, problems: Problems) -> None:
    for section, values in layers.value["environments"][env].items():
        for key in values:
            origin = layers.origin(("environments", env, section, key))
            top = {section: {key: values[key]}}
            _lay(layers, origin.document, f"environment {env}", origin.at[:-2], top, problems)


def _lay_file(layers: Layers, env: str, path: Path, problems: Problems) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(path.parent)):
        problems.add(Problem("this is a link out of the project's folder", str(path)))
        return
    document = _read(path, problems)
    if document is None or document.value is None:
        return
    if not isinstance(document.value, Mapping):
        problems.add(_problem(document, f"the file begins with one of the keys {_listed(SECTIONS)}", ()))
        return
    _check_keys(document, document.value, (), SECTIONS, problems)
    _lay(layers, document, f"environment {env}", (), document.value, problems)


def _lay(layers: Layers, document: Document, layer: str, at: Place, top: Mapping[str, Any], problems: Problems) -> None:
    values = {}
    for section in SECTIONS:
        values[section] = dict(_entries(document, (*at, section), top.get(section), problems))
    layers.lay(document, layer, at, {section: entries for section, entries in values.items() if entries})


def _lay_overrides(layers: Layers, overrides: Mapping[str, Any], problems: Problems) -> None:
    document = mapping_document(_nested(layers.value, overrides), "overrides")
    _check_keys(document, document.value, (), SECTIONS, problems)
    _lay(layers, document, "overrides", (), document.value, problems)


def _nested(below: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """*overrides* with dotted keys taken apart, by the names that there are: a name may have a dot in it."""
    nested: dict[str, Any] = {}
    for keys, value in overrides.items():
        there: Any = below
        here = nested
        *outer, last = _parts(below, str(keys))
        for part in outer:
            here = here.setdefault(part, {})
            there = there.get(part, {}) if isinstance(there, Mapping) else {}
        here[last] = {**here.get(last, {}), **_said(value)} if isinstance(value, Mapping) else _said(value)
    return nested


def _parts(below: Any, keys: str) -> list[str]:
    words, parts = keys.split("."), []
    while words:
        known = below if isinstance(below, Mapping) else {}
        end = next((end for end in range(len(words), 0, -1) if ".".join(words[:end]) in known), 1)
        parts.append(".".join(words[:end]))
        below, words = known.get(parts[-1]), words[end:]
    return parts


def _said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _said(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_said(inner) for inner in value]
    return Said(value) if type(value) is str else value


# --- messages ---


def _problem(document: Document, text: str, place: Place) -> Problem:
    return Problem(text, str(document.path), document.line(place) if document.lines else None, dotted(place) or None)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name}:" for name in names)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
