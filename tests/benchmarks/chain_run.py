"""A chain of ten nodes: ``chain_run.py WHO run|map COUNT TIMES``. Prints the seconds of COUNT runs, or of a map.

They are the median of so many times. A tenth of as many items went ahead, and all results are checked.
"""

import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import ten_nodes
from graphs import LAST, check

Way = Callable[[Sequence[int]], Any]


def plain_calls() -> dict[str, Way]:
    """No library: what the functions cost."""

    def called(x: int) -> int:
        for function in ten_nodes.NODES:
            x = function(x)
        return x

    def all_called(xs: Sequence[int]) -> list[int]:
        return [called(x) for x in xs]

    return {"run": all_called, "map": all_called}


def pipe() -> dict[str, Way]:
    """Ours."""
    from pipe_core import Pipeline

    pipeline = Pipeline(ten_nodes.NODES)
    return {"run": lambda xs: [pipeline.run({"x": x}) for x in xs], "map": lambda xs: pipeline.map({"x": xs}, "x")}


def pipefunc() -> dict[str, Way]:
    """Its call, and its map in this process, which keeps results in memory."""
    from pipefunc import PipeFunc, Pipeline

    names = ["x", *(function.__name__ for function in ten_nodes.NODES)]
    single = Pipeline([PipeFunc(function, function.__name__) for function in ten_nodes.NODES])
    mapped = Pipeline(
        [
            PipeFunc(function, name, mapspec=f"{before}[i] -> {name}[i]")
            for function, before, name in zip(ten_nodes.NODES, names, names[1:], strict=False)
        ]
    )
    return {
        "run": lambda xs: [single(LAST, x=x) for x in xs],
        "map": lambda xs: mapped.map({"x": xs}, parallel=False, show_progress=False)[LAST].output,
    }


def hypernodes() -> dict[str, Way]:
    """Its default engine, which is sequential."""
    from hypernodes import Pipeline, node

    pipeline = Pipeline(nodes=[node(output_name=function.__name__)(function) for function in ten_nodes.NODES])
    return {
        "run": lambda xs: [pipeline.run(inputs={"x": x}) for x in xs],
        "map": lambda xs: pipeline.map(inputs={"x": xs}, map_over="x"),
    }


def hamilton() -> dict[str, Way]:
    """Its driver, which gives a dictionary."""
    from hamilton import driver

    built = driver.Builder().with_modules(ten_nodes).build()
    return {"run": lambda xs: [built.execute([LAST], inputs={"x": x}) for x in xs]}


MADE: dict[str, Callable[[], dict[str, Way]]] = {
    "pipe": pipe,
    "plain calls": plain_calls,
    "pipefunc": pipefunc,
    "hypernodes": hypernodes,
    "Hamilton": hamilton,
}


def timed(way: Way, xs: Sequence[int]) -> float:
    """Seconds of one time."""
    started = time.perf_counter()
    found = way(xs)
    seconds = time.perf_counter() - started
    check("chain", found, xs)
    return seconds


if __name__ == "__main__":
    who, how, count, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    way = MADE[who]()[how]
    timed(way, list(range(max(count // 10, 1))))
    print(median(timed(way, list(range(count))) for _ in range(times)))
