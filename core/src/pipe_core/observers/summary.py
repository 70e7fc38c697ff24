"""How far a run is and how it ended, in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipe_core.looks.wording import duration, number, one_line, percent, rate, several

if TYPE_CHECKING:
    from pipe_core.kernel.facts import RunInfo
    from pipe_core.records.report import FlowReport

TITLE: Final = 40
"""Characters of a title."""


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a run is. `done` and `left` are None where nobody can know them, or not yet.

    Attributes:
        read: Records taken from the source.
        failed: Records rejected.
        per_second: Records read for each second.
        done: The share of the source that was committed, above 0 and at most 1.
        left: Seconds until the end, if it goes on as it went.
    """

    read: int
    failed: int
    per_second: float
    done: float | None = None
    left: float | None = None

    @classmethod
    def of(cls, run: RunInfo) -> Advance:
        """As the live report of *run* has it now."""
        report: FlowReport = run.live
        done = left = None
        if run.total:
            came = report.bytes_read if run.unit == "bytes" else report.read
            if came:
                done = min(1.0, came / run.total)
                left = report.duration * (1 - done) / done
        return cls(report.read, report.failed, report.records_per_second, done, left)

    def counts(self) -> str:
        """``12,000 records, 3 failed, 5,400/s``."""
        if not self.read:
            return "no records yet"
        failed = f", {number(self.failed)} failed" if self.failed else ""
        return f"{several(self.read, 'record')}{failed}, {rate(self.per_second)}"

    def line(self) -> str:
        """`counts` and, where the end is known, how far it is."""
        return ", ".join((self.counts(), *self._ahead()))

    def _ahead(self) -> Iterator[str]:
        if self.done is not None:
            yield percent(self.done, 1.0)
        if self.left:
            yield f"about {duration(self.left)} left"


def title(run: RunInfo) -> str:
    """What people know a run by: its source, else its id. Of a long path the end says most."""
    name = one_line(run.name or run.id, 1000)
    return name if len(name) <= TITLE else f"…{name[1 - TITLE :]}"


def ending(report: FlowReport) -> str:
    """How a run ended: ``completed: 1,000 records in 2.1 s (476/s), 990 valid, 10 failed``."""
    speed = f" ({rate(report.records_per_second)})" if report.read else ""
    text = f"{report.status.value}: {several(report.read, 'record')} in {duration(report.duration)}{speed}"
    for name in ("valid", "failed", "dropped", "expanded"):
        if count := getattr(report, name):
            text += f", {number(count)} {name}"
    if report.exception is not None:
        text += f"; {type(report.exception).__name__}: {one_line(report.exception)}"
    return text
