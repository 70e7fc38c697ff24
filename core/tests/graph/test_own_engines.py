"""A pipeline inside another one may have an engine, and what it inherits all the same."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, PipelineCallback, RunCancelledError, node
from pipe_core.graph.scope import CancelToken


@node
def where(value: int) -> str:
    return threading.current_thread().name


@node
def failing(where: str) -> str:
    raise ConnectionError(where)


@pytest.mark.parametrize("mapped", [False, True])
def test_it_runs_on_its_own_and_what_is_around_it_on_the_other_one(mapped: bool) -> None:
    with ThreadPoolExecutor(2, "inner") as pool, ThreadPoolExecutor(2, "outer") as other:
        inner = Pipeline([where], name="inner", engine=Engine(pool, pool))
        as_node = inner.as_node(output_mapping={"where": "inside"}, map_over="value" if mapped else None)
        outer = Pipeline([as_node, node(output_name="outside")(lambda value: threading.current_thread().name)])
        found = outer.run({"value": [1, 2] if mapped else 1}, engine=Engine(other))
    inside = found["inside"] if mapped else [found["inside"]]
    assert all(name.startswith("inner") for name in inside)
    assert found["outside"].startswith("outer")


def test_callbacks_and_errors_of_it_reach_what_is_around_it() -> None:
    heard: list[tuple[str, tuple[int, ...], tuple[str, ...]]] = []

    class Listener(PipelineCallback):
        def on_node_start(self, node_id: str, inputs: Any, ctx: Any) -> None:
            heard.append((node_id, ctx.item, ctx.hierarchy_path))

    with ThreadPoolExecutor(2) as pool:
        inner = Pipeline([where, failing], name="inner", engine=Engine(pool))
        outer = Pipeline([inner.as_node(map_over="value")], name="outer", callbacks=[Listener()])
        with pytest.raises(ConnectionError) as caught:
            outer.run({"value": [1]})
    assert heard == [("where", (0,), ("outer", "inner")), ("failing", (0,), ("outer", "inner"))]
    assert any("In node 'failing' of pipeline 'inner', item 0" in text for text in caught.value.__notes__)


def test_somebody_elses_engine_runs_what_is_inside() -> None:
    class Mine:
        def run(self, pipeline: Pipeline, inputs: Mapping[str, Any], output_name: Any = None) -> dict[str, Any]:
            return dict.fromkeys(output_name, "mine")

        def map(
            self, pipeline: Pipeline, inputs: Mapping[str, Any], over: Any, mode: str, output_name: Any = None
        ) -> list[dict[str, Any]]:
            return [dict.fromkeys(output_name, value) for value in inputs["value"]]

        imap = map

    inner = Pipeline([where], engine=Mine())
    assert Pipeline([inner]).run({"value": 1}) == {"where": "mine"}
    assert Pipeline([inner.as_node(map_over="value")]).run({"value": [1, 2]}) == {"where": [1, 2]}


def test_somebody_elses_engine_is_given_what_is_around_it_if_it_takes_that() -> None:
    given: list[Any] = []

    class Mine:
        takes_within = True

        def run(
            self, pipeline: Pipeline, inputs: Mapping[str, Any], output_name: Any = None, *, within: Any = None
        ) -> dict[str, Any]:
            given.append((within.scope.name, within.item))
            return dict.fromkeys(output_name, "mine")

        map = imap = run

    inner = Pipeline([Pipeline([where], engine=Mine())], name="inner")
    assert Pipeline([inner.as_node(map_over="value")]).run({"value": [1, 2]}) == {"where": ["mine", "mine"]}
    assert given == [("inner", (0,)), ("inner", (1,))]


def test_a_token_of_the_outer_run_ends_the_inner_one() -> None:
    token = CancelToken()

    @node
    def cancels(value: int) -> int:
        token.cancel()
        return value

    with ThreadPoolExecutor(1) as pool:
        inner = Pipeline([cancels, node(output_name="more")(lambda cancels: cancels)], engine=Engine(pool))
        with pytest.raises(RunCancelledError):
            Pipeline([inner.as_node(map_over="value")]).run({"value": [1, 2, 3]}, token=token)


def test_callbacks_of_it_are_told_by_the_thread_that_waits_for_the_outermost_run() -> None:
    threads: set[threading.Thread] = set()

    class Listener(PipelineCallback):
        def on_node_start(self, node_id: str, inputs: Any, ctx: Any) -> None:
            threads.add(threading.current_thread())

    with ThreadPoolExecutor(2) as pool, ThreadPoolExecutor(1) as other:
        for around in (Engine(), Engine(other)):
            inner = Pipeline([where], name="inner", engine=Engine(pool, pool))
            outer = Pipeline([inner.as_node(map_over="value")], callbacks=[Listener()], engine=around)
            outer.run({"value": [1, 2, 3]})
    assert threads == {threading.main_thread()}
