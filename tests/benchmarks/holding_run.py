"""What a map holds beside its results: ``holding_run.py COUNT``.

Prints JSON, in bytes as Python allocated them: the results alone, the most that there was while a map made them, and
what it left.
"""

import gc
import json
import sys
import tracemalloc

from graphs import check, nodes_of, outputs_of

from pipe_core import Pipeline


def allocated() -> int:
    """Bytes in use by what is still reachable."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def main(count: int) -> dict[str, int]:
    """By hand, then by a map, after a few items that are not counted: what is made once is there then."""
    pipeline = Pipeline(nodes_of("chain"))
    check("chain", pipeline.map({"x": range(10)}, "x"), range(10))
    before = allocated()
    by_hand = [outputs_of("chain", x) for x in range(count)]
    results = allocated() - before
    del by_hand
    before = allocated()
    tracemalloc.reset_peak()
    found = pipeline.map({"x": range(count)}, "x")
    most = tracemalloc.get_traced_memory()[1] - before
    kept = allocated() - before
    check("chain", found, range(count))
    return {"results": results, "most": most, "kept": kept}


if __name__ == "__main__":
    tracemalloc.start()
    print(json.dumps(main(int(sys.argv[1]))))
