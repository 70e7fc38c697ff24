"""The items of a map: which inputs each of them has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Final

from pipe_core.graph.errors import GraphError, InputError, short
from pipe_core.kernel.index import suggestion

MODES: Final = ("zip", "product")

_ENDED: Final = object()


class MapError(GraphError):
    """The inputs of a map do not fit together.

    Attributes:
        lengths: How many values each has that is mapped over, as far as it is known.
    """

    def __init__(self, message: str, *, lengths: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.lengths = dict(lengths or {})


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several, or none, as a tuple; each of them once."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


def check_inputs(inputs: Any) -> Mapping[str, Any]:
    """*inputs*, if they are a mapping; none where they are None.

    Raises:
        InputError: They are something else.
    """
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        return inputs
    given = short(inputs)
    output = f", and outputs are named as output_name={given}" if isinstance(inputs, str) else ""
    raise InputError(f"Inputs are a mapping of their names to values, such as {{'x': 1}}, not {given}{output}.")


def check_mode(mode: str) -> str:
    """*mode*, if there is one of that name."""
    if mode not in MODES:
        raise MapError(f"map_mode is 'zip', for values of equal place, or 'product', for all pairs; not {mode!r}.")
    return mode


def items_of(inputs: Mapping[str, Any], over: Sequence[str], mode: str) -> Iterator[dict[str, Any]]:
    """The inputs of each item; those that are not mapped over are the same for all.

    One iterable that is mapped over is not read ahead: it may be a generator without an end.

    Raises:
        InputError: There is no such input to map over.
        MapError: The lengths differ, a value cannot be iterated over, or nothing is mapped over.
    """
    _check_given(inputs, over)
    fixed = {name: value for name, value in inputs.items() if name not in over}
    columns = {name: _iterable(name, inputs[name]) for name in over}
    if len(over) == 1:
        (name, column), *_ = columns.items()
        return ({**fixed, name: value} for value in column)
    if mode == "product":
        rows: Iterable[tuple[Any, ...]] = itertools.product(*columns.values())
    else:
        _check_lengths(columns)
        rows = _in_step(columns)
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


def _check_given(inputs: Mapping[str, Any], over: Sequence[str]) -> None:
    if not over:
        raise MapError("map_over names no input. Name those that have one value for each item, or use run.")
    for name in over:
        if name not in inputs:
            raise InputError(
                f"'{name}' is to be mapped over, and was not given.{suggestion(name, inputs)} "
                f"Given: {', '.join(inputs) or 'nothing'}",
                missing=[name],
            )


def _in_step(columns: Mapping[str, Iterable[Any]]) -> Iterator[tuple[Any, ...]]:
    """The values of equal place. What has no length shows only at its end that it is too short."""
    for count, row in enumerate(itertools.zip_longest(*columns.values(), fillvalue=_ENDED)):
        ended = [name for name, value in zip(columns, row, strict=True) if value is _ENDED]
        if ended:
            raise MapError(
                f"All that is mapped over by 'zip' has the same length, and here {' and '.join(ended)} ended after "
                f"{count} values, before the others.",
                lengths=dict.fromkeys(ended, count),
            )
        yield row


def _iterable(name: str, value: Any) -> Iterable[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise MapError(
            f"'{name}' is mapped over, and so wants one value for each item: a list, a range, an array, a generator. "
            f"It is of the type {type(value).__name__}."
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
