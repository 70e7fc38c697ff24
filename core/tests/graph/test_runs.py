"""Runs: what must be given, what is asked for, and that nothing of a run stays in its pipeline."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pipe_core import Engine, Pipeline, node
from pipe_core.graph.errors import GraphError, InputError, OutputNotFoundError


@node
def total(values: list[int], start: int = 0) -> int:
    return sum(values, start)


@node
def count(values: list[int]) -> int:
    return len(values)


@node
def mean(total: int, count: int) -> float:
    return total / count


@node
def offset(total: int, by: int) -> int:
    return total + by


STATISTICS = Pipeline([offset, mean, total, count], name="statistics")


@pytest.mark.parametrize(
    ("output", "inputs", "found"),
    [
        ("total", {"values": [1, 2]}, {"total": 3}),
        (["mean", "count"], {"values": [1, 3]}, {"mean": 2.0, "count": 2}),
        (("count",), {"values": []}, {"count": 0}),
        ("offset", {"values": [1], "by": 5, "start": 1}, {"offset": 7}),
        ("count", {"values": [1], "by": 5, "start": 1}, {"count": 1}),
    ],
)
def test_only_what_is_asked_for_is_computed_and_required(
    anywhere: Engine, output: Any, inputs: dict[str, Any], found: dict[str, Any]
) -> None:
    assert STATISTICS.run(inputs, output, engine=anywhere) == found
    assert STATISTICS.map({**inputs, "values": [inputs["values"]]}, "values", output_name=output, engine=anywhere) == [
        found
    ]


@pytest.mark.parametrize(
    ("inputs", "missing", "unknown", "text"),
    [
        ({"by": 1}, ("values",), (), "lacks an input: values (for "),
        ({}, ("values", "by"), (), "lacks inputs: "),
        ({"values": [1], "by": 1, "vaules": 2}, (), ("vaules",), "Did you mean 'values'?"),
        ({"values": [1], "by": 1, "mean": 2}, (), ("mean",), "'mean' is an output of the node 'mean'"),
        ({"values": [1], "by": 1, 5: 2}, (), (5,), "nothing takes the input '5'"),
    ],
)
def test_inputs_that_are_missing_or_too_many_are_named(
    anywhere: Engine, inputs: dict[str, Any], missing: tuple[str, ...], unknown: tuple[str, ...], text: str
) -> None:
    with pytest.raises(InputError) as caught:
        STATISTICS.run(inputs, engine=anywhere)
    assert (set(caught.value.missing), caught.value.unknown) == (set(missing), unknown)
    assert text in str(caught.value)
    assert "'statistics'" in str(caught.value)


def test_an_output_that_nobody_gives_is_named_in_runs_and_in_maps() -> None:
    for call in (
        lambda: STATISTICS.run({"values": [1]}, "meen"),
        lambda: STATISTICS.map({"values": [[1]]}, "values", output_name=["count", "meen"]),
    ):
        with pytest.raises(OutputNotFoundError, match=r"'meen' not found in pipeline. Did you mean 'mean'\?") as caught:
            call()
        assert set(caught.value.available) == {"offset", "mean", "total", "count"}


def test_a_pipeline_says_what_it_takes_and_gives() -> None:
    assert set(STATISTICS.outputs) == {"offset", "mean", "total", "count"}
    assert set(STATISTICS.unfulfilled_args) == {"values", "by"}
    assert "start=0" in repr(STATISTICS)
    assert "'statistics': 4 nodes" in repr(STATISTICS)
    with pytest.raises(GraphError, match="at least one node"):
        Pipeline([])


def test_what_is_bound_need_not_be_given(anywhere: Engine) -> None:
    bound = STATISTICS.bind(by=10, start=1)
    assert bound.bound_inputs == {"by": 10, "start": 1}
    assert bound.unfulfilled_args == ("values",)
    assert bound.run({"values": [1]}, "offset", engine=anywhere) == {"offset": 12}
    assert bound.run({"values": [1], "by": 0}, "offset", engine=anywhere) == {"offset": 2}
    assert bound.map({"values": [[1], [2]]}, "values", output_name="offset", engine=anywhere)["offset"] == [12, 13]
    assert bound.unbind("start").bound_inputs == {"by": 10}
    assert bound.unbind().unfulfilled_args == STATISTICS.unfulfilled_args
    assert STATISTICS.bound_inputs == {}
    with pytest.raises(InputError, match="Did you mean 'start'"):
        STATISTICS.bind(stat=1)


def test_a_changed_pipeline_is_another_one() -> None:
    engine, callback = Engine("sync"), object()
    named = STATISTICS.with_name("other").with_engine(engine).with_callbacks([callback])
    assert (named.name, named.engine, named.callbacks) == ("other", engine, [callback])
    assert (STATISTICS.name, STATISTICS.engine, STATISTICS.callbacks) == ("statistics", None, None)
    assert named.run({"values": [1], "by": 1}) == STATISTICS(values=[1], by=1)


def test_a_pipeline_may_run_from_several_threads_at_once(anywhere: Engine) -> None:
    together = threading.Barrier(4)
    inner = Pipeline([total], name="inner").as_node({"rows": "values"}, {"total": "sums"}, map_over="rows")
    pipeline = Pipeline([inner, node(output_name="most")(lambda sums: max(sums))])
    found: dict[int, list[Any]] = {}
    before = dict(vars(pipeline), _plans=None)

    def run(number: int) -> None:
        together.wait(20)
        rows = [[number], [number + 1]]
        found[number] = [pipeline.run({"rows": rows, "start": number}, engine=anywhere) for _ in range(5)]
        found[number] += list(pipeline.map({"rows": [rows], "start": number}, "rows", engine=anywhere))

    threads = [threading.Thread(target=run, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {n: 6 * [{"sums": [2 * n, 2 * n + 1], "most": 2 * n + 1}] for n in range(4)}
    assert dict(vars(pipeline), _plans=None) == before


def test_what_a_caller_gave_is_not_changed(anywhere: Engine) -> None:
    inputs = {"values": [1, 2], "by": 3}
    STATISTICS.bind(start=1).run(inputs, engine=anywhere)
    assert inputs == {"values": [1, 2], "by": 3}


def test_an_engine_is_used_again_after_its_end() -> None:
    engine = Engine("sync")
    with engine:
        assert STATISTICS.run({"values": [1]}, "count", engine=engine) == {"count": 1}
    assert STATISTICS.run({"values": [1]}, "count", engine=engine) == {"count": 1}


@pytest.mark.parametrize("call", ["run", "plan", "explain", "map", "imap", "arun", "amap"])
def test_inputs_that_are_no_mapping_are_refused(call: str) -> None:
    pipeline: Any = Pipeline([node(output_name="y")(lambda x: x)])
    more = ["x"] if "map" in call else []

    def ask() -> Any:
        found = getattr(pipeline, call)("x", *more)
        return asyncio.run(found) if asyncio.iscoroutine(found) else found

    with pytest.raises(InputError, match=r"Inputs are a mapping of their names to values, such as .* not 'x', and out"):
        ask()
    with pytest.raises(InputError, match="not 7"):
        pipeline.run(7)


@pytest.mark.parametrize("timeout", [-1, "5", True, float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    pipeline = Pipeline([node(output_name="y")(lambda x: x)])
    with pytest.raises(GraphError, match="timeout wants seconds from 0 on, or None for no limit, not "):
        pipeline.run({"x": 1}, timeout=timeout)
