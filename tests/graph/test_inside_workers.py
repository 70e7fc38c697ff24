"""The nodes of an item run where the engine says, also when the item itself is in another process."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import defaultdict
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, get_executor, node


@pytest.mark.parametrize("inside", ["threads", "asyncio"])
def test_nodes_meet_in_the_process_of_their_item(inside: str) -> None:
    meeting = {"ready": None}

    @node
    def left(item: int) -> tuple[int, bool]:
        return os.getpid(), meet(item, "left")

    @node
    def right(item: int) -> tuple[int, bool]:
        return os.getpid(), meet(item, "right")

    def meet(item: int, side: str) -> bool:
        """Whether the other one was there: each waits for it."""
        barrier = meeting.setdefault(str(item), threading.Barrier(2))
        barrier.wait(20)  # type: ignore[attr-defined]  # of the items
        return True

    with Engine(inside, "loky", max_workers=2) as engine:
        found = Pipeline([left, right]).map({"item": range(6)}, "item", engine=engine)
    assert all(row["left"] == row["right"] for row in found)
    assert all(row["left"][0] != os.getpid() for row in found)


def loop_here() -> tuple[int, str]:
    """The process, and a mark of its loop that no later one has, as the address of one that is gone may be."""
    loop: Any = asyncio.get_running_loop()
    if not hasattr(loop, "mark"):
        loop.mark = uuid.uuid4().hex
    return os.getpid(), loop.mark


async def later(item: int) -> tuple[int, str]:
    await asyncio.sleep(0.01)
    return loop_here()


def test_coroutines_of_an_item_run_at_once() -> None:
    barriers: dict[int, asyncio.Barrier] = {}

    async def meet(item: int) -> tuple[int, str]:
        async with asyncio.timeout(20):
            await barriers.setdefault(item, asyncio.Barrier(2)).wait()
        return loop_here()

    nodes = [node(output_name="left")(meet), node(output_name="right")(meet)]
    with Engine("asyncio", "loky", max_workers=2) as engine:
        rows = Pipeline(nodes).map({"item": range(2)}, "item", engine=engine)
    assert all(row["left"] == row["right"] and row["left"][0] != os.getpid() for row in rows)


@pytest.mark.parametrize(
    ("inside", "alone_first"), [("sync", False), ("threads", False), ("asyncio", False), ("asyncio", True)]
)
def test_a_worker_keeps_one_loop_for_all_coroutines_of_all_runs(inside: str, alone_first: bool) -> None:
    """Of items that travel whole and of nodes that travel alone, directly and inside of plain functions."""
    whole = Pipeline(
        [
            node(output_name="directly")(later),
            node(output_name="again")(later),
            node(output_name="plain")(lambda item: later(item)),
            Pipeline([node(output_name="many")(later)]).as_node({"item": "item"}, name="inner"),
        ]
    )
    alone = Pipeline([node(output_name="tried", retries=1)(later), node(output_name="timed", timeout=30)(later)])
    with get_executor("loky", max_workers=2) as workers:
        rows: list[dict[str, Any]] = []
        for pipeline in (alone, whole, alone) if alone_first else (whole, alone, whole):
            engine = Engine("sync" if pipeline is alone else inside, workers)
            rows += pipeline.map({"item": range(8)}, "item", engine=engine)
    marks: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        for process, mark in row.values():
            marks[process].add(mark)
    assert os.getpid() not in marks
    assert all(len(found) == 1 for found in marks.values()), marks
