"""A live view of a `TaskExecutor`: on a terminal a small table that is drawn again and again, elsewhere lines."""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pipe_core.kernel.errors import OptionsError
from pipe_core.looks.wording import duration, number, one_line, rate, several
from pipe_core.tasks.policies import check_seconds
from pipe_core.tasks.statistics import ExecutorStats, Percentiles

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from pipe_core.tasks.task_executor import TaskExecutor

logger: Final = logging.getLogger("pipe_core.tasks")

_RATE_OVER: Final = 5.0
"""The rate is that of so many seconds, the last ones."""
_LEAST: Final = 0.5
"""Of fewer seconds a rate would say nothing; then it is that since the start."""
_WIDEST: Final = 40
"""Marks for slots, at most."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an executor.

    Attributes:
        name: Of the executor.
        slots: How many calls can run at once.
        stats: Its statistics.
        rate: Calls that ended a second, lately.
    """

    name: str
    slots: int
    stats: ExecutorStats
    rate: float

    @property
    def done(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not (self.stats.queued_tasks or self.stats.active_threads)

    @property
    def counts(self) -> dict[str, int]:
        """How many calls have each status, as words."""
        stats = self.stats
        return {
            "waiting": stats.queued_tasks,
            "running": stats.active_threads,
            "completed": stats.completed_tasks,
            "failed": stats.failed_tasks,
            "cancelled": stats.cancelled_tasks,
            "aborted": stats.aborted_tasks,
        }

    def line(self) -> str:
        """All of it on one line."""
        counts = ", ".join(f"{number(count)} {status}" for status, count in self.counts.items())
        if self.stats.retries:
            counts += f"; tried again {several(self.stats.retries, 'time')}"
        return (
            f"{one_line(self.name)}: {counts}; {rate(self.rate)}; waited {_times(self.stats.queue_wait)}; "
            f"ran {_times(self.stats.run_time)}"
        )

    def table(self, marks: str = "■□") -> Table:
        """All of it as a small table. *marks* stand for a slot that is busy and for one that is not."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        busy = min(self.stats.active_threads, self.slots)
        shown = f" {marks[0] * busy}{marks[1] * (self.slots - busy)}" if self.slots <= _WIDEST else ""
        rows = [
            (one_line(self.name, 40), f"up {duration(self.stats.uptime)}, {rate(self.rate)}"),
            ("slots", f"{busy} of {self.slots} busy{shown}"),
            *((status, number(count)) for status, count in self.counts.items()),
            *([("tried again", several(self.stats.retries, "time"))] if self.stats.retries else []),
            ("queue wait", _times(self.stats.queue_wait)),
            ("run time", _times(self.stats.run_time)),
        ]
        for word, value in rows:
            table.add_row(Text(word), Text(value, style="red" if word == "failed" and value != "0" else ""))
        return table


def _times(times: Percentiles) -> str:
    return f"{duration(times.p50)} (90 %: {duration(times.p90)}, 99 %: {duration(times.p99)})"


class Watch:
    """Shows an executor while its block runs, or until there is nothing left to do. It never keeps it alive.

    Args:
        executor: What to show.
        console: Where to. Default: standard error.
        refresh: How often a second it is drawn on a terminal.
        every: Seconds between two lines elsewhere.

    Raises:
        OptionsError: A number is not positive, or *console* is something else.
    """

    def __init__(
        self, executor: TaskExecutor, console: Console | None = None, *, refresh: float = 4.0, every: float = 10.0
    ) -> None:
        from rich.console import Console

        if not (console is None or isinstance(console, Console)):
            raise OptionsError(
                f"console wants a rich.console.Console, such as Console(file=open('watch.log', 'w')), not {console!r}."
            )
        check_seconds("refresh", refresh)
        check_seconds("every", every)
        self._executor = weakref.ref(executor)
        self._console = console or Console(stderr=True)
        self._refresh, self._every = refresh, every
        self._ends: deque[tuple[float, int]] = deque()
        self._over = threading.Event()
        self._live: Live | None = None
        self._last: Look | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("It is shown already, or was. Call watch() again for another view.")
        if self._console.is_interactive:
            self._live = self._made()
            self._live.start()
        self._thread = threading.Thread(target=self._show, name="pipe-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        look = self.look() or self._last
        if self._live is not None:
            self._live.stop()
        if look is not None:
            self._say(look)

    def until_done(self, seconds: float | None = None) -> bool:
        """Show it until nothing waits and nothing runs, or the executor is gone.

        Args:
            seconds: For so long at most. Default: for any time.

        Returns:
            Whether everything was done.
        """
        end = None if seconds is None else monotonic() + seconds
        with self:
            while (look := self.look()) is not None and not look.done:
                left = 1 / self._refresh if end is None else min(1 / self._refresh, end - monotonic())
                if left <= 0:
                    return False
                self._over.wait(left)
        return True

    def look(self) -> Look | None:
        """What there is to see now. None when the executor is gone."""
        executor = self._executor()
        if executor is None:
            return None
        stats = executor.get_stats()
        ended = stats.completed_tasks + stats.failed_tasks
        self._ends.append((stats.uptime, ended))
        while self._ends[0][0] < stats.uptime - _RATE_OVER and len(self._ends) > 2:
            self._ends.popleft()
        since, before = self._ends[0]
        lately = (ended - before) / (stats.uptime - since) if stats.uptime > since + _LEAST else stats.throughput
        self._last = Look(executor.name, executor.slots, stats, lately)
        return self._last

    # --- in the thread that draws ---

    def _made(self) -> Live:
        from rich.live import Live

        # What the user's code prints appears above it, unless it goes somewhere else: it must still arrive.
        terminal = sys.stdout is not None and sys.stdout.isatty()
        look = self.look()
        return Live(
            None if look is None else look.table(self._marks),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=terminal,
            redirect_stderr=terminal,
        )

    @property
    def _marks(self) -> str:
        return "■□" if self._console.encoding.startswith("utf") else "#."

    def _show(self) -> None:
        pause = self._every if self._live is None else 1 / self._refresh
        try:
            while not self._over.wait(pause) and (look := self.look()) is not None:
                if self._live is None:
                    self._say(look)
                else:
                    self._live.update(look.table(self._marks), refresh=True)
        except (OSError, ValueError):  # its window was closed
            logger.warning("the view of an executor can no longer be drawn; the calls go on", exc_info=True)

    def _say(self, look: Look) -> None:
        self._console.print(look.line(), markup=False, highlight=False, soft_wrap=True)
