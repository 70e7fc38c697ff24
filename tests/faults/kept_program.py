"""A program whose run is kept, as the tests of kills start it: ``begin`` or ``go-on``, an executor, a sink.

It prints what a report counts, or the name of its error. It goes on with a run that was begun, and else begins one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from pipe_core import Entry, FlowReport, HookStore, Pipe, PipeError
from pipe_core.runs.errors import RunNotFoundError
from pipe_core.testing.faults import Number, drop_marked

COUNTS = ("status", "read", "valid", "failed", "dropped", "expanded", "histogram", "first_failures")


def die_once(entry: Entry, store: HookStore) -> None:
    """Ends a worker, where a file asks for that: one worker only, and never the driver."""
    if entry.raw_data["n"] == 2_222 and os.environ.get("PIPE_TEST_DRIVER") != str(os.getpid()):
        with contextlib.suppress(FileNotFoundError):
            os.unlink("a-worker-dies")
            os.kill(os.getpid(), signal.SIGKILL)


def kept_pipe(executor: str, sink: Any, **options: Any) -> Pipe:
    """From ``in.jsonl`` to *sink*, with a checkpoint behind each chunk."""
    settled = {"chunk_size": 2_500, "errors": "bad.jsonl", "source": "in.jsonl", **options}
    return Pipe(
        settled.pop("source"),
        sink,
        schema=Number,
        executor=(executor, {"max_workers": 2}) if executor != "sync" else executor,
        pre_validation_hooks=[drop_marked, die_once],
        checkpoint="runs",
        checkpoint_seconds=1e-9,
        **settled,
    )


def main() -> None:
    """Begin or go on, and say what came of it."""
    what, executor, sink = sys.argv[1], sys.argv[2], sys.argv[3]
    os.environ["PIPE_TEST_DRIVER"] = str(os.getpid())
    options = json.loads(os.environ.get("PIPE_TEST_OPTIONS", "{}"))
    if os.environ.get("PIPE_TEST_FSYNC") == "none":
        os.fsync = lambda number: None  # a killed process does not need it, and it takes its time
    if os.environ.get("PIPE_TEST_LIST"):  # chunks are as small as they are said to be
        with open(options["source"], encoding="utf-8") as file:
            options["source"] = [json.loads(line) for line in file]
    limit = options.pop("file_size", None)
    pipe = kept_pipe(executor, sink, **options)
    try:
        with files_of_at_most(limit):
            report = ended(pipe, what)
    except PipeError as error:
        print(json.dumps({"error": type(error).__name__, "text": str(error)}))
        raise SystemExit(3) from error
    facts = report.to_dict()
    print(json.dumps({**{name: facts[name] for name in COUNTS}, "resumed_at": report.resumed_at}, default=str))


def ended(pipe: Pipe, what: str) -> FlowReport:
    """The report of a run, or of the end of one that was begun."""
    if what == "go-on":
        with contextlib.suppress(RunNotFoundError):
            return pipe.resume()
    return pipe.run()


@contextlib.contextmanager
def files_of_at_most(size: int | None) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    if size is None:
        yield
        return
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


if __name__ == "__main__":
    main()
