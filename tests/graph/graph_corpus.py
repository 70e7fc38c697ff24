"""Pipelines that must do the same wherever they run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph_events import Recording, Told, check_order

from pipe_core import Engine, MapResult, Pipeline, node
from pipe_core.graph.errors import ItemsFailedError

# --- nodes ---


class TooLarge(Exception):
    """With more to it than a text."""

    def __init__(self, value: int, *, limit: int = 100) -> None:
        super().__init__(value)
        self.limit = limit


@node(output_name=("low", "high"))
def bounds(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


@node
def span(low: int, high: int, *, factor: int = 1) -> int:
    return (high - low) * factor


@node
async def awaited(span: int, delay: float = 0.001) -> int:
    await asyncio.sleep(delay)
    return -span


@node
def told(span: int, awaited: int, prefix: str = "span") -> str:
    return f"{prefix} {span} {awaited}"


@node
def small(number: int, limit: int = 100) -> int:
    if number > limit:
        raise TooLarge(number, limit=limit)
    return number


@node
def squared(small: int) -> int:
    return small**2


@node
async def halved(small: int) -> float:
    await asyncio.sleep(0)
    if small == -13:
        raise LookupError("less than nothing")
    return small / 2


@node
def both(squared: int, halved: float, shared: int = 0) -> tuple[int, float, int]:
    return squared, halved, shared


@node
def opposite(number: int) -> int:
    return -number


@node(output_name=("one", "two"))
def unequal(number: int) -> tuple[int, ...]:
    return tuple(range(number))


def leaf(item: int, shared: int) -> int:
    return item * shared


def spread(item: int) -> list[int]:
    return list(range(item))


def gathered(found: list[Any], item: int) -> list[Any]:
    return [item, found]


SPANS = Pipeline([told, awaited, span, bounds], name="spans")
NUMBERS = Pipeline([both, small, squared, halved], name="numbers")
LOOSE = Pipeline([small, squared, opposite, halved], name="loose")


def ragged(levels: int) -> Pipeline:
    """Maps in maps, each over as many items as the item around it says."""
    if not levels:
        return Pipeline([node(output_name="result")(leaf)], name="leaf")
    inner = ragged(levels - 1).as_node({"items": "item"}, {"result": "found"}, map_over="items")
    outside = [node(output_name="items")(spread), inner, node(output_name="result")(gathered)]
    return Pipeline(outside, name=f"level-{levels}")


def wide(width: int) -> Pipeline:
    """Nodes that do not need each other, and one that needs them all."""
    parts: list[Any] = []
    for i in range(width):
        scope: dict[str, Any] = {}
        exec(f"def part{i}(number): return number * {i}", scope)  # text of this file
        parts.append(scope[f"part{i}"])
    scope = {}
    names = ", ".join(f"part{i}" for i in range(width))
    exec(f"def total({names}): return sum([{names}])", scope)  # as above
    return Pipeline([scope["total"], *parts], name="wide")


# --- cases ---


@dataclass(frozen=True)
class Case:
    """A pipeline, and what it is called with.

    Attributes:
        name: For people.
        pipeline: What runs.
        inputs: Makes its inputs: a generator is good for one run.
        over: What is mapped over; None for a run.
        options: Of the call.
    """

    name: str
    pipeline: Pipeline
    inputs: Callable[[], dict[str, Any]]
    over: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def call(self, engine: Engine, pipeline: Pipeline | None = None) -> Any:
        """Do it on *engine*."""
        pipeline = pipeline or self.pipeline
        if self.over is None:
            return pipeline.run(self.inputs(), engine=engine, **self.options)
        return pipeline.map(self.inputs(), self.over, engine=engine, **self.options)


def _values() -> dict[str, Any]:
    return {"values": [[3, 1], (5, 9), range(4)], "factor": 2}


NESTED = Pipeline(
    [NUMBERS.as_node({"many": "number"}, map_over="many"), node(output_name="count")(lambda both: len(both))],
    name="nested",
)
SIDE_BY_SIDE = Pipeline(
    [
        NUMBERS.as_node({"left": "number"}, {"both": "a"}, map_over="left", name="left"),
        SPANS.as_node({"right": "values"}, {"told": "b"}, map_over="right", name="right"),
        node(output_name="ab")(lambda a, b: [*a, *b]),
    ],
    name="side-by-side",
)

CASES = [
    Case("run", SPANS, lambda: {"values": [3, 1, 5]}),
    Case("run with defaults given", SPANS, lambda: {"values": [3, 1], "factor": 3, "prefix": "is"}),
    Case("one output", SPANS, lambda: {"values": [3, 1]}, None, {"output_name": "span"}),
    Case("wide", wide(12), lambda: {"number": 3}),
    Case("map", SPANS, _values, "values"),
    Case("map, one output", SPANS, _values, "values", {"output_name": ["awaited"]}),
    Case("map over a generator", NUMBERS, lambda: {"number": (n for n in range(40)), "shared": 7}, "number"),
    Case("map over many", LOOSE, lambda: {"number": range(60), "limit": 1_000}, "number", {"output_name": "squared"}),
    Case("zip", NUMBERS, lambda: {"number": [1, 2], "shared": (3, 4)}, ["number", "shared"]),
    Case(
        "product",
        NUMBERS,
        lambda: {"number": [1, 2], "shared": [3, 4, 5]},
        ["shared", "number"],
        {"map_mode": "product"},
    ),
    Case("no items", NUMBERS, lambda: {"number": []}, "number"),
    Case("bound", SPANS.bind(factor=5), lambda: {"values": [[1, 2], [3, 5]]}, "values"),
    Case("nested", Pipeline([Pipeline([SPANS], name="middle")], name="outer"), lambda: {"values": [3, 1]}),
    Case("nested map", NESTED, lambda: {"many": [1, 2, 3], "shared": 5}),
    Case("nested map of none", NESTED, lambda: {"many": []}),
    Case("nested map in a map", NESTED, lambda: {"many": [[1], [], [2, 3]], "shared": 5}, "many"),
    Case(
        "nested map of more than is read ahead",
        NESTED,
        lambda: {"many": range(300), "limit": 300},
        None,
        {"output_name": "count"},
    ),
    Case("maps side by side", SIDE_BY_SIDE, lambda: {"left": range(20), "right": [[1, n] for n in range(20)]}),
    Case("ragged, three deep", ragged(3), lambda: {"item": 4, "shared": 10}, None, {"output_name": "result"}),
    Case("ragged, three deep, mapped", ragged(3), lambda: {"item": range(4), "shared": 10}, "item"),
]
"""They all end well."""

FAILING = [
    Case("a node", NUMBERS, lambda: {"number": 101}),
    Case("a coroutine", NUMBERS, lambda: {"number": -13}),
    Case("an item", NUMBERS, lambda: {"number": [1, 2, 101, 3]}, "number"),
    Case("an item in an item", NESTED, lambda: {"many": [[1], [2, 102, 3]]}, "many"),
    Case("a node inside", Pipeline([Pipeline([NUMBERS], name="middle")], name="outer"), lambda: {"number": 101}),
    Case("the number of outputs", Pipeline([unequal], name="unequal"), lambda: {"number": 3}),
    Case(
        "lists inside",
        Pipeline([NUMBERS.as_node(map_over=["number", "shared"], name="in")], name="out"),
        lambda: {"number": [1, 2], "shared": [1]},
    ),
]
"""One thing fails in each."""

GOING_ON = [
    Case("a node", LOOSE, lambda: {"number": 101}),
    Case("nothing left", Pipeline([small], name="alone"), lambda: {"number": 101}),
    Case("items", LOOSE, lambda: {"number": [1, 101, -13, 2, 102]}, "number"),
    Case("items of one node", Pipeline([small], name="alone"), lambda: {"number": range(90, 110)}, "number"),
    Case("items with items", NESTED, lambda: {"many": [[1], [2, 102, 3], [], [-13]]}, "many"),
    Case("what is inside", Pipeline([NUMBERS, opposite], name="outer"), lambda: {"number": 101}),
]
"""What fails in them does not end them."""


# --- what came of it ---


@dataclass(frozen=True)
class Outcome:
    """What a case came to: its value, or its errors, and for each of these how it was said where."""

    value: Any
    errors: tuple[tuple[Any, ...], ...] = ()
    columns: Any = None


def outcome(case: Case, engine: Engine, pipeline: Pipeline | None = None) -> Outcome:
    """What it comes to on *engine*."""
    try:
        found = case.call(engine, pipeline)
    except ItemsFailedError as group:
        return Outcome(_plain(group.result), tuple(sorted(map(_described, group.exceptions))))
    except Exception as error:
        return Outcome(None, (_described(error),))
    if isinstance(found, MapResult):
        failed = tuple((one.index, *_described(one.error)) for one in found.failed)
        return Outcome(_plain(found), failed, found.columns())
    return Outcome(found)


def _plain(found: Any) -> Any:
    return list(found) if isinstance(found, list) else found


def _described(error: BaseException) -> tuple[Any, ...]:
    notes = [text for text in getattr(error, "__notes__", ()) if text.startswith("In node ")]
    return type(error).__name__, repr(error.args), repr(getattr(error, "limit", None)), *notes


def listened(case: Case, engine: Engine) -> tuple[Outcome, list[Told]]:
    """What it comes to, and what a callback hears of it, in a legal order."""
    recording = Recording()
    found = outcome(case, engine, case.pipeline.with_callbacks([recording]))
    check_order(recording.told)
    return found, recording.told
