"""Runs that drain when something fails, and nodes that wait for what they use."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node
from pipe_core.graph.errors import GraphError, NodeDefinitionError
from pipe_core.runtime.permits import CircuitBreaker
from pipe_core.runtime.retries import Retry

pytestmark = pytest.mark.alone

QUICK = Retry(5, delay=0.01, jitter=0)


def graph(seen: list[str], gate: threading.Event) -> Pipeline:
    """`bad` fails while `slow` runs, which fails once itself, and is tried again."""

    @node
    def bad() -> int:
        gate.wait(10)
        raise LookupError("bad")

    @node(retries=QUICK)
    def slow() -> int:
        gate.set()
        time.sleep(0.3)
        seen.append("slow")
        if seen.count("slow") == 1:
            raise ValueError("once")
        return 1

    @node
    def after(slow: int) -> None:
        seen.append("after")

    @node
    def needs(bad: int) -> None:
        seen.append("needs")

    return Pipeline([bad, slow, after, needs])


@pytest.mark.parametrize("executor", ["threads", "asyncio"])
def test_what_runs_comes_to_its_end_and_nothing_else_begins(executor: str) -> None:
    seen: list[str] = []
    with Engine(executor, max_workers=3) as engine, pytest.raises(LookupError, match="bad"):
        graph(seen, threading.Event()).run({}, engine=engine, on_error="drain")
    assert seen == ["slow", "slow"]


def test_coroutines_that_run_are_not_cancelled() -> None:
    seen: list[str] = []

    @node
    async def bad() -> int:
        await asyncio.sleep(0.05)
        raise LookupError

    @node
    async def slow() -> int:
        await asyncio.sleep(0.3)
        seen.append("slow")
        return 1

    @node
    async def after(slow: int) -> None:
        seen.append("after")

    with Engine("asyncio") as engine:
        with pytest.raises(LookupError):
            Pipeline([bad, slow, after]).run({}, engine=engine, on_error="drain")
        assert seen == ["slow"]
        seen.clear()
        with pytest.raises(LookupError):
            Pipeline([bad, slow, after]).run({}, engine=engine)
        assert not seen


@pytest.mark.parametrize("executor", ["sync", "threads", "loky"])
def test_nested_pipelines_drain_too(executor: str) -> None:
    @node
    def bad(number: int) -> int:
        raise LookupError("bad")

    @node
    def good(number: int) -> int:
        return number

    inner = Pipeline([good], name="inner").as_node(map_over="number", output_mapping={"good": "goods"})

    @node
    def last(goods: list[int], bad: int) -> None:
        raise AssertionError

    with Engine(executor, max_workers=2) as engine, pytest.raises((LookupError, TypeError)) as raised:
        Pipeline([bad, inner, last]).run({"number": [1, 2, 3]}, engine=engine, on_error="drain")
    assert raised.type is LookupError


def test_a_map_does_not_drain() -> None:
    with pytest.raises(GraphError, match="is for runs"):
        Pipeline([node(output_name="y")(abs)]).map({"x": [1]}, map_over="x", on_error="drain")


@pytest.mark.parametrize("executor", ["sync", "threads", "loky"])
def test_a_node_waits_while_what_it_uses_fails(executor: str, tmp_path: Path) -> None:
    breaker = CircuitBreaker("shop", failures=2, reset_after=0.6)
    begun = tmp_path / "begun"

    @node(retries=QUICK, breaker=breaker)
    def bad() -> None:
        with begun.open("a") as lines:
            print(monotonic(), file=lines)
        raise ValueError("bad")

    with Engine(executor, max_workers=2) as engine, pytest.raises(ValueError, match="bad"):
        Pipeline([bad]).run({}, engine=engine)
    attempts = [float(line) for line in begun.read_text().split()]
    assert len(attempts) == 6
    gaps = [later - before for before, later in pairwise(attempts)]
    assert gaps[0] < 0.5  # closed
    assert all(gap >= 0.6 for gap in gaps[1:])  # open, and half open for one attempt
    assert breaker.state(attempts[-1] + 0.1) == "open"


def test_nodes_that_share_a_breaker_know_of_each_other() -> None:
    breaker = CircuitBreaker("shop", failures=1, reset_after=0.5)
    at: dict[str, float] = {}

    def named(name: str, do: Callable[[], Any]) -> Any:
        def run() -> Any:
            at[name] = monotonic()
            return do()

        return node(output_name=name, breaker=breaker)(run)

    def fail() -> None:
        raise ValueError

    with Engine("sync") as engine, pytest.raises(ExceptionGroup):
        Pipeline([named("first", fail), named("second", lambda: 1)]).run({}, engine=engine, on_error="collect")
    assert at["second"] - at["first"] >= 0.45
    assert breaker.state(monotonic()) == "closed"


def test_a_run_that_is_stopped_gives_its_leave_back() -> None:
    breaker = CircuitBreaker("shop", failures=1, reset_after=0.1)
    breaker.tell(False, monotonic() - 1)  # half open now: one attempt may try

    @node(breaker=breaker)
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline([stop]).run({})
    assert breaker.take(monotonic())


def test_what_is_no_breaker_is_refused() -> None:
    with pytest.raises(NodeDefinitionError, match="wants a CircuitBreaker"):
        node(output_name="y", breaker=3)(lambda: 1)  # type: ignore[arg-type]  # what it must refuse
