"""News: what the observers of a run are told."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import Context
from typing import Final

from pipe_core.kernel.facts import EntryFailure, RunInfo, TaskInfo
from pipe_core.records.flight import Try
from pipe_core.records.plan import Plan
from pipe_core.records.report import FlowReport

_PROGRESS_SECONDS: Final = 0.1
"""Progress is told no more often."""


class News:
    """Tells the observers of one run.

    Args:
        plan: What the run does, and who listens.
        report: The live report.
        total: How much there is to read, and in which unit.
        context: In which pieces are handed over.
    """

    def __init__(self, plan: Plan, report: FlowReport, total: tuple[int | None, str], context: Context) -> None:
        self._observers = plan.observers
        self._report = report
        if plan.limits.records is not None:
            total = plan.limits.records, "records"
        self._run = RunInfo(report.run, "records", plan.source.name, plan.executor.name, *total, report, context)
        self._told = 0.0

    def started(self) -> None:
        """The run begins."""
        self._observers.tell("pipe_run_started", run=self._run)

    def submitted(self, tried: Try) -> None:
        """A piece was handed over."""
        self._tell_task("pipe_task_submitted", tried, "pending")

    def came_back(self, tried: Try, error: BaseException | None) -> None:
        """What was handed over has come back, or the *error* in its place."""
        self._tell_task("pipe_task_finished", tried, "completed" if error is None else "failed")

    def _tell_task(self, event: str, tried: Try, status: str) -> None:
        if self._observers.hears(event):
            attempt = 1 if tried.part is None else tried.part.deaths + 1
            task = TaskInfo(tried.number, "chunk", status, attempt, tried.began, time.perf_counter())
            self._observers.tell(event, run=self._run, task=task)

    @property
    def of_failure(self) -> Callable[[EntryFailure], None] | None:
        """Tells of a record that was rejected; None where nobody wants to know."""
        return self._tell_failure if self._observers.hears("pipe_entry_failed") else None

    def _tell_failure(self, failure: EntryFailure) -> None:
        self._observers.tell("pipe_entry_failed", run=self._run, failure=failure)

    def progress(self) -> None:
        """The report has grown."""
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS and self._observers.hears("pipe_run_progress"):
            self._told = now
            self._observers.tell("pipe_run_progress", run=self._run)

    def finished(self) -> None:
        """The run has ended."""
        self._observers.tell("pipe_run_finished", run=self._run, report=self._report)
