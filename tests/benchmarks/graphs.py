"""The graphs whose nodes do next to nothing, and what must come out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from itertools import zip_longest
from typing import Any, Final

from ten_nodes import NODES

LAST: Final = NODES[-1].__name__
BRANCHES: Final = 10
SHAPES: Final = {"chain": len(NODES), "async chain": len(NODES), "fan-out": 1 + BRANCHES}
"""How many nodes each has."""


def nodes_of(shape: str) -> list[Any]:
    """The nodes of a graph that does next to nothing."""
    from pipe_core import Node

    if shape != "fan-out":
        return [Node(function if shape == "chain" else awaited(function)) for function in NODES]
    branches = [Node(_adding(number), f"branch_{number}") for number in range(BRANCHES)]
    return [Node(NODES[0]), *branches]


def outputs_of(shape: str, x: int) -> dict[str, int]:
    """What such a graph must give for *x*."""
    if shape != "fan-out":
        return {function.__name__: x + place for place, function in enumerate(NODES, 1)}
    return {"one": x + 1, **{f"branch_{number}": x + 1 + number for number in range(BRANCHES)}}


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same as a coroutine function."""

    @wraps(function)
    async def call(*args: Any) -> Any:
        return function(*args)

    return call


def _adding(number: int) -> Callable[[int], int]:
    def add(one: int) -> int:
        return one + number

    return add


def check(shape: str, rows: Iterable[Mapping[str, int] | int], xs: Iterable[int]) -> None:
    """End the process unless each of *rows* is what comes of its *x*: all outputs, or the last one.

    Raises:
        SystemExit: It is not, or there are more or fewer of them.
    """
    for row, x in zip_longest(rows, xs):
        expected = {} if x is None else outputs_of(shape, x)
        last = {LAST: expected.get(LAST)}
        if row is None or (row if isinstance(row, Mapping) else {LAST: row}) not in (expected, last):
            raise SystemExit(f"{row} came of {x} through the {shape}")
