"""Orders on executors that were started before: ``given_run.py SOURCE TARGET OPTIONS ROUNDS EXECUTOR...``.

OPTIONS are those of the sink as JSON. Prints JSON: for every executor the processor seconds of this process until its
first result, and for each round the seconds, the processor seconds of this process and those of the workers (null
where they cannot be asked). The executors take turns.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from flows import counted
from orders import prepared
from schema import Order
from systems import CHUNKS_AHEAD, options

from pipe_core import Executor, Pipe, UnsupportedCapabilityError, get_executor

WARM_UP = 1000


def cpu_of_process() -> tuple[int, float]:
    """Which process this is, and its processor seconds so far."""
    return os.getpid(), time.process_time()


def cpu_of_workers(executor: Executor) -> dict[int, float] | None:
    """Processor seconds of each worker process, where they can be asked."""
    try:
        outcomes = executor.everywhere(cpu_of_process)
    except UnsupportedCapabilityError:
        return None
    return dict(outcome.value for outcome in outcomes)


def started(name: str) -> tuple[Executor, float]:
    """An executor that has run something, and what that cost this process."""
    before = time.process_time()
    executor = get_executor(name, **options(name), prefetch=CHUNKS_AHEAD)
    executor.submit(int).result()
    return executor, time.process_time() - before


def run(executor: Executor, source: Path, target: str, sink: dict[str, Any]) -> dict[str, Any]:
    """One run, measured."""
    workers, own, clock = cpu_of_workers(executor), time.process_time(), time.perf_counter()
    errors = f"{target.rstrip('/')}.errors.jsonl"
    Pipe(source, (target, sink), schema=Order, errors=errors, executor=executor, mode="overwrite").run()
    seconds, own = time.perf_counter() - clock, time.process_time() - own
    after = cpu_of_workers(executor)
    theirs = sum(after[pid] - workers.get(pid, 0.0) for pid in after) if after and workers is not None else None
    return {"seconds": seconds, "driver": own, "workers": theirs}


def written(target: str) -> tuple[int, str]:
    """The lines of a file, or of the files in a folder, and a digest of them."""
    if not target.endswith("/"):
        return counted([Path(target)])
    if not Path(target).is_dir():
        raise SystemExit(f"{target} is no folder")
    return counted(sorted(Path(target).glob("part-*")))


def main(source: Path, target: str, sink: dict[str, Any], rounds: int, names: list[str]) -> dict[str, Any]:
    """Start them all, then let them take turns."""
    executors = {name: started(name) for name in names}
    found: dict[str, Any] = {name: {"start": cost, "runs": []} for name, (_, cost) in executors.items()}
    short = prepared(source.parent, "csv", WARM_UP)
    digests = set()
    for executor, _ in executors.values():
        run(executor, short, target, sink)
    for _ in range(rounds):
        for name, (executor, _) in executors.items():
            found[name]["runs"].append(run(executor, source, target, sink))
            lines, digest = written(target)
            digests.add(digest)
            found[name]["lines"] = lines
    for executor, _ in executors.values():
        executor.shutdown()
    if len(digests) != 1:
        raise SystemExit("the rounds wrote different bytes")
    return found


if __name__ == "__main__":
    source, target, sink, rounds, *names = sys.argv[1:]
    print(json.dumps(main(Path(source), target, json.loads(sink), int(rounds), names)))
