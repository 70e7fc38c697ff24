"""Nodes on an executor: ``nodes_run.py EXECUTOR SHAPE COUNT``. Prints the seconds of COUNT runs, one after the other.

The executor was started before, and a tenth of as many runs went ahead.
"""

import sys
import time

from contenders import WORKERS
from graphs import check, nodes_of

from pipe_core import Engine, Pipeline

if __name__ == "__main__":
    executor, shape, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    pipeline = Pipeline(nodes_of(shape))
    with Engine(executor, max_workers=WORKERS) as engine:
        for x in range(max(count // 10, 1)):
            pipeline.run({"x": x}, engine=engine)
        started = time.perf_counter()
        found = [pipeline.run({"x": x}, engine=engine) for x in range(count)]
        seconds = time.perf_counter() - started
    check(shape, found, range(count))
    print(seconds)
