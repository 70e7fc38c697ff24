"""The ordered commit: results become sink and error-sink contents, counts and positions, in the order of the source."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pipe_core.kernel.contracts import Extent, Row, Sink
from pipe_core.kernel.errors import HookContractError, SourceError
from pipe_core.kernel.facts import EntryFailure
from pipe_core.records.hooking import refused
from pipe_core.records.hooks import BoundHook
from pipe_core.records.limits import Limits
from pipe_core.records.program import Program
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Failure, Pending, Phase, Result
from pipe_core.runtime.failpoints import failpoint

APPEND_SECONDS: Final = 2.0
"""How often a sink in mode ``append`` is made durable."""


class Again(Exception):  # no error: what the commit asks of the run
    """The piece must be processed again.

    Attributes:
        begin: From this byte on, because the guess where it begins was wrong.
        most: Only so many records, because the run ends inside of it.
    """

    def __init__(self, *, begin: int | None = None, most: int | None = None) -> None:
        super().__init__()
        self.begin = begin
        self.most = most


class Commit:
    """Takes results in order.

    Attributes:
        extent: Where the last result ended, where its source is read in splits.
        is_whole: Whether both sinks and the counts have the same records: not where one of them failed in between.

    Args:
        program: The run's program.
        sink: Where good records go, if anywhere.
        errors: Where rejected ones go, if anywhere.
        report: Counts up with every result.
        limits: When to stop.
        tell: Told of each failure, when somebody listens.
    """

    def __init__(
        self,
        program: Program,
        sink: Sink | None,
        errors: Sink | None,
        report: FlowReport,
        limits: Limits,
        tell: Callable[[EntryFailure], None] | None = None,
    ) -> None:
        self._program = program
        self._sink = sink
        self._errors = errors
        self._report = report
        self._limits = limits
        self._tell = tell
        self._deciders = tuple(hook for hook in program.hooks if hook.kind == "run")
        self._end: Extent | None = None
        self.extent: Extent | None = None
        self.is_whole = True
        self.entries: list[Any] = []

    def take(self, result: Result, position: int | None = None) -> None:
        """Commit the next result; *position* is the number of its first record, where it is known.

        Raises:
            Again: It must be processed again first; nothing of it was committed.
            TooManyErrorsError: A limit of errors was passed, at the last record of the result.
            PipeError: What ended the work inside of it; what came before is committed.
        """
        self._check_border(result)
        self._check_limits(result)
        started = time.perf_counter()
        base = self._report.read if position is None else position
        failures = result.failures if result.pending is None else self._decide(result, result.pending, base)
        self._end = result.extent or self._end
        self.is_whole = False
        failpoint("commit.errors.before")
        self._reject(failures, base)
        failpoint("commit.sink.before")
        self._accept(result, base)
        self._count(result, failures, base)
        self.extent, self.is_whole = result.extent, True
        failpoint("commit.after")
        self._report._spend({**result.seconds, "write": time.perf_counter() - started})
        if result.fatal is not None:
            if isinstance(result.fatal, SourceError):
                result.fatal.position = self._report.read  # a worker counts from where its split begins
            raise result.fatal
        self._limits.check(self._report)

    def go_on(self, extent: Extent | None) -> None:
        """The next result is the one behind *extent*, which was committed by another process."""
        self._end = self.extent = extent

    def _check_border(self, result: Result) -> None:
        extent, before = result.extent, self._end
        if extent is None or before is None or before.of != extent.of or extent.begin == before.end:
            return
        raise Again(begin=before.end)

    def _check_limits(self, result: Result) -> None:
        """Ask for a shorter result where the run ends inside of this one."""
        cuts = [result.read]
        if (left := self._limits.left(self._report)) is not None:
            cuts.append(left)
        if result.pending is None and (stop := self._limits.stop(self._report, result.read, result.failures)):
            cuts.append(stop)
        if min(cuts) < result.read:
            raise Again(most=min(cuts))

    # --- run-scoped hooks ---

    def _decide(self, result: Result, pending: Sequence[Pending], base: int) -> list[Failure]:
        """Ask the run-scoped hooks about every entry, in order, and stop asking where a limit of errors is passed."""
        failures: list[Failure] = []
        rows: list[Any] = []
        read = self._report.read
        for number, one in enumerate(pending):
            verdict = self._verdict(one, base)
            if isinstance(verdict, Failure):
                failures.append(verdict)
            elif verdict == "drop":
                result.dropped += 1
            elif one.failure is not None:
                failures.append(one.failure)
            else:
                result.valid += 1
                rows.append(one.row)
                if one.entry is not None:
                    result.entries = [*(result.entries or ()), one.entry]
            last = number + 1 == len(pending) or pending[number + 1].index != one.index
            if last and self._limits.passed(self._report.failed + len(failures), read + one.index + 1):
                self._shorten(result, pending[: number + 1], len(failures))
                break
        if rows and self._program.encoder is not None:
            result.payload = self._program.encoder.join(rows)
        return failures

    def _shorten(self, result: Result, decided: Sequence[Pending], failed: int) -> None:
        """Take back from the counts what lies behind the entries that were decided on."""
        result.read = decided[-1].index + 1
        result.expanded = sum(one.part > 0 for one in decided)
        result.dropped = result.read + result.expanded - result.valid - failed
        result.fatal = None

    def _verdict(self, one: Pending, base: int) -> str | Failure:
        for hook, (value, refusal) in zip(self._deciders, one.verdicts, strict=False):
            verdict = _asked(hook, value, base + one.index)
            if verdict == "drop":
                return "drop"
            if verdict == "fail" and getattr(hook.source, "may_fail", False):
                return self._refused(hook, one, refusal)
            if verdict != "keep":
                raise HookContractError(
                    f"{hook.name}.decide returned {verdict!r}. It may return 'keep' or 'drop', and 'fail' where the "
                    f"hook says may_fail = True.",
                    hook=hook.name,
                )
        return "keep"

    def _refused(self, hook: BoundHook, one: Pending, row: Row) -> Failure:
        phase: Phase = "pre" if hook in self._program.pre else "post"
        return Failure(one.index, phase, [refused(hook)], row, hook.name, one.part)

    # --- both sinks and the counts ---

    def _reject(self, failures: Sequence[Failure], base: int) -> None:
        encoder = self._program.error_encoder
        if self._errors is None or encoder is None or not failures:
            return
        rows = [encoder.stamp(base + failure.index, failure.row) for failure in failures]
        self._errors.write(encoder.join(rows), len(rows))

    def _accept(self, result: Result, base: int) -> None:
        if self._sink is not None and result.payload is not None and result.valid:
            self._sink.write(result.payload, result.valid)
        for entry in result.entries or ():
            entry._position, entry._run = base + entry._index, self._program.run
            self.entries.append(entry)

    def _count(self, result: Result, failures: Sequence[Failure], base: int) -> None:
        report = self._report
        for failure in failures:
            report._count_failure(base + failure.index, failure.phase, failure.errors, failure.hook)
            if self._tell is not None:
                self._tell(EntryFailure(base + failure.index, failure.phase, failure.errors, failure.hook))
        report.read += result.read
        report.valid += result.valid
        report.dropped += result.dropped
        report.expanded += result.expanded
        report.chunks += 1

    def sinks(self) -> Iterator[Sink]:
        """The sinks in the order in which they are made durable: the reasons first."""
        return (sink for sink in (self._errors, self._sink) if sink is not None)


def _asked(hook: BoundHook, value: Any, position: int) -> Any:
    try:
        return hook.source.decide(value, position)
    except Exception as error:
        raise HookContractError(
            f"{hook.name}.decide raised {type(error).__name__} at position {position}: {error}", hook=hook.name
        ) from error
