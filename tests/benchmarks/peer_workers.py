"""This project on an executor: ``peer_workers.py SOURCE TARGET ERRORS EXECUTOR WORKERS``. Prints which one it ran on.

The number of workers is for executors of several processes; ``sync`` and ``auto`` take none.
"""

import sys

from schema import Order

from pipe_core import Pipe

if __name__ == "__main__":
    source, target, errors, executor, workers = sys.argv[1:6]
    options = {} if executor in ("sync", "auto") else {"max_workers": int(workers)}
    report = Pipe(source, target, schema=Order, errors=errors, executor=(executor, options), mode="overwrite").run()
    print(report.executor)
