"""The progress of runs whose items are in other processes."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pipe_core import (
    CodecError,
    Engine,
    Executor,
    Pipeline,
    ProgressCallback,
    RemoteError,
    WorkerKilled,
    get_executor,
    node,
)

KILLED = "WorkerKilled: .* ended while it ran the call: exit code 3. "


@node
def dangerous(value: int) -> int:
    if value == 3:
        os._exit(3)
    if value == 5:
        raise ValueError("five")
    return value


@node
def behind(dangerous: int) -> Any:
    return threading.Lock() if dangerous == 4 else dangerous  # which cannot come back


def last_line(run: Callable[[Pipeline], object], nodes: Sequence[Any] = (dangerous, behind)) -> str:
    stream = io.StringIO()
    run(Pipeline(nodes, name="numbers", callbacks=[ProgressCallback(stream=stream)]))
    return stream.getvalue().splitlines()[-1]


@pytest.fixture(scope="module")
def workers() -> Iterator[Executor]:
    with get_executor("loky", max_workers=2) as executor:
        yield executor


@pytest.fixture(params=["nodes", "items", "nodes of items"])
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(side: str, workers: Executor) -> Iterator[Engine]:
    """Nodes, or items, are in other processes."""
    with Engine(*{"nodes": (workers, None), "items": (None, workers)}.get(side, ("threads", workers))) as engine:
        yield engine


VALUES = [*range(10), *range(100, 130)]


def test_items_are_counted_also_when_a_process_dies(side: str, engine: Engine) -> None:
    """Of one that travels whole nothing is told but that it began and how it ended. It may be the last one to end."""
    values = [3, *range(100, 138), 3]
    line = last_line(lambda pipeline: pipeline.map({"value": values}, "value", engine=engine, on_error="continue"))
    where = "first in node 'dangerous' of item" if side == "nodes" else "first in item"
    assert re.fullmatch(rf"numbers ended: 40 items in .*, 2 failed; {KILLED}\({where} (0|39)\)", line), line


def test_items_that_fail_in_different_ways_are_all_counted(engine: Engine) -> None:
    things = [threading.Lock() if i == 39 else None for i in range(40)]  # which cannot go there
    nodes = [dangerous, behind, node(output_name="unsent")(lambda thing: thing)]
    inputs = {"value": VALUES, "thing": things}

    def run(pipeline: Pipeline) -> None:
        result = pipeline.map(inputs, ["value", "thing"], engine=engine, on_error="continue")
        assert [failure.index for failure in result.failed] == [3, 4, 5, 39]

    line = last_line(run, nodes)
    assert re.match(r"numbers ended: 40 items in .*, 4 failed; \w+: .* \(first in (node '\w+' of )?item \d+\)", line), (
        line
    )


def test_a_run_that_ends_because_a_process_died_says_so(side: str, engine: Engine) -> None:
    def run(pipeline: Pipeline) -> None:
        with pytest.raises(WorkerKilled):
            pipeline.map({"value": [100] * 20 + [3] + [100] * 20}, "value", engine=engine)

    line = last_line(run)
    where = "in node 'dangerous' of item 20" if side == "nodes" else "in item 20"
    assert re.fullmatch(rf"numbers failed: \d+ of 41 items in .*, 1 failed; {KILLED}\({where}\)", line), line


def test_items_of_maps_inside_fail_with_what_is_around_them(engine: Engine) -> None:
    inner = Pipeline([dangerous], name="inner").as_node({"values": "value"}, {"dangerous": "all"}, map_over="values")
    total = node(output_name="total")(lambda all: sum(all))
    values = [[100, 101], [100, 3], [100], [5, 100], []]
    line = last_line(
        lambda pipeline: pipeline.map({"values": values}, "values", engine=engine, on_error="continue"), [inner, total]
    )
    assert re.match(r"numbers ended: 5 items in .*, 2 failed; (ValueError|WorkerKilled): ", line), line


@pytest.mark.parametrize(
    ("value", "why"),
    [(3, rf"{KILLED}\(in node 'dangerous'\)"), (4, r"CodecError: .*\(in node 'behind'\)")],
    ids=["a process dies", "nothing comes back"],
)
def test_a_run_that_fails_elsewhere_says_why(value: int, why: str, workers: Executor) -> None:
    def run(pipeline: Pipeline) -> None:
        with pytest.raises((WorkerKilled, CodecError)):
            pipeline.run({"value": value}, engine=Engine(workers))

    assert re.fullmatch(rf"numbers failed: [01] of 2 nodes in .*; {why}", last_line(run))


class Odd(Exception):
    """Cannot be made of its arguments."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)


def test_callbacks_do_not_change_what_is_raised(engine: Engine) -> None:
    heard: list[BaseException] = []
    ends: list[tuple[int, object]] = []

    class Listener:
        def on_error(self, node_id: str, error: BaseException, ctx: Any) -> None:
            heard.append(error)

        def on_map_item_end(self, idx: int, duration: float, ctx: Any) -> None:
            ends.append((idx, type(ctx.failure)))

    def odd(value: int) -> int:
        if value == 1:
            raise Odd(1, 2)
        return value

    found = []
    for callbacks in ([], [Listener()]):
        pipeline = Pipeline([odd], callbacks=callbacks)
        result = pipeline.map({"value": range(3)}, "value", engine=engine, on_error="continue")
        assert result["odd"] == [0, None, 2]
        found.append([(type(failure.error), str(failure.error)) for failure in result.failed])
    assert found[0] == found[1] == [(type(error), str(error)) for error in heard]
    assert sorted(ends) == [(0, type(None)), (1, RemoteError), (2, type(None))]
