"""Limits: how many records and how many errors a run may have, exactly to the record on every executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipe_core.kernel.errors import TooManyErrorsError
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Failure, Result

LEAST_FOR_RATE: Final = 100
"""Records that must have been read before a rate of errors means anything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends before its source does.

    Attributes:
        records: Read no more than so many.
        errors: Stop when more than so many records failed.
        rate: Stop when more than this share of the records read failed, from the hundredth record on.
    """

    records: int | None = None
    errors: int | None = None
    rate: float | None = None

    def cut(self, report: FlowReport, result: Result) -> int | None:
        """How many records of *result* the run may still take, or None for all of them."""
        cuts = []
        if self.records is not None and report.read + result.read > self.records:
            cuts.append(max(0, self.records - report.read))
        if (stop := self._stop(report, result)) is not None and stop < result.read:
            cuts.append(stop)
        return min(cuts, default=None)

    def _stop(self, report: FlowReport, result: Result) -> int | None:
        """Behind which record of *result* a limit of errors is passed."""
        if self.errors is None and self.rate is None:
            return None
        failures = result.failures if result.pending is None else _failures(result)
        for number, failure in enumerate(failures, report.failed + 1):
            if self._passed(number, report.read + failure.index + 1):
                return failure.index + 1
        return None

    def _passed(self, failed: int, read: int) -> bool:
        if self.errors is not None and failed > self.errors:
            return True
        return self.rate is not None and read >= LEAST_FOR_RATE and failed > self.rate * read

    def reached(self, report: FlowReport) -> bool:
        """Whether no more records may be read."""
        return self.records is not None and report.read >= self.records

    def check(self, report: FlowReport) -> None:
        """Raise if there are too many errors.

        Raises:
            TooManyErrorsError: There are.
        """
        if self._passed(report.failed, report.read):
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


def _failures(result: Result) -> list[Failure]:
    return [one.failure for one in result.pending or () if one.failure is not None]
