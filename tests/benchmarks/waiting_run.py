"""A hook that waits: ``waiting_run.py EXECUTOR COUNT MILLISECONDS AT_ONCE``. Prints the seconds of the run.

The start of the executor is part of them, the start of Python is not.
"""

import asyncio
import sys
import time
from typing import Any

from systems import options

from pipe_core import Pipe

if __name__ == "__main__":
    executor, count, milliseconds, at_once = sys.argv[1], *map(int, sys.argv[2:5])

    def wait(entry: Any, store: Any) -> None:
        """Wait, as for the answer of a service."""
        time.sleep(milliseconds / 1000)

    async def wait_async(entry: Any, store: Any) -> None:
        """The same, and let others work meanwhile."""
        await asyncio.sleep(milliseconds / 1000)

    found: list[Any] = []
    hook = wait_async if executor == "asyncio" else wait
    records = [{"number": number} for number in range(count)]
    started = time.perf_counter()
    Pipe(records, found, pre_validation_hooks=[hook], executor=(executor, options(executor, at_once))).run()
    seconds = time.perf_counter() - started
    if found != records:
        raise SystemExit(f"{len(found)} of {count} records came through")
    print(seconds)
