"""The types that functions say of themselves: what nodes take and give, as far as that can be known."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.nesting import PipelineNode
from pipe_core.graph.node import Node

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline

UNKNOWN: Final = inspect.Parameter.empty
"""Stands for the type of what has none, or none that can be known."""

AnyNode = Node[..., Any] | PipelineNode


def taken_types(node: AnyNode, name: str, many: Any = collections.abc.Iterable) -> Iterator[tuple[str, Any]]:
    """Who takes the input *name* of *node*, and as what. Functions that do not say it are left out.

    Args:
        node: A function, or a pipeline of many.
        name: The input, as it is called outside.
        many: What stands around the type of one item, where a pipeline is mapped over it.
    """
    if isinstance(node, Node):
        found = hints_of(node.fn).get(name, UNKNOWN)
        if found is not UNKNOWN:
            yield node.name, found
        return
    inner = node.input_mapping.get(name, name)
    for one in node.pipeline.nodes:
        if any(parameter.name == inner for parameter in one.parameters):
            for taker, found in taken_types(one, inner, many):
                yield f"{node.name}.{taker}", many[found] if name in node.map_over else found


def given_types(node: AnyNode) -> dict[str, Any]:
    """The type of each output of *node*; `UNKNOWN` where it does not say it."""
    if isinstance(node, PipelineNode):
        inner = _outputs_of(node.pipeline)
        found = [inner[name] for name in node.wanted]
        if node.is_mapped:
            found = [list if one is UNKNOWN else list[one] for one in found]  # type: ignore[valid-type]  # a type that is known when it runs
        return dict(zip(node.outputs, found, strict=True))
    returned = hints_of(node.fn).get("return", UNKNOWN)
    if not node.is_tuple:
        return {node.outputs[0]: returned}
    return dict(zip(node.outputs, _parts(returned, len(node.outputs)), strict=True))


def _outputs_of(pipeline: Pipeline) -> dict[str, Any]:
    return {name: one for node in pipeline.nodes for name, one in given_types(node).items()}


def _parts(returned: Any, count: int) -> list[Any]:
    """The types of *count* values that are returned as one; unknown ones, where it does not say as many."""
    unknown = [UNKNOWN] * count
    if typing.get_origin(returned) is not tuple:
        return unknown
    parts = list(typing.get_args(returned))
    if len(parts) == 2 and parts[1] is ...:
        return [parts[0]] * count
    return parts if len(parts) == count else unknown


def hints_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of *fn* by name, ``return`` among them, without those that cannot be resolved."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if inspect.isclass(fn):
        return {**_resolved(fn.__init__), "return": fn}
    if not inspect.isroutine(fn):  # an object that can be called, perhaps around a function
        fn = inspect.unwrap(fn) if hasattr(fn, "__wrapped__") else type(fn).__call__
    return _resolved(fn)


def _resolved(fn: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn)
    except Exception:  # a name is not there, or somebody else's code
        said = getattr(fn, "__annotations__", None) or {}
    return {name: found for name, one in said.items() if (found := _alone(fn, one)) is not UNKNOWN}


def _alone(fn: Any, annotation: Any) -> Any:
    """One annotation of several of which not all can be resolved."""
    holder = types.SimpleNamespace(__annotations__={"it": annotation}, __globals__=getattr(fn, "__globals__", {}))
    try:
        return typing.get_type_hints(holder, globalns=holder.__globals__)["it"]
    except Exception:
        return UNKNOWN
