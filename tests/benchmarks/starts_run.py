"""Start-up of an executor: ``starts_run.py NAME``. Prints the seconds from asking for it to its first result."""

import sys
import time

from systems import options

from pipe_core import get_executor

if __name__ == "__main__":
    name = sys.argv[1]
    started = time.perf_counter()
    executor = get_executor(name, **options(name))
    executor.submit(int).result()
    seconds = time.perf_counter() - started
    executor.shutdown()
    print(seconds)
