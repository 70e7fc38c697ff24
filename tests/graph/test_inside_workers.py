"""The nodes of an item run where the engine says, also when the item itself is in another process."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from pipe_core import Engine, Pipeline, node


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


def test_coroutines_of_an_item_run_at_once_on_a_loop_of_its_process() -> None:
    @node
    async def first(item: int) -> int:
        await asyncio.sleep(0.5)
        return id(asyncio.get_running_loop())

    @node
    async def second(item: int) -> int:
        await asyncio.sleep(0.5)
        return id(asyncio.get_running_loop())

    with Engine("asyncio", "loky", max_workers=2) as engine:
        for row in Pipeline([first, second]).map({"item": range(2)}, "item", engine=engine):
            assert row["first"] == row["second"]
