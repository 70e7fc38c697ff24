"""Which files make a project, and their layers."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.config.documents import READERS, read_document
from pipe_core.project.config.layers import Layers
from pipe_core.project.config.overlays import lay_environment, lay_overrides
from pipe_core.project.config.problems import Problems, as_problem
from pipe_core.project.config.sections import (
    SECTIONS,
    TOP,
    add_environments,
    add_section,
    check_keys,
    listed,
    problem_at,
    shortened,
)
from pipe_core.project.document import Document

STEM: Final = "pipe"
RECORDS: Final = "pipe"
"""The top key of a file that is of a record pipe and of no project."""
MAX_INCLUDED: Final = 200


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
        add_section(layers, document, (section,), top.get(section), problems)
    add_environments(layers, document, top, problems)
    for path, line in _included(document, folder, top.get("include"), problems):
        _include(layers, path, document.path, line, problems)
    environments = lay_environment(layers, document, folder, env, problems)
    if overrides:
        lay_overrides(layers, overrides, problems)
    return ProjectFiles(folder, document, layers, environments)


# --- the project's own file ---


def _top(document: Document, problems: Problems) -> Mapping[str, Any]:
    top = document.value
    if isinstance(top, Mapping) and RECORDS in top:
        text = "this is the file of a record pipe, no project's: it has the key 'pipe:'. Run it with: pipe run FILE"
        problems.add(problem_at(document, text, (RECORDS,)))
        problems.stop()
    if not isinstance(top, Mapping):
        problems.add(problem_at(document, f"a project's file begins with one of the keys {listed(TOP)}", ()))
        problems.stop()
    check_keys(document, top, (), TOP, problems)
    return top


# --- included files ---


def _included(document: Document, folder: Path, patterns: Any, problems: Problems) -> Iterator[tuple[Path, int | None]]:
    if patterns is None:
        return
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(patterns, list | tuple):
        problems.add(problem_at(document, "write files as a list, even a single one: [conf/*.yaml]", ("include",)))
        return
    seen = {os.path.realpath(document.path)}
    for index, pattern in enumerate(patterns):
        place = ("include", index)
        paths, wrong = _matches(folder, pattern)
        for path in paths:
            if (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                yield path, document.line(place) if document.lines else None
        if wrong:
            problems.add(problem_at(document, wrong, place))


def _matches(folder: Path, pattern: Any) -> tuple[list[Path], str]:
    """The files that *pattern* means, and what is wrong with it."""
    if not isinstance(pattern, str) or not pattern or "\0" in pattern or "${" in pattern or "://" in pattern:
        return [], f"{shortened(pattern)} is no path of a file in the project's folder"
    root = os.path.realpath(folder)
    if os.path.isabs(pattern) or ".." in Path(pattern).parts:
        return [], f"'{pattern}' may be outside {folder}: a project includes only files in its own folder"
    if "**" in pattern:
        return [], f"'{pattern}' could mean any file below {folder}: name the folders one by one, as in conf/*.yaml"
    names = sorted(glob.glob(pattern, root_dir=root))
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
        problems.add(problem_at(document, f"an included file begins with one of the keys {listed(SECTIONS)}", ()))
        return
    known = (*SECTIONS, "environments")
    if "include" in document.value:
        text = f"only the project's own file includes others: say it in {by.name}" + (f", line {line}" if line else "")
        problems.add(problem_at(document, text, ("include",)))
    check_keys(document, {k: v for k, v in document.value.items() if k != "include"}, (), known, problems)
    for section in SECTIONS:
        add_section(layers, document, (section,), document.value.get(section), problems)
    add_environments(layers, document, document.value, problems)


def _read(path: Path, problems: Problems) -> Document | None:
    try:
        return read_document(path)
    except ConfigError as error:
        problems.add(as_problem(error, str(path)))
        return None
