"""The items of a map: which inputs each of them has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Final

from pipe_core.graph.errors import GraphError

MODES: Final = ("zip", "product")


class MapError(GraphError):
    """The inputs of a map do not fit together.

    Attributes:
        lengths: How many values each has that is mapped over, as far as it is known.
    """

    def __init__(self, message: str, *, lengths: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.lengths = dict(lengths or {})


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several, or none, as a tuple."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def check_mode(mode: str) -> str:
    """*mode*, if there is one of that name."""
    if mode not in MODES:
        raise MapError(f"map_mode is 'zip', for values of equal place, or 'product', for all pairs; not {mode!r}.")
    return mode


def items_of(inputs: Mapping[str, Any], over: Sequence[str], mode: str) -> Iterator[dict[str, Any]]:
    """The inputs of each item; those that are not mapped over are the same for all.

    One iterable that is mapped over is not read ahead: it may be a generator without an end.

    Raises:
        MapError: The lengths differ, or a value cannot be iterated over.
    """
    fixed = {name: value for name, value in inputs.items() if name not in over}
    columns = {name: _iterable(name, inputs[name]) for name in over}
    if len(over) == 1:
        (name, column), *_ = columns.items()
        return ({**fixed, name: value} for value in column)
    if mode == "product":
        rows: Iterable[tuple[Any, ...]] = itertools.product(*columns.values())
    else:
        _check_lengths(columns)
        rows = zip(*columns.values(), strict=True)
    return ({**fixed, **dict(zip(over, row, strict=True))} for row in rows)


def count_of(inputs: Mapping[str, Any], over: Sequence[str], mode: str) -> int | None:
    """How many items there are; None where that is only known at their end."""
    try:
        lengths = [len(inputs[name]) for name in over]
    except TypeError:
        return None
    if mode == "zip":
        return lengths[0]
    total = 1
    for length in lengths:
        total *= length
    return total


def _iterable(name: str, value: Any) -> Iterable[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise MapError(
            f"'{name}' is mapped over, and so wants one value for each item: a list, a range, an array, a generator. "
            f"It is a {type(value).__name__}."
        )
    return value


def _check_lengths(columns: Mapping[str, Iterable[Any]]) -> None:
    lengths = {name: len(column) for name, column in columns.items() if isinstance(column, Sized)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise MapError(
            f"All that is mapped over by 'zip' has the same length, and here lengths differ ({shown}). Did you mean "
            f"map_mode='product'?",
            lengths=lengths,
        )
