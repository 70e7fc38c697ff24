"""The live bar of a run on a terminal."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from pipe_core.observers.summary import Advance, ending, title

if TYPE_CHECKING:
    from pipe_core.kernel.facts import RunInfo
    from pipe_core.records.report import FlowReport

logger: Final = logging.getLogger("pipe_core.observers")

_STYLES: Final = {"completed": "green", "failed": "red"}


class _Counts(ProgressColumn):
    """The live counts, read whenever the bar is drawn."""

    def __init__(self, run: RunInfo) -> None:
        super().__init__(Column(no_wrap=True))
        self._run = run

    def render(self, task: Task) -> Text:
        return Text(Advance.of(self._run).line())


class Bar:
    """A bar for a source whose size is known, a spinner otherwise; gone at the end, when one line says how it went.

    Args:
        run: The run to show.
        console: The terminal.
        refresh: How often a second it is drawn.
    """

    def __init__(self, run: RunInfo, console: Console, refresh: float) -> None:
        self._run, self._console = run, console
        self._progress = Progress(
            SpinnerColumn("dots" if console.encoding.startswith("utf") else "line"),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
            *([BarColumn(20)] if run.total else []),
            _Counts(run),
            *([] if run.total else [TimeElapsedColumn()]),
            console=console,
            auto_refresh=False,
            transient=True,
            # What the user's code prints appears above the bar, unless it goes somewhere else: it must still arrive.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(title(run), total=1.0 if run.total else None)
        self._progress.start()
        # Not the thread that rich would start: it is still there for a moment when the bar has gone.
        self._over, self._pause = threading.Event(), 1 / refresh
        self._drawer = threading.Thread(target=self._draw, name="pipe-bar", daemon=True)
        self._drawer.start()

    def _draw(self) -> None:
        try:
            while not self._over.wait(self._pause):
                self._progress.refresh()
        except (OSError, ValueError):  # its window was closed
            logger.warning("the bar can no longer be drawn; the run goes on", exc_info=True)

    def advance(self) -> None:
        """Some of the run was committed."""
        self._progress.update(self._task, completed=Advance.of(self._run).done or 0.0)

    def finish(self, report: FlowReport) -> None:
        """Replace the bar by how the run ended."""
        self._over.set()
        self._drawer.join()
        self._progress.stop()
        status = report.status.value
        style = "yellow" if status == "completed" and report.failed else _STYLES.get(status, "yellow")
        text = Text.assemble((status, style), ending(report).removeprefix(status))
        self._console.print(Text(f"{title(self._run)} ").append_text(text), highlight=False, soft_wrap=True)
