"""What lies upon a project's files: the environment that is chosen, and what the command line says."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipe_core.kernel.errors import ConfigError
from pipe_core.project.config.documents import READERS, mapping_document, read_document
from pipe_core.project.config.fields import Said
from pipe_core.project.config.layers import Layers
from pipe_core.project.config.problems import Problem, Problems, UnknownNameError, as_problem, nearest
from pipe_core.project.config.sections import (
    BASE,
    ENVIRONMENT,
    SECTIONS,
    check_keys,
    entries,
    listed,
    problem_at,
    shortened,
)
from pipe_core.project.document import Document, Place


def lay_environment(
    layers: Layers, document: Document, folder: Path, env: str | None, problems: Problems
) -> tuple[str, ...]:
    """Lay the environment *env* upon what the files of the project say; the environments that there are.

    First comes what these say under ``environments:``, then the environment's own file beside the project's.

    Raises:
        UnknownNameError: There is no environment of that name; lists those that there are.
    """
    inside = layers.value.get("environments", {})
    files = _environment_files(document, folder)
    known = tuple(dict.fromkeys([*inside, *files]))
    if env is None or (env == BASE and env not in known):
        return known
    if env not in known:
        said = f"Known: {', '.join(known)}" if known else "There are none: say them under environments:"
        text = f"There is no environment {shortened(env)}.{nearest(env, known)} {said}."
        raise UnknownNameError(text, path=str(document.path), known=known)
    if env in inside:
        _lay_section(layers, env, problems)
    if env in files:
        _lay_file(layers, env, files[env], problems)
    return known


def _environment_files(document: Document, folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    if document.path.is_absolute():
        for suffix in READERS:
            for path in sorted(folder.glob(f"{glob.escape(document.path.stem)}.*{suffix}")):
                name = path.name[len(document.path.stem) + 1 : -len(suffix)]
                if ENVIRONMENT.fullmatch(name):
                    found.setdefault(name, path)
    return found


def _lay_section(layers: Layers, env: str, problems: Problems) -> None:
    for section, values in layers.value["environments"][env].items():
        for key in values:
            origin = layers.origin(("environments", env, section, key))
            top = {section: {key: values[key]}}
            _lay(layers, origin.document, f"environment {env}", origin.at[:-2], top, problems)


def _lay_file(layers: Layers, env: str, path: Path, problems: Problems) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(path.parent)):
        problems.add(Problem("this is a link out of the project's folder", str(path)))
        return
    try:
        document = read_document(path)
    except ConfigError as error:
        problems.add(as_problem(error, str(path)))
        return
    if document.value is None:
        return
    if not isinstance(document.value, Mapping):
        problems.add(problem_at(document, f"the file begins with one of the keys {listed(SECTIONS)}", ()))
        return
    check_keys(document, document.value, (), SECTIONS, problems)
    _lay(layers, document, f"environment {env}", (), document.value, problems)


def _lay(layers: Layers, document: Document, layer: str, at: Place, top: Mapping[str, Any], problems: Problems) -> None:
    said = {section: dict(entries(document, (*at, section), top.get(section), problems)) for section in SECTIONS}
    layers.lay(document, layer, at, {section: values for section, values in said.items() if values})


def lay_overrides(layers: Layers, overrides: Mapping[str, Any], problems: Problems) -> None:
    """Lay *overrides* upon everything: nested, or with dotted keys."""
    document = mapping_document(_nested(layers.value, overrides), "overrides")
    check_keys(document, document.value, (), SECTIONS, problems)
    _lay(layers, document, "overrides", (), document.value, problems)


def _nested(below: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """*overrides* with dotted keys taken apart, by the names that there are: a name may have a dot in it."""
    nested: dict[str, Any] = {}
    for keys, value in overrides.items():
        there: Any = below
        here = nested
        *outer, last = _parts(below, str(keys))
        for part in outer:
            here = _mapping_in(here, part)
            there = there.get(part, {}) if isinstance(there, Mapping) else {}
        if isinstance(value, Mapping):
            _mapping_in(here, last).update(_said(value))
        else:
            here[last] = _said(value)
    return nested


def _mapping_in(values: dict[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(values.get(key), dict):
        values[key] = {}
    inner: dict[str, Any] = values[key]
    return inner


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
