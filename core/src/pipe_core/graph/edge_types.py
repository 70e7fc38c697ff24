"""Whether what a node gives can be what another one takes, by the types that both say.

Only what is certain is refused: a declared class that the other side's class has nothing to do with. What says no type,
or one that a class does not tell, goes with everything.
"""

from __future__ import annotations

import abc
import collections.abc
import numbers
import types
import typing
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.annotations import UNKNOWN, AnyNode, given_types, taken_types
from pipe_core.graph.errors import EdgeTypeError
from pipe_core.graph.nesting import PipelineNode

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline

_NUMBERS: Final = {int: numbers.Integral, float: numbers.Real, complex: numbers.Number}
"""What may come where one of Python's own numbers is wanted."""
_NO_ITEMS: Final = (str, bytes, collections.abc.Mapping)
"""These can be iterated over, and no map does."""


def check_edges(pipeline: Pipeline) -> None:
    """Make sure that along each edge a value can be what is wanted, also in pipelines inside.

    Raises:
        EdgeTypeError: One cannot; names both nodes and both types.
    """
    nodes: list[AnyNode] = list(pipeline.nodes)
    given = {name: (node, kind) for node in nodes for name, kind in given_types(node).items()}
    for node in nodes:
        for parameter in node.parameters:
            if parameter.name in given:
                _check_edge(parameter.name, *given[parameter.name], node)
        if isinstance(node, PipelineNode):
            check_edges(node.pipeline)


def _check_edge(name: str, giver: AnyNode, kind: Any, taker: AnyNode) -> None:
    over = isinstance(taker, PipelineNode) and name in taker.map_over
    if over and _is_certain(kind) and not _has_items(kind):
        raise _error(name, giver, kind, f"the node '{taker.name}' is mapped over it", taker.name, "an iterable")
    for inner, wanted in taken_types(taker, name):
        if not can_be(kind, wanted):
            raise _error(name, giver, kind, f"the node '{inner}' takes it as {_words(wanted)}", inner, wanted)


def _error(name: str, giver: AnyNode, kind: Any, what: str, taker: str, wanted: Any) -> EdgeTypeError:
    return EdgeTypeError(
        f"The node '{giver.name}' gives '{name}' as {_words(kind)}, and {what}. One cannot be the other: correct the "
        f"annotation that is wrong, or put a node between them that converts.",
        output=name,
        giver=giver.name,
        taker=taker,
        given=kind,
        wanted=wanted,
    )


def _words(kind: Any) -> str:
    from pipe_core.graph.pictures.words import type_words  # only an error needs them

    return type_words(kind)


def can_be(given: Any, wanted: Any) -> bool:
    """Whether a value of the type *given* may be one of the type *wanted*. In doubt it may."""
    kinds, accepted = _members(given), _members(wanted)
    return any(_one_can_be(one, other) for one in kinds for other in accepted)


def _members(kind: Any) -> list[Any]:
    """The types of a union, each without what says nothing at run time."""
    if isinstance(kind, typing.NewType):
        return _members(kind.__supertype__)
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _members(typing.get_args(kind)[0])
    if origin is typing.Union or origin is types.UnionType:
        return [member for one in typing.get_args(kind) for member in _members(one)]
    if origin is typing.Literal:
        return [type(value) for value in typing.get_args(kind)]
    return [types.NoneType if kind is None else kind]


def _one_can_be(given: Any, wanted: Any) -> bool:
    one, other = _class_of(given), _class_of(wanted)
    if one is None or other is None or given == wanted:
        return True
    if one in _NUMBERS and other in _NUMBERS:
        return issubclass(one, _NUMBERS[other])
    if not (_is_sub(one, other) or _is_sub(other, one) or _is_sub(one, _NUMBERS.get(other, other))):
        return _is_open(one) and _is_open(other)  # a class may be both
    return _parts_can_be(given, wanted)


def _class_of(kind: Any) -> type | None:
    """The class of values of this type; None where no class tells."""
    if kind is UNKNOWN or kind is Any:
        return None
    if typing.is_typeddict(kind):
        return dict
    origin = typing.get_origin(kind)
    found = kind if origin is None else origin
    if not isinstance(found, type) or getattr(found, "_is_protocol", False):
        return None
    return found


def _is_sub(one: type, other: type) -> bool:
    try:
        return issubclass(one, other)
    except Exception:  # somebody else's code
        return True


def _is_open(kind: type) -> bool:
    return isinstance(kind, abc.ABCMeta)


def _parts_can_be(given: Any, wanted: Any) -> bool:
    """Whether what is in a container can be what is wanted in it."""
    if typing.get_origin(given) is tuple and typing.get_origin(wanted) is tuple:
        one, other = typing.get_args(given), typing.get_args(wanted)
        if ... not in one and ... not in other:
            return len(one) == len(other) and all(map(can_be, one, other))
    one, other = _of_mapping(given), _of_mapping(wanted)
    if one and other:
        return all(map(can_be, one, other))
    return can_be(_item(given), _item(wanted))


def _of_mapping(kind: Any) -> tuple[Any, ...]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    return args if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping) else ()


_CONTAINERS: Final = (
    *(list, set, frozenset, collections.deque),
    *(collections.abc.Iterable, collections.abc.Iterator, collections.abc.Collection, collections.abc.Sequence),
    *(collections.abc.MutableSequence, collections.abc.Set, collections.abc.Generator),
)


def _item(kind: Any) -> Any:
    """The type of what is in a container; `UNKNOWN` where it does not say it."""
    if kind is str:
        return str
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and args and args[1:] == (...,):
        return args[0]
    if origin is tuple and args:
        return typing.Union[args]  # noqa: UP007  # of a tuple
    return args[0] if origin in _CONTAINERS and args else UNKNOWN


def _is_certain(kind: Any) -> bool:
    return all(_class_of(one) is not None for one in _members(kind))


def _has_items(kind: Any) -> bool:
    """Whether a map may be over a value of this type."""
    return any(_may_have_items(found) for one in _members(kind) if (found := _class_of(one)) is not None)


def _may_have_items(kind: type) -> bool:
    if issubclass(kind, _NO_ITEMS):
        return False
    return _is_open(kind) or kind is object or _is_sub(kind, collections.abc.Iterable)
