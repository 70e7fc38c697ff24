"""A line about a run, now and then: for files, pipes and notebooks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from pipe_core.observers.summary import Advance, ending, title

if TYPE_CHECKING:
    from pipe_core.kernel.facts import RunInfo
    from pipe_core.records.report import FlowReport


class Lines:
    """Writes at most one line in *every* seconds, and one at the end.

    Args:
        run: The run to show.
        every: Seconds between two lines.
        clock: Seconds.
        stream: Where to. Default: what `sys.stderr` is when a line is written.
    """

    def __init__(self, run: RunInfo, every: float, clock: Callable[[], float], stream: TextIO | None = None) -> None:
        self._run, self._every, self._clock, self._stream = run, every, clock, stream
        self._due = clock() + every

    def advance(self) -> None:
        """Some of the run was committed."""
        now = self._clock()
        if now >= self._due:
            self._due = now + self._every
            self._write(f"{title(self._run)}: {Advance.of(self._run).line()}")

    def finish(self, report: FlowReport) -> None:
        """The run has ended."""
        self._write(f"{title(self._run)} {ending(report)}")

    def _write(self, line: str) -> None:
        stream = self._stream or sys.stderr
        if stream is not None:  # a program without a console has none
            stream.write(line + "\n")
            stream.flush()
