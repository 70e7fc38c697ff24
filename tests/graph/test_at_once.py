"""What runs at the same time: a node as soon as its inputs are there, and an item without waiting for others."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starting import Started

from pipe_core import Engine, Node, Pipeline, TaskTimeoutError, get_executor, node

pytestmark = [pytest.mark.timeout(60), pytest.mark.alone]

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


where = first_loop.fn
OTHERS = {
    "limited in time": node(output_name="other", timeout=20)(where),
    "on an executor of its own": node(output_name="other", executor=("asyncio", {"max_workers": 1}))(where),
    "on the same once more": node(output_name="other", executor="asyncio")(where),
    "of a plain function": node(output_name="other")(lambda number: where(number)),
    "of one that is limited": node(output_name="other", timeout=20)(lambda number: where(number)),
}


@pytest.fixture(params=["threads", "asyncio", "asyncio twice", "asyncio of somebody else"])
def engine_with_loop(request: pytest.FixtureRequest, executors: Started) -> Iterator[Engine]:
    if request.param == "asyncio of somebody else":
        yield Engine(executors["asyncio"], executors["asyncio"])
        return
    place, _, more = request.param.partition(" ")
    with Engine(place, (place, {"max_workers": 3}) if more else place, max_workers=2) as engine:
        yield engine


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("other_first", [False, True])
def test_other_coroutines_share_the_loop_too(
    other: Node[..., Any], other_first: bool, engine_with_loop: Engine
) -> None:
    behind = node(output_name="behind")(lambda first_loop, other: where(0))
    nodes = [other, first_loop, behind] if other_first else [first_loop, other, behind]
    found = Pipeline(nodes).run({"number": 1}, engine=engine_with_loop)
    assert len(set(found.values())) == 1
    mapped = Pipeline(nodes).map({"number": range(5)}, "number", engine=engine_with_loop)
    assert len({loop for row in mapped for loop in row.values()}) == 1


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_the_loop_is_the_one_of_who_awaits_the_run(other: Node[..., Any], engine_with_loop: Engine) -> None:
    inner = Pipeline([second_loop]).as_node({"items": "item"}, map_over="items")

    async def main() -> tuple[tuple[int, int], dict[str, Any], Any]:
        pipeline = Pipeline([other, first_loop, inner])
        found = await pipeline.arun({"number": 1, "items": [1, 2]}, engine=engine_with_loop)
        inputs = {"number": [1, 2], "items": [[1, 2], [3]]}
        rows = await pipeline.amap(inputs, ["number", "items"], engine=engine_with_loop)
        return (os.getpid(), id(asyncio.get_running_loop())), found, rows

    mine, found, rows = asyncio.run(main())
    for row in [found, *rows]:
        assert {*row.pop("second_loop"), *row.values()} == {mine}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_run_that_blocks_a_loop_has_another_one(other: Node[..., Any], engine_with_loop: Engine) -> None:
    """As in a notebook, whose cells are on a loop that has to wait for them."""

    async def main() -> tuple[tuple[int, int], dict[str, Any]]:
        pipeline = Pipeline([first_loop, other])
        return (os.getpid(), id(asyncio.get_running_loop())), pipeline.run({"number": 1}, engine=engine_with_loop)

    mine, found = asyncio.run(main())
    assert len(set(found.values())) == 1
    assert mine not in found.values()


@pytest.mark.parametrize("outer", ["sync", "threads", "asyncio"])
@pytest.mark.parametrize("inner", ["sync", "threads", "asyncio"])
@pytest.mark.parametrize("inside_first", [False, True])
def test_a_pipeline_with_an_engine_of_its_own_shares_the_loop(
    outer: str, inner: str, inside_first: bool, executors: Started
) -> None:
    with Engine(inner, inner, max_workers=2) as own:
        pipeline = Pipeline([second_loop], engine=own)
        inside = pipeline.as_node({"number": "first_loop", "items": "item"}, map_over="items")
        nodes = [inside, node(output_name="behind")(lambda second_loop: where(0))]
        found = Pipeline(nodes if inside_first else [first_loop, *nodes]).run(
            {"number": 1, "items": [1, 2]}, engine=Engine(executors[outer], executors[outer])
        )
    assert len({found["behind"], *found["second_loop"], found.get("first_loop", found["behind"])}) == 1


def test_a_coroutine_that_is_given_up_is_cancelled_and_told_so_once(executors: Started) -> None:
    heard: list[tuple[str, object]] = []
    cancelled = asyncio.Event()

    class Listener:
        def on_error(self, node_id: str, error: BaseException, ctx: Any) -> None:
            heard.append((node_id, type(error)))

        def on_node_end(self, node_id: str, outputs: Any, duration: float, ctx: Any) -> None:
            heard.append((node_id, outputs))

    @node(timeout=0.3)
    async def limited(item: int) -> int:
        try:
            await asyncio.sleep(LIMIT if item == 1 else 0)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return item

    @node(output_name="goes_on")
    async def wait(item: int) -> bool:
        return await cancelled.wait()

    engine = Engine(executors["asyncio"], executors["asyncio"])
    pipeline = Pipeline([limited], callbacks=[Listener()])
    result = pipeline.map({"item": range(3)}, "item", engine=engine, on_error="continue")
    assert result["limited"] == [0, None, 2]
    assert [type(failure.error) for failure in result.failed] == [TaskTimeoutError]
    assert sorted(heard, key=str) == sorted(
        [("limited", {"limited": 0}), ("limited", {"limited": 2}), ("limited", TaskTimeoutError), ("limited", {})],
        key=str,
    )
    cancelled = asyncio.Event()
    found = Pipeline([limited, wait]).run({"item": 1}, engine=engine, on_error="continue")
    assert found == {"goes_on": True}  # while the run goes on, not behind it


@pytest.mark.parametrize("place", ["threads", "asyncio"])
def test_nothing_waits_any_more_behind_a_run_that_has_failed(place: str, executors: Started) -> None:
    ended: list[str] = []
    begun = threading.Semaphore(0)

    async def endless(name: str) -> None:
        begun.release()
        try:
            await asyncio.sleep(LIMIT)
        finally:
            await asyncio.sleep(0.01)  # cleaning up takes its time
            ended.append(name)

    @node(timeout=1.5)
    def given_up(item: int) -> Any:
        assert begun.acquire(timeout=LIMIT)
        assert begun.acquire(timeout=LIMIT)  # the two others
        return endless("given up")

    waits = [node(output_name="limited", timeout=LIMIT)(lambda item: endless("of a function")), given_up]

    @node(timeout=LIMIT)
    async def directly(item: int) -> None:
        await endless("directly")

    with get_executor(place, max_workers=4) as executor:
        with pytest.raises(TaskTimeoutError):
            Pipeline([*waits, directly]).run({"item": 1}, engine=Engine(executor))
        found = sorted(ended)
    assert found == ["directly", "given up", "of a function"]


@pytest.mark.parametrize("place", ["threads", "asyncio"])
def test_what_was_given_up_ends_with_a_run_that_goes_on(place: str, executors: Started) -> None:
    ended = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.sleep(LIMIT)
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    nodes = [node(output_name="given_up", timeout=0.3)(lambda: endless()), node(output_name="good")(lambda: True)]
    assert Pipeline(nodes).run(engine=Engine(executors[place]), on_error="continue") == {"good": True}
    assert ended.is_set()


@pytest.mark.parametrize("place", ["threads", "asyncio"])
@pytest.mark.parametrize("kind", ["coroutine", "of a plain function", "limited in time"])
def test_a_coroutine_that_blocks_the_loop_by_a_run_does_not_wait_for_itself(
    kind: str, place: str, executors: Started
) -> None:
    """Nor where the pipeline that belongs on the loop is further inside, and another thread has come to it."""
    own = Engine(executors["asyncio"], executors["asyncio"])
    inner = Pipeline([Pipeline([first_loop], engine=own).as_node(), node(output_name="more")(lambda number: number)])

    async def blocks(number: int) -> Any:
        found = [inner.run({"number": number}, engine=engine) for engine in (Engine(executors["threads"]), own)]
        return [one["more"] for one in found]

    fn: Any = (lambda number: blocks(number)) if kind == "of a plain function" else blocks
    outer = node(output_name="outer", timeout=LIMIT if kind == "limited in time" else None)(fn)
    engine = Engine(executors[place], executors["asyncio"])
    assert Pipeline([outer]).run({"number": 7}, engine=engine) == {"outer": [7, 7]}


@pytest.mark.parametrize("place", ["threads", "asyncio"])
def test_a_node_on_the_same_executor_once_more_shares_its_slots(place: str) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def waits(item: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return item

    nodes = [node(output_name="here")(waits), node(output_name="there", executor=place)(waits)]
    with Engine(place, place, max_workers=2) as engine:
        result = Pipeline(nodes).map({"item": range(10)}, "item", engine=engine)
    assert result["here"] == result["there"] == list(range(10))
    assert most == 2


@pytest.mark.parametrize("place", ["threads", "asyncio"])
def test_a_run_in_a_limited_node_does_not_wait_for_its_own_slot(place: str) -> None:
    inner = Pipeline([node(output_name="deep")(lambda value: value + 1), first_loop])

    with Engine(place, place, max_workers=1) as engine:

        @node(timeout=LIMIT)
        def limited(value: int) -> int:
            found: int = inner.run({"value": value, "number": 0}, engine=engine)["deep"]
            return found

        assert Pipeline([limited]).run({"value": 1}, engine=engine) == {"limited": 2}


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
