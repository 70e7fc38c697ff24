"""Runs that fail at a failpoint in this process, and go on behind their checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipe_core.records import FlowReport, Pipe
from pipe_core.runtime.failpoints import armed

SINK_FAULTS: Final = (
    "checkpoint.kept=error@2",
    "checkpoint.sink.after=error@3",
    "checkpoint.sink.after=error@5",
    "sink.commit.before=error",
    "sink.commit.after=error",
)
"""Where a run of four chunks with a checkpoint behind each may fail: between two of them, at the last, at the end."""


def resumed_behind(make: Callable[[], Pipe], fault: str) -> FlowReport:
    """The report of a run that goes on behind one that has failed.

    Args:
        make: Makes the pipe; called for each of the two runs.
        fault: Where the first one fails with an `OSError`, as ``PIPE_FAILPOINTS`` would say it.

    Raises:
        AssertionError: The first one has not failed.
    """
    with armed(fault):
        try:
            make().run()
        except OSError as error:
            failed: OSError | None = error
        else:
            failed = None
    assert failed is not None, f"the run did not come to {fault}"
    assert "Input/output error" in str(failed), failed
    return make().resume()
