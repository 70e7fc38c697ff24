"""Streams made-up orders through a pipe and tells its memory: ``memory_run.py COUNT TARGET``.

The orders are made on the way, so nothing but the run itself holds any. Prints JSON: bytes resident, after each
hundredth of the records.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import psutil
from orders import orders
from schema import Order

from pipe_core import Pipe


def sampled(count: int, samples: list[int]) -> Iterator[dict[str, Any]]:
    """The orders, with a look at the memory now and then."""
    process = psutil.Process()
    every = max(count // 100, 1)
    for i, order in enumerate(orders(count), 1):
        yield order
        if i % every == 0:
            samples.append(process.memory_info().rss)


if __name__ == "__main__":
    count, samples = int(sys.argv[1]), list[int]()
    report = Pipe(
        sampled(count, samples), sys.argv[2], schema=Order, errors=f"{sys.argv[2]}.errors.jsonl", mode="overwrite"
    ).run()
    print(json.dumps({"read": report.read, "valid": report.valid, "failed": report.failed, "samples": samples}))
