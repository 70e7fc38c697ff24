"""Where the progress of runs is shown: all of them on one terminal, or each by a line now and then."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Final, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from pipe_core.graph.progress_counts import Counts
from pipe_core.graph.progress_rows import ending, rows_of, status, table_of
from pipe_core.looks.terminal import free_terminal

logger: Final = logging.getLogger("pipe_core.graph")

_STYLES: Final = {"completed": "green", "failed": "red", "ended": "yellow", "stopped": "yellow"}
_FAILURES: Final = (OSError, ValueError)
"""What a terminal or a file raises that was closed."""
_GONE: Final = "progress can no longer be shown; the run goes on"


class Cell:
    """The output of a notebook that is drawn again and again.

    That of rich takes along what the user's code prints at that moment, and it is gone with the next drawing.

    Args:
        width: In characters.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        display = import_module("IPython.display").display
        self._shown = display({"text/plain": ""}, raw=True, display_id=True)

    def update(self, what: Group, *, refresh: bool) -> None:
        """Draw *what* in place of what is there."""
        console = Console(file=io.StringIO(), width=self._width, record=True, force_jupyter=False)
        console.print(what)
        html = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>", clear=False)
        self._shown.update({"text/plain": console.export_text(), "text/html": html}, raw=True)

    def stop(self) -> None:
        """Leave nothing there."""
        self._shown.update({"text/plain": ""}, raw=True)


class Screen:
    """A terminal, or a notebook, with the bars of all runs that are shown there. A thread of its own draws it.

    Args:
        console: The terminal, which was taken.
        refresh: How often a second it is drawn.
        clock: Seconds.
    """

    def __init__(self, console: Console, refresh: float, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._runs: list[Counts] = []
        self._live: Live | Cell | None = None
        self._over, self._pause = threading.Event(), 1 / refresh
        self._drawer = threading.Thread(target=self._draw, name="pipe-progress", daemon=True)
        self._drawer.start()

    def add(self, run: Counts) -> None:
        """Show *run*."""
        self._runs.append(run)

    def remove(self, run: Counts) -> bool:
        """Replace the bars of *run* by how it ended. Gives whether that was the last one, and the terminal is free."""
        self._runs.remove(run)
        is_last = not self._runs
        if is_last:
            self._stop()
        try:
            self._console.print(_coloured(ending(run, self._clock()), status(run)), highlight=False, soft_wrap=True)
        except _FAILURES:
            logger.warning(_GONE, exc_info=True)
        finally:
            if is_last:
                free_terminal()
        return is_last

    def table(self) -> Group:
        """What there is to see now."""
        now = self._clock()
        return table_of([row for run in list(self._runs) for row in rows_of(run, now)], self._console.width)

    def _draw(self) -> None:
        try:
            while not self._over.wait(self._pause):  # so a short run is never drawn
                if self._live is None:
                    self._live = self._begun()
                self._live.update(self.table(), refresh=True)
        except _FAILURES:
            logger.warning(_GONE, exc_info=True)

    def _begun(self) -> Live | Cell:
        if self._console.is_jupyter:
            return Cell(self._console.width)
        # What the user's code prints appears above the bars, unless it goes somewhere else: it must still arrive.
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
            redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
        )
        live.start()
        return live

    def _stop(self) -> None:
        self._over.set()
        self._drawer.join()
        try:
            if self._live is not None:
                self._live.stop()
        except _FAILURES:
            logger.warning(_GONE, exc_info=True)


class Lines:
    """Writes of a run at most one line in *every* seconds, and one at the end.

    Args:
        run: What to show.
        every: Seconds between two lines.
        clock: Seconds.
        stream: Where to. Default: what `sys.stderr` is when a line is written.
    """

    def __init__(self, run: Counts, every: float, clock: Callable[[], float], stream: TextIO | None = None) -> None:
        self._run, self._every, self._clock, self._stream = run, every, clock, stream
        self._due = clock() + every
        self._is_closed = False

    def advance(self) -> None:
        """Something has happened in the run."""
        now = self._clock()
        if now >= self._due:
            self._due = now + self._every
            self._write("; ".join(row.line() for row in rows_of(self._run, now) if row.has_bar))

    def finish(self) -> None:
        """The run has ended."""
        self._write(ending(self._run, self._clock()))

    def _write(self, line: str) -> None:
        stream = self._stream or sys.stderr
        if stream is None or self._is_closed:  # a program without a console has none
            return
        try:
            stream.write(line + "\n")
            stream.flush()
        except _FAILURES:
            self._is_closed = True
            logger.warning(_GONE, exc_info=True)


def _coloured(text: str, word: str) -> Text:
    before, _, after = text.partition(f" {word}: ")
    return Text.assemble(f"{before} ", (word, _STYLES[word]), f": {after}")
