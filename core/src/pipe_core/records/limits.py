"""Limits: how many records and how many errors a run may have, exactly to the record on every executor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipe_core.kernel.errors import RunTimeoutError, TooManyErrorsError
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Failure

LEAST_FOR_RATE: Final = 100
"""Records that must have been read before a rate of errors means anything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends before its source does.

    Attributes:
        records: Read no more than so many.
        errors: Stop when more than so many records failed.
        rate: Stop when more than this share of the records read failed, from the hundredth record on.
        poison: Stop when more than so many records killed or hung their workers.
        runtime: Stop when the run has taken more than so many seconds.
    """

    records: int | None = None
    errors: int | None = None
    rate: float | None = None
    poison: int | None = None
    runtime: float = math.inf

    def left(self, report: FlowReport) -> int | None:
        """How many records may still be read; None for any number."""
        return None if self.records is None else max(0, self.records - report.read)

    def reached(self, report: FlowReport) -> bool:
        """Whether no more records may be read."""
        return self.left(report) == 0

    def stop(self, report: FlowReport, read: int, failures: Sequence[Failure]) -> int | None:
        """Behind which of the next *read* records a limit of errors is passed, counted from 1; None if none is.

        *failures* are those among these records, in order. A rate can only be passed where a record fails, and at the
        record from which on it counts.
        """
        if self.errors is None and self.rate is None:
            return None
        failed = report.failed
        first = LEAST_FOR_RATE - report.read
        for failure in failures:
            if first <= failure.index and self._is_first(report, read, first, failed):
                return first
            failed += 1
            if self.passed(failed, report.read + failure.index + 1):
                return failure.index + 1
        return first if self._is_first(report, read, first, failed) else None

    def _is_first(self, report: FlowReport, read: int, first: int, failed: int) -> bool:
        return 0 < first <= read and self.passed(failed, report.read + first)

    def seconds_left(self, report: FlowReport) -> float | None:
        """How long the run may still take; None for any time."""
        return None if self.runtime == math.inf else max(0.0, self.runtime - report.duration)

    def check_runtime(self, report: FlowReport) -> None:
        """Raise if the run has taken too long.

        Raises:
            RunTimeoutError: It has.
        """
        if report.duration > self.runtime:
            raise RunTimeoutError(
                f"Stopped after {report.read:,} records: the run has taken longer than max_runtime = {self.runtime:g} "
                f"seconds. Allow more, or give it more workers.",
                report=report,
            )

    def passed(self, failed: int, read: int) -> bool:
        """Whether so many failures among so many records are too many."""
        if self.errors is not None and failed > self.errors:
            return True
        return self.rate is not None and read >= LEAST_FOR_RATE and failed > self.rate * read

    def check(self, report: FlowReport) -> None:
        """Raise if there are too many errors.

        Raises:
            TooManyErrorsError: There are.
        """
        if not self.passed(report.failed, report.read):
            return
        limit = f"max_error_rate = {self.rate}"
        if self.errors is not None and report.failed > self.errors:
            limit = f"max_errors = {self.errors}" if self.errors else 'on_error = "fail"'
        worst = report.histogram[0]
        example = worst.examples[0]
        raise TooManyErrorsError(
            f"Stopped after {report.read} records: {report.failed} failed, {limit} allows no more. "
            f"The most frequent reason is {worst.type} at {worst.location or worst.phase}, for example at "
            f"position {example['position']}: {example['message']}. Correct the input or schema, or allow more.",
            report=report,
        )

    def check_poison(self, report: FlowReport) -> None:
        """Raise if too many records kill their workers.

        Raises:
            TooManyErrorsError: They do.
        """
        if self.poison is not None and report.poisoned > self.poison:
            raise TooManyErrorsError(
                f"Stopped after {report.read} records: {report.poisoned} records killed or hung every worker that "
                f"touched them, max_poison = {self.poison} allows no more. Run the first of them by itself on 'sync' "
                f"to see what happens, or allow more.",
                report=report,
            )
