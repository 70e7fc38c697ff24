"""The observer ``log``: runs and rejected records in the standard `logging`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.looks.wording import one_line, several
from pipe_core.observers.options import LogOptions
from pipe_core.observers.summary import ending

if TYPE_CHECKING:
    from pipe_core.kernel.facts import EntryFailure, RunInfo

logger: Final = logging.getLogger("pipe_core.runs")


@dataclass(slots=True)
class _Second:
    """The second that failures are counted in."""

    began: float = float("-inf")
    told: int = 0
    untold: int = 0


class LogObserver:
    """Writes to the logger ``pipe_core.runs``. What becomes of that is for the application's handlers.

    Starts and ends are told at INFO, the end of a failed run at ERROR, rejected records at the level of the options.
    Every message begins with ``run <id>`` and has the id as the attribute ``run``.

    Args:
        options: Level and number of the messages about rejected records.
        clock: Seconds, for the bound on messages in a second.
    """

    def __init__(self, options: LogOptions | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options or LogOptions()
        self._level = logging.getLevelNamesMapping()[self._options.failures.upper()]
        self._clock = clock
        self._seconds: dict[str, _Second] = {}

    @hookimpl
    def pipe_run_started(self, run: RunInfo) -> None:
        """Say which run starts, from what and where."""
        self._seconds[run.id] = _Second()
        _log(logging.INFO, run, f"started: {one_line(run.name)} on the executor {one_line(run.executor)}")

    @hookimpl
    def pipe_entry_failed(self, run: RunInfo, failure: EntryFailure) -> None:
        """Say which record was rejected and why, unless too many were in this second."""
        if not logger.isEnabledFor(self._level):
            return
        second = self._seconds.setdefault(run.id, _Second())
        now = self._clock()
        if now - second.began >= 1:
            self._tell_untold(run, second)
            second.began, second.told = now, 0
        if second.told < self._options.per_second:
            second.told += 1
            _log(self._level, run, f"record {failure.position} failed in {failure.phase}: {_reasons(failure)}")
        else:
            second.untold += 1

    @hookimpl
    def pipe_run_finished(self, run: RunInfo, report: Any) -> None:
        """Say how the run ended."""
        if (second := self._seconds.pop(run.id, None)) is not None:
            self._tell_untold(run, second)
        _log(logging.ERROR if report.status.value == "failed" else logging.INFO, run, ending(report))

    def _tell_untold(self, run: RunInfo, second: _Second) -> None:
        if second.untold:
            _log(self._level, run, f"{several(second.untold, 'more record')} failed within a second")
            second.untold = 0


def _log(level: int, run: RunInfo, text: str) -> None:
    logger.log(level, "run %s %s", one_line(run.id), text, extra={"run": run.id})


def _reasons(failure: EntryFailure) -> str:
    first = failure.errors[0] if failure.errors else {}
    place = ".".join(str(part) for part in first.get("loc") or ())
    reason = f"{place}: {first.get('msg', first.get('message', ''))}" if place else first.get("message", "")
    more = f" (and {len(failure.errors) - 1} more)" if len(failure.errors) > 1 else ""
    return one_line(reason or first.get("msg") or "no reason given") + more
