"""A codec with its table of types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipe_core.kernel.contracts import Codec
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.errors import CodecError
from pipe_core.records.transport.types_of import classes_in
from pipe_core.runtime.wire import dumps


class TypeTable:
    """The classes whose instances travel, and what encodes with them. Never changes: `more` makes another one.

    Args:
        base: The codec. With a method ``with_types(types)`` it takes instances of classes.
        found: Classes that the schema names; those that cannot travel are left out.
        extra: Classes that were met in records.

    Attributes:
        codec: The codec with the table.
        probe: The same for trying out, without a part in what is counted.
        own: The classes of the schema.
        types: Those, and the `extra` ones behind them.
    """

    def __init__(self, base: Codec, found: Sequence[type], extra: Sequence[type] = ()) -> None:
        self.base = base
        self.own = tuple(kind for kind in found if _takes(base, kind))
        self.extra = tuple(extra)
        self.types = (*self.own, *extra)
        with_types = getattr(base, "with_types", None)
        self.codec: Codec = with_types(self.types) if with_types else base
        self.probe: Codec = with_types(self.types) if with_types else base

    def more(self, extra: Sequence[type]) -> TypeTable:
        """The table with *extra* in place of what it has of that."""
        return TypeTable(self.base, self.own, extra)

    def new_types(self, value: Any, refused: set[type]) -> list[type]:
        """The classes in *value* that are missing in the table and may be in it. Others are added to *refused*."""
        known = refused.union(self.types)
        new = [kind for kind in _classes_in(value) if kind not in known]
        found = [kind for kind in new if _takes(self.base, kind) and _is_portable(kind)]
        refused.update(set(new).difference(found))
        return found

    @property
    def names(self) -> list[str]:
        """What the classes of the schema are called."""
        # Not by `__qualname__`: some classes that were made in a function come by value without the function's name.
        return [f"{kind.__module__}.{kind.__name__}" for kind in self.own]


def _classes_in(value: Any) -> Sequence[type]:
    try:
        return classes_in(value)
    except BaseException as error:  # user code: properties of the fields of a dataclass
        if is_ctrl_c(error):
            raise
        return ()


def _takes(codec: Codec, kind: type) -> bool:
    """Whether *codec* takes instances of *kind*, once it is in the table."""
    with_types = getattr(codec, "with_types", None)
    if with_types is None:
        return False
    try:
        with_types((kind,))
    except CodecError:
        return False
    return True


def _is_portable(kind: type) -> bool:
    """Whether the class itself can travel to a worker that lacks it."""
    try:
        dumps(kind)
    except BaseException as error:  # whatever the pickling of something in it raises
        if is_ctrl_c(error):
            raise
        return False
    return True
