"""What runs at the same time: a node as soon as its inputs are there, and an item without waiting for others."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from starting import Started

from pipe_core import Engine, Node, Pipeline, node

pytestmark = pytest.mark.timeout(60)

LIMIT = 20.0
PLACES = ["threads", "asyncio", "loky"]


@pytest.fixture(params=PLACES)
def engine(request: pytest.FixtureRequest, executors: Started) -> Engine:
    """Two slots, and workers that are there already."""
    engine = Engine(executors[request.param], executors[request.param])
    Pipeline([node(output_name="y")(lambda x: x)]).map({"x": range(4)}, "x", engine=engine)
    return engine


def begun(folder: Path, name: str) -> None:
    """Say that *name* has begun."""
    (folder / name).touch()


def until(folder: Path, name: str) -> None:
    """Wait for *name* to begin."""
    deadline = time.monotonic() + LIMIT
    while not (folder / name).exists():
        assert time.monotonic() < deadline, f"{name} has not begun"
        time.sleep(0.002)


def test_a_node_does_not_wait_for_what_it_does_not_need(engine: Engine, tmp_path: Path) -> None:
    @node
    def long() -> int:
        until(tmp_path, "last")  # which is two steps behind a node on the same level as this one
        return 1

    @node
    def short() -> int:
        return 2

    @node
    def last(short: int) -> int:
        begun(tmp_path, "last")
        return short

    assert Pipeline([long, short, last]).run(engine=engine) == {"long": 1, "short": 2, "last": 2}


def test_unequal_ways_take_as_long_as_the_longest(engine: Engine) -> None:
    def a() -> None:
        time.sleep(0.3)

    def b() -> None:
        time.sleep(0.05)

    def c(b: None) -> None:
        time.sleep(0.3)

    started = time.monotonic()
    Pipeline([a, b, c]).run(engine=engine)
    assert time.monotonic() - started < 0.6


def test_an_item_goes_through_its_nodes_without_waiting_for_others(engine: Engine, tmp_path: Path) -> None:
    @node
    def first(item: int) -> int:
        if item == 1:
            until(tmp_path, "second-0")
        return item

    @node
    def second(first: int) -> int:
        begun(tmp_path, f"second-{first}")
        return first

    assert Pipeline([first, second]).map({"item": [0, 1]}, "item", engine=engine)["second"] == [0, 1]


def test_what_is_inside_of_items_does_not_wait_for_other_items_either(tmp_path: Path, executors: Started) -> None:
    @node
    def first(item: int) -> int:
        if item == 3:
            until(tmp_path, "last-0")
        return item

    @node
    def last(total: int, many: list[int]) -> int:
        begun(tmp_path, f"last-{many[0]}")
        return total

    inner = Pipeline([first]).as_node({"many": "item"}, {"first": "found"}, map_over="many")
    outer = Pipeline([last, node(output_name="total")(lambda found: sum(found)), inner])
    for place in ("threads", "asyncio"):
        engine = Engine(executors[place], executors[place])
        assert outer.map({"many": [[0, 1], [2, 3]]}, "many", engine=engine)["last"] == [1, 5]
        (tmp_path / "last-0").unlink()


@pytest.mark.parametrize("place", ["threads", "asyncio"])
def test_early_items_go_first(place: str, executors: Started) -> None:
    """Few items are open at once: an item that has begun goes on before another one begins."""
    order: list[tuple[int, str]] = []

    @node
    def a(item: int) -> int:
        order.append((item, "a"))
        return item

    @node
    def b(a: int) -> int:
        order.append((a, "b"))
        return a

    @node
    def c(b: int) -> int:
        order.append((b, "c"))
        return b

    Pipeline([a, b, c]).map({"item": range(60)}, "item", engine=Engine(executors[place], executors[place]))
    is_open: set[int] = set()
    most = 0
    for item, step in order:
        is_open.add(item)
        most = max(most, len(is_open))
        if step == "c":
            is_open.discard(item)
    assert len(order) == 180
    assert most <= 12


# --- coroutines ---


@node
async def first_loop(number: int) -> tuple[int, int]:
    await asyncio.sleep(0.001)
    return os.getpid(), id(asyncio.get_running_loop())


@node
async def second_loop(first_loop: tuple[int, int], item: int) -> tuple[int, int]:
    await asyncio.sleep(0.001)
    return os.getpid(), id(asyncio.get_running_loop())


@node
async def last_loop(second_loop: list[tuple[int, int]]) -> tuple[int, int]:
    return os.getpid(), id(asyncio.get_running_loop())


LOOPS = Pipeline([last_loop, first_loop, Pipeline([second_loop]).as_node({"items": "item"}, map_over="items")])


def loops(pairs: list[tuple[int, int]]) -> dict[int, set[int]]:
    """The loops of each process."""
    found: dict[int, set[int]] = defaultdict(set)
    for process, loop in pairs:
        found[process].add(loop)
    return found


def test_all_coroutines_of_a_run_share_a_loop_in_each_process(combined: Engine) -> None:
    found = LOOPS.run({"number": 1, "items": range(5)}, engine=combined)
    mine = loops([found["first_loop"], *found["second_loop"], found["last_loop"]])
    assert all(len(one) == 1 for one in mine.values())
    result = LOOPS.map({"number": 1, "items": [[1, 2], [3], [4, 5]]}, "items", engine=combined)
    pairs = [pair for row in result for pair in [row["first_loop"], *row["second_loop"], row["last_loop"]]]
    assert all(len(one) == 1 for process, one in loops(pairs).items() if process == os.getpid())


@pytest.mark.xfail(strict=True, reason="on asyncio these run beside its loop: on the run's own, or another executor's")
@pytest.mark.parametrize(
    "other",
    [
        node(output_name="other", timeout=20)(first_loop.fn),
        node(output_name="other", executor="asyncio")(first_loop.fn),
        node(output_name="other")(lambda number: first_loop(number)),
    ],
    ids=["limited in time", "with an executor of its own", "of a plain function"],
)
def test_other_coroutines_share_the_loop_too(other: Node[..., Any]) -> None:
    with Engine("asyncio") as engine:
        found = Pipeline([first_loop, other]).run({"number": 1}, engine=engine)
    assert found["first_loop"] == found["other"]


def test_coroutines_run_on_clusters_too(clustered: Engine) -> None:
    found = LOOPS.run({"number": 1, "items": range(5)}, engine=clustered)
    assert len(found["second_loop"]) == 5


def test_what_is_bound_to_a_loop_is_good_in_the_whole_run(executors: Started) -> None:
    """As a client of a service is: its lock belongs to the loop that it was first waited for on."""
    lock = asyncio.Lock()
    together: list[int] = []

    @node
    async def asks(item: int) -> int:
        async with lock:
            together.append(item)
            await asyncio.sleep(0)
            return len(together)

    for place in ("asyncio", "threads"):
        lock, together = asyncio.Lock(), []
        engine = Engine(executors[place], executors[place])
        inner = Pipeline([asks]).as_node({"items": "item"}, map_over="items")
        assert sorted(Pipeline([inner]).run({"items": range(20)}, engine=engine)["asks"]) == list(range(1, 21))


def test_functions_that_wait_do_not_block_the_loop(executors: Started) -> None:
    go = threading.Event()

    @node
    def waits() -> bool:
        return go.wait(LIMIT)

    @node
    async def opens() -> bool:
        await asyncio.sleep(0.01)
        go.set()
        return True

    for engine in (Engine(executors["asyncio"]), Engine(executors["threads"])):
        go.clear()
        assert Pipeline([waits, opens]).run(engine=engine) == {"waits": True, "opens": True}


def test_a_hundred_coroutines_wait_at_once_and_not_more() -> None:
    now, most = 0, 0

    @node
    async def waits(item: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return item

    for workers, expected in ((None, 100), (7, 7)):
        now = most = 0
        with Engine("asyncio", "asyncio", max_workers=workers) as engine:
            result: Any = Pipeline([waits]).map({"item": range(250 if workers is None else 30)}, "item", engine=engine)
        assert result["waits"] == list(range(len(result)))
        assert most == expected
