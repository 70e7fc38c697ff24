"""ZooPipe from PyPI: ``peer_zoopipe.py SOURCE TARGET ERRORS``, with its defaults, in one thread.

Of a batch of 1,000 that has one bad record it writes the text that it read, not what the schema made of it; with two
bad ones in a hundred that is every batch. So it writes other bytes, and only its counts can be checked.
"""

import sys

from schema import Order
from zoopipe import CSVInputAdapter, JSONInputAdapter, JSONOutputAdapter, Pipe

if __name__ == "__main__":
    source, target, errors = sys.argv[1:4]
    reader = CSVInputAdapter(source) if source.endswith(".csv") else JSONInputAdapter(source)
    pipe = Pipe(
        input_adapter=reader,
        output_adapter=JSONOutputAdapter(target, format="jsonl"),
        error_output_adapter=JSONOutputAdapter(errors, format="jsonl"),
        schema_model=Order,
    )
    pipe.start(wait=True)
    report = pipe.report
    print(report.total_processed, report.success_count, report.error_count, report.has_error)
