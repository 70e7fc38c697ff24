"""Nodes that wait: ``overlap_run.py threads|asyncio|pipefunc branches|items``. Prints the seconds of one run.

The executor was started before: the same went ahead without any waiting.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from contenders import WORKERS

LONG, SHORT = 0.3, 0.05
TURNS = {"before": [0.1, 0.2], "behind": [0.2, 0.1]}
Nodes = dict[str, Callable[..., Any]]
Run = Callable[[dict[str, Any]], Any]


def on_threads() -> Nodes:
    """Functions that wait."""

    def a(long: float) -> str:
        time.sleep(long)
        return "a"

    def b(short: float) -> str:
        time.sleep(short)
        return "b"

    def c(b: str, long: float) -> str:
        time.sleep(long)
        return f"{b}c"

    def first(before: float) -> float:
        time.sleep(before)
        return before

    def second(first: float, behind: float) -> str:
        time.sleep(behind)
        return f"{first} {behind}"

    return {"a": a, "b": b, "c": c, "first": first, "second": second}


def on_a_loop() -> Nodes:
    """The same, and others run meanwhile."""

    async def a(long: float) -> str:
        await asyncio.sleep(long)
        return "a"

    async def b(short: float) -> str:
        await asyncio.sleep(short)
        return "b"

    async def c(b: str, long: float) -> str:
        await asyncio.sleep(long)
        return f"{b}c"

    async def first(before: float) -> float:
        await asyncio.sleep(before)
        return before

    async def second(first: float, behind: float) -> str:
        await asyncio.sleep(behind)
        return f"{first} {behind}"

    return {"a": a, "b": b, "c": c, "first": first, "second": second}


def ours(executor: str, graph: str) -> Run:
    """On an engine of ours."""
    from pipe_core import Engine, Pipeline

    nodes = on_a_loop() if executor == "asyncio" else on_threads()
    engine = Engine(executor, executor, max_workers=WORKERS)
    if graph == "branches":
        return Pipeline([nodes["a"], nodes["b"], nodes["c"]], engine=engine).run
    pipeline = Pipeline([nodes["first"], nodes["second"]], engine=engine)
    return lambda inputs: pipeline.map(inputs, list(inputs))["second"]


def theirs(graph: str) -> Run:
    """With pipefunc, on threads."""
    from concurrent.futures import ThreadPoolExecutor

    from pipefunc import PipeFunc, Pipeline

    nodes = on_threads()
    options = {
        "executor": ThreadPoolExecutor(WORKERS),
        "scheduling_strategy": "eager",
        "chunksizes": 1,
        "show_progress": False,
    }
    if graph == "branches":
        pipeline = Pipeline([PipeFunc(nodes[name], name) for name in ("a", "b", "c")])
        return lambda inputs: {name: one.output for name, one in pipeline.map(inputs, **options).items()}
    specs = {"first": "before[i] -> first[i]", "second": "first[i], behind[i] -> second[i]"}
    mapped = Pipeline([PipeFunc(nodes[name], name, mapspec=spec) for name, spec in specs.items()])
    return lambda inputs: mapped.map(inputs, **options)["second"].output.tolist()


if __name__ == "__main__":
    who, graph = sys.argv[1:3]
    run = theirs(graph) if who == "pipefunc" else ours(who, graph)
    inputs: dict[str, Any] = {"long": LONG, "short": SHORT} if graph == "branches" else TURNS
    run({name: 0.0 if graph == "branches" else [0.0, 0.0] for name in inputs})
    started = time.perf_counter()
    found = run(inputs)
    seconds = time.perf_counter() - started
    expected = {"a": "a", "b": "b", "c": "bc"} if graph == "branches" else ["0.1 0.2", "0.2 0.1"]
    if found != expected:
        raise SystemExit(f"{found} instead of {expected}")
    print(seconds)
