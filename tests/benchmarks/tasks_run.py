"""Calls that do nothing: ``tasks_run.py SYSTEM bare|ours COUNT``. Prints the seconds from the first to the last result.

Everything was started before, and a tenth of as many calls went ahead.
"""

import sys
import time

from systems import bare, ours


def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    system, whose, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    batch, end = (bare if whose == "bare" else ours)(system)
    batch(nothing, max(count // 10, 1))
    started = time.perf_counter()
    results = batch(nothing, count)
    seconds = time.perf_counter() - started
    end()
    if list(results) != [None] * count:
        raise SystemExit(f"{len(results)} results of {count} calls")
    print(seconds)
