"""However deep pipelines are nested, and however few slots there are: they do not block each other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node

pytestmark = pytest.mark.timeout(60)

PLACES = ["threads", "asyncio", "loky"]
DEPTH = 4


Engines = Callable[[str, int], Engine]


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    """Engines with the same executor on both sides, by its name and the number of its workers."""
    made: dict[tuple[str, int], Engine] = {}

    def get(place: str, workers: int) -> Engine:
        return made.setdefault((place, workers), Engine(place, place, max_workers=workers))

    yield get
    for engine in made.values():
        engine.close()


def left(value: int) -> int:
    return value + 1


async def right(value: int) -> int:
    await asyncio.sleep(0)
    return value + 2


def deep(levels: int, mapped: bool) -> Pipeline:
    """On each level two nodes that do not need each other, and for each of them a pipeline inside."""
    sides = [node(output_name="left")(left), node(output_name="right")(right)]
    if not levels:
        total = node(output_name="total")(lambda left, right: left + right)
        return Pipeline([*sides, total], name="level-0")
    inner = deep(levels - 1, mapped)
    if mapped:
        both = node(output_name="both")(lambda left, right: [left, right])
        inside = [both, inner.as_node({"both": "value"}, {"total": "totals"}, map_over="both")]
        return Pipeline(
            [*sides, *inside, node(output_name="total")(lambda totals: sum(totals))], name=f"level-{levels}"
        )
    inside = [inner.as_node({side: "value"}, {"total": f"of_{side}"}, name=side) for side in ("left", "right")]
    total = node(output_name="total")(lambda of_left, of_right: of_left + of_right)
    return Pipeline([*sides, *inside, total], name=f"level-{levels}")


def expected(levels: int, value: int) -> int:
    if not levels:
        return 2 * value + 3
    return expected(levels - 1, value + 1) + expected(levels - 1, value + 2)


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("place", PLACES)
def test_four_levels_end_with_any_number_of_workers(place: str, workers: int, engines: Engines) -> None:
    engine = engines(place, workers)
    for mapped in (False, True):
        pipeline = deep(DEPTH, mapped)
        assert pipeline.run({"value": 1}, "total", engine=engine) == {"total": expected(DEPTH, 1)}
        result = pipeline.map({"value": range(3)}, "value", output_name="total", engine=engine)
        assert result["total"] == [expected(DEPTH, value) for value in range(3)]


@pytest.mark.parametrize("mapped", [False, True], ids=["once", "mapped"])
@pytest.mark.parametrize("sides", [("threads", "asyncio"), ("asyncio", "threads"), ("loky", "threads")], ids="+".join)
def test_two_executors_of_one_worker_do_not_wait_for_each_other(sides: tuple[str, str], mapped: bool) -> None:
    with Engine(*sides, max_workers=1) as engine:
        result = deep(3, mapped).map({"value": range(4)}, "value", output_name="total", engine=engine)
        assert result["total"] == [expected(3, value) for value in range(4)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("place", PLACES)
def test_a_node_may_run_pipelines_of_its_own_engine(place: str, workers: int, engines: Engines) -> None:
    engine = engines(place, workers)
    inner = deep(1, mapped=True).with_engine(engine)

    def calls(value: int, depth: int) -> list[int]:
        found = [inner(value=value)["total"], *inner.map({"value": [value, 0]}, "value")["total"]]
        if depth:
            found += outer.run({"value": value, "depth": depth - 1})["calls"]
        return found

    outer = Pipeline([calls], engine=engine)
    one = [expected(1, 1), expected(1, 1), expected(1, 0)]
    assert outer(value=1, depth=0) == {"calls": one}
    assert outer(value=1, depth=2) == {"calls": 3 * one}
    assert outer.map({"value": [1, 1, 1], "depth": 1}, "value")["calls"] == 3 * [2 * one]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("place", PLACES)
def test_a_coroutine_may_run_pipelines_of_its_own_engine(place: str, workers: int, engines: Engines) -> None:
    engine = engines(place, workers)
    inner = deep(1, mapped=False).with_engine(engine)

    async def blocks(value: int) -> Any:  # its loop, for which nobody inside may wait then
        await asyncio.sleep(0)
        return inner(value=value)["total"]

    async def waits(value: int) -> Any:
        return (await inner.arun({"value": value}))["total"]

    for calls in (blocks, waits):
        outer = Pipeline([node(output_name="found")(calls)], engine=engine)
        assert outer(value=1) == {"found": expected(1, 1)}
        assert outer.map({"value": range(3)}, "value")["found"] == [expected(1, value) for value in range(3)]


@pytest.mark.parametrize("place", PLACES)
def test_a_coroutine_of_the_caller_may_run_pipelines(place: str, engines: Engines) -> None:
    pipeline = deep(1, mapped=True).with_engine(engines(place, 1))

    async def main() -> list[Any]:
        return [pipeline.run({"value": 1}, "total"), await pipeline.arun({"value": 1}, "total")]

    assert asyncio.run(main()) == 2 * [{"total": expected(1, 1)}]


@pytest.mark.parametrize("place", PLACES)
def test_many_items_on_one_worker(place: str, engines: Engines) -> None:
    pipeline = Pipeline([node(output_name="left")(left), node(output_name="pid")(lambda left: os.getpid())])
    result = pipeline.map({"value": range(2_000)}, "value", engine=engines(place, 1))
    assert result["left"] == list(range(1, 2_001))
    assert len(set(result["pid"])) == 1
