"""A map of items that compute: ``cores_run.py WHO COUNT TURNS``. Prints the seconds of the map.

Workers were started before, and a tenth of as many items went ahead.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from contenders import WORKERS

Mapped = Callable[[Sequence[int], int], Sequence[int]]


def burnt(x: int, turns: int) -> int:
    """Add up so many numbers."""
    return x + sum(range(turns))


def ours(executor: str) -> tuple[Mapped, Callable[[], Any]]:
    """Our map, and its end."""
    from pipe_core import Engine, Pipeline

    engine = Engine(map_executor=executor, max_workers=None if executor == "sync" else WORKERS)
    pipeline = Pipeline([burnt], engine=engine)
    return lambda xs, turns: pipeline.map({"x": xs, "turns": turns}, "x")["burnt"], engine.close


def theirs() -> tuple[Mapped, Callable[[], Any]]:
    """That of pipefunc, and its end."""
    from loky import get_reusable_executor
    from pipefunc import PipeFunc, Pipeline

    executor = get_reusable_executor(WORKERS)  # which pipefunc knows the workers of
    pipeline = Pipeline([PipeFunc(burnt, "burnt", mapspec="x[i] -> burnt[i]")])

    def mapped(xs: Sequence[int], turns: int) -> Sequence[int]:
        inputs = {"x": xs, "turns": turns}
        found: list[int] = pipeline.map(inputs, executor=executor, show_progress=False)["burnt"].output.tolist()
        return found

    return mapped, executor.shutdown


if __name__ == "__main__":
    who, count, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    library, _, executor = who.partition(" on ")
    mapped, end = ours(executor) if library == "pipe" else theirs()
    mapped(list(range(max(count // 10, WORKERS))), turns)
    xs = list(range(count))
    started = time.perf_counter()
    found = mapped(xs, turns)
    seconds = time.perf_counter() - started
    end()
    if list(found) != [burnt(x, 0) + turns * (turns - 1) // 2 for x in xs]:
        raise SystemExit(f"{len(found)} results of {count} items, or wrong ones")
    print(seconds)
