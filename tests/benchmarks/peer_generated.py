"""Orders from a generator through a hook that computes: ``peer_generated.py COUNT TURNS EXECUTOR TARGET``.

Nobody but this process can make the records, so they are sent to the workers. The hook adds up numbers, the same work
wherever it runs, for the given number of turns.
"""

import sys
from collections.abc import Callable
from typing import Any

from orders import orders
from schema import Order
from systems import options

from pipe_core import Pipe


def computing(turns: int) -> Callable[[Any, Any], None]:
    """A hook that computes."""

    def compute(entry: Any, store: Any) -> None:
        sum(range(turns))

    return compute


if __name__ == "__main__":
    count, turns, executor, target = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    Pipe(
        orders(count),
        target,
        schema=Order,
        errors=f"{target}.errors.jsonl",
        pre_validation_hooks=[computing(turns)],
        executor=(executor, options(executor)),
        mode="overwrite",
    ).run()
