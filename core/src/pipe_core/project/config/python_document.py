"""A project's file in Python: names such as ``nodes`` at its top. Reading it runs it: a person must have named it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipe_core.project.config.imports import run_file
from pipe_core.project.document import Document, Place, config_error, read_text


def load_python(path: Path, names: tuple[str, ...]) -> Document:
    """Run the file at *path*; what it calls by one of *names* is what it says.

    Raises:
        ConfigError: It cannot be run, or has none of these names; says in which line.
    """
    text = read_text(path)
    module = run_file(path.parent, path)
    value = {name: vars(module)[name] for name in names if name in vars(module)}
    if not value:
        raise config_error(path, None, f"it has none of the names of a project: {', '.join(names)}")
    return Document(path, value, dict(_lines(ast.parse(text), names)))


def _lines(tree: ast.Module, names: tuple[str, ...]) -> Iterator[tuple[Place, int]]:
    yield (), 1
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in names:
                yield (target.id,), statement.lineno
                yield from _inner(getattr(statement, "value", None), (target.id,))


def _inner(value: Any, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(value, ast.Dict):
        for key, inner in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                yield (*place, str(key.value)), key.lineno
                yield from _inner(inner, (*place, str(key.value)))
    elif isinstance(value, ast.List | ast.Tuple):
        for index, inner in enumerate(value.elts):
            yield (*place, index), inner.lineno
            yield from _inner(inner, (*place, index))
