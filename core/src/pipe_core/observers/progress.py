"""The observer ``progress``: a live bar on a terminal, now and then a line elsewhere. Always on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.looks.terminal import free_terminal, take_terminal
from pipe_core.observers.bar import Bar
from pipe_core.observers.lines import Lines
from pipe_core.observers.options import ProgressOptions

if TYPE_CHECKING:
    from pipe_core.kernel.facts import RunInfo


class ProgressObserver:
    """Shows how many records a run has read, how fast, how many failed and, for sized sources, how long it still takes.

    A terminal has a live bar in colours (none where ``NO_COLOR`` is set); anything else gets plain lines.

    Args:
        options: How often to write and to draw.
        stream: Where to. Default: standard error.
        clock: Seconds, for the time between two lines.
    """

    def __init__(
        self,
        options: ProgressOptions | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options or ProgressOptions()
        self._stream = stream
        self._clock = clock
        self._views: dict[RunInfo, Bar | Lines] = {}

    @hookimpl
    def pipe_run_started(self, run: RunInfo) -> None:
        """Begin to show *run*."""
        if run.live is not None:
            self._views[run] = self._bar(run) or Lines(run, self._options.every, self._clock, self._stream)

    @hookimpl
    def pipe_run_progress(self, run: RunInfo) -> None:
        """Show how far it is."""
        if view := self._views.get(run):
            view.advance()

    @hookimpl
    def pipe_run_finished(self, run: RunInfo, report: Any) -> None:
        """Show how it ended."""
        if view := self._views.pop(run, None):
            try:
                view.finish(report)
            finally:
                if isinstance(view, Bar):
                    free_terminal()

    def _bar(self, run: RunInfo) -> Bar | None:
        """A bar, if there is a terminal and nothing else draws on it."""
        console = take_terminal(self._stream)
        if console is None:
            return None
        try:
            return Bar(run, console, self._options.refresh)
        except BaseException:
            free_terminal()
            raise
