"""Annotations and defaults as people read them: short, on one line, and the same in each process."""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from typing import Any, Final

from pipe_core.graph.node import Node, Parameter
from pipe_core.looks.wording import one_line

UNKNOWN: Final = inspect.Parameter.empty

# Text in quotes stays; in what is outside of it, modules and the functions around a class are left out.
_MODULES: Final = re.compile(r"('[^']*'|\"[^\"]*\")|(?:[A-Za-z_]\w*\.|<locals>\.)+(?=[A-Za-z_])")
_FORWARD: Final = re.compile(r"ForwardRef\('([^']*)'[^()]*\)")
_PLAIN: Final = (bool, int, float, str, bytes, type(None))
_EMPTY: Final = (list, tuple, dict, set, frozenset)


def type_words(annotation: Any) -> str:
    """An annotation, without modules; empty where there is none."""
    if annotation is UNKNOWN:
        return ""
    if annotation is None or annotation is types.NoneType:
        return "None"
    if typing.get_origin(annotation) is typing.Annotated:
        return type_words(typing.get_args(annotation)[0])
    if isinstance(annotation, str):
        text = annotation
    elif isinstance(annotation, type) and not typing.get_args(annotation):
        text = annotation.__qualname__
    else:
        text = _FORWARD.sub(r"\1", _shown(annotation))
    return one_line(_MODULES.sub(lambda match: match[1] or "", text), 200)


def default_words(parameter: Parameter) -> str:
    """A default that is plain data; ``…`` for anything else, since that may look different each time."""
    if parameter.is_required:
        return ""
    value = parameter.default
    if type(value) in _PLAIN or (type(value) in _EMPTY and not value):
        return one_line(repr(value), 80)
    return value.__name__ if isinstance(value, type) else "…"


def returned(node: Node[..., Any]) -> list[str]:
    """The type of each output of *node*."""
    try:
        annotation = inspect.signature(node.fn).return_annotation
    except (TypeError, ValueError, NameError):  # it has none that can be read
        return [""] * len(node.outputs)
    if not node.is_tuple:
        return [type_words(annotation)]
    return _parts(annotation, len(node.outputs)) or [""] * len(node.outputs)


def _parts(annotation: Any, count: int) -> list[str]:
    """The types in ``tuple[...]``, if there are *count* of them."""
    parts = _written(annotation) if isinstance(annotation, str) else list(typing.get_args(annotation))
    if parts and not isinstance(annotation, str) and typing.get_origin(annotation) is not tuple:
        return []
    if len(parts) == 2 and parts[1] in (..., "..."):
        parts = [parts[0]] * count
    return [type_words(part) for part in parts] if len(parts) == count else []


def _written(annotation: str) -> list[Any]:
    """The types in an annotation that is text."""
    try:
        found = ast.parse(annotation, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return []
    if not isinstance(found, ast.Subscript) or not isinstance(found.slice, ast.Tuple):
        return []
    return [ast.unparse(one) for one in found.slice.elts] if _is_tuple(found.value) else []


def _is_tuple(found: ast.expr) -> bool:
    name = found.attr if isinstance(found, ast.Attribute) else getattr(found, "id", "")
    return name in ("tuple", "Tuple")


def _shown(annotation: Any) -> str:
    try:
        return repr(annotation)
    except Exception:  # somebody else's code
        return type(annotation).__name__
