"""Many calls through a short queue: ``retention_run.py COUNT``.

Of the calls that have ended the last thousand are known. Prints JSON: bytes resident, after each hundredth of the
calls, and what the executor has counted.
"""

import json
import sys

import psutil
from contenders import WORKERS

from pipe_core import Retention, TaskExecutor

QUEUE = KEPT = 1_000


def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    count, samples, process = int(sys.argv[1]), list[int](), psutil.Process()
    with TaskExecutor(max_workers=WORKERS, queue_capacity=QUEUE, retention=Retention(count=KEPT)) as executor:
        for i in range(1, count + 1):
            executor.submit(nothing)
            if i % max(count // 100, 1) == 0:
                samples.append(process.memory_info().rss)
    stats = executor.get_stats()
    ledger = {status.value: executor.ledger.count(status) for status in executor.ledger.totals}
    print(json.dumps({"completed": stats.completed_tasks, "known": sum(ledger.values()), "samples": samples}))
