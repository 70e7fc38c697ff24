"""ZooPipe from PyPI in two processes: ``peer_zoopipe_processes.py SOURCE TARGET ERRORS``, with its defaults.

Its own `PipeManager.parallelize_pipe` leaves the error sink out, so this one shards all three places as that does, and
gives the shards to the same engine. Nobody joins the files, which the manager would do.
"""

import sys

from schema import Order
from zoopipe import CSVInputAdapter, JSONOutputAdapter, MultiProcessEngine, Pipe, PipeManager

WORKERS = 2

if __name__ == "__main__":
    source, target, errors = sys.argv[1:4]
    shards = zip(
        CSVInputAdapter(source).split(WORKERS),
        JSONOutputAdapter(target, format="jsonl").split(WORKERS),
        JSONOutputAdapter(errors, format="jsonl").split(WORKERS),
        strict=True,
    )
    pipes = [
        Pipe(input_adapter=reader, output_adapter=good, error_output_adapter=bad, schema_model=Order)
        for reader, good, bad in shards
    ]
    manager = PipeManager(pipes, engine=MultiProcessEngine())
    manager.start()
    manager.wait()
    report = manager.report
    print(report.total_processed, report.success_count, report.error_count)
    manager.shutdown()
