"""Deaths: what it means for a piece that its worker died, or that a hook hung in it."""

from __future__ import annotations

import time
from typing import Final

from pipe_core.kernel.errors import RunError, WorkerKilled
from pipe_core.records.feed import Piece
from pipe_core.records.flight import Try
from pipe_core.records.plan import Plan
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Phase
from pipe_core.records.stalls import Stall
from pipe_core.records.suspects import Death, Suspect
from pipe_core.runtime.exits import exit_text

_UNBEGUN: Final = 8
"""So many workers may die one after the other before they touch a record: then it is not for a record."""


class Deaths:
    """Judges the deaths of one run.

    Args:
        plan: What the run does.
        report: Counts deaths, and records that are to blame.

    Attributes:
        suspects: Pieces that run again in parts, by their number.
    """

    def __init__(self, plan: Plan, report: FlowReport) -> None:
        self._plan = plan
        self._report = report
        self._unbegun = 0
        self.suspects: dict[int, Suspect] = {}

    def check_beginning(self, error: BaseException | None) -> None:
        """Give up where workers die at their beginning, rather than start them for ever.

        Raises:
            RunError: They do.
        """
        if not isinstance(error, WorkerKilled):
            self._unbegun = 0
        elif error.at is None and error.hook is None:
            self._unbegun += 1
        if self._unbegun >= _UNBEGUN:
            self._report.worker_deaths += 1
            raise RunError(
                f"{self._unbegun} workers of '{self._plan.executor.name}' ended one after the other before they came "
                f"to a record, the last one with {exit_text(getattr(error, 'exit_code', None))}. Perhaps the setup of "
                f"a hook ends the process, or a module that hooks or schema import. Run again on 'sync' to see where.",
                report=self._report,
            )

    def suspect(self, tried: Try, piece: Piece, error: WorkerKilled | Stall) -> Suspect:
        """The *piece* that was *tried*: its records run again in smaller parts until the culprit is found.

        Raises:
            TooManyErrorsError: More records are to blame than there may be.
        """
        self._report.worker_deaths += isinstance(error, WorkerKilled)
        suspect, part = self.suspects.get(tried.number), tried.part
        if suspect is None or part is None:
            suspect = self.suspects[tried.number] = Suspect(piece, self._plan.program, self._plan.unit)
            part = suspect.first
        death = error.death if isinstance(error, Stall) else self._death(error, tried)
        if suspect.killed(part, death):
            self._report.poisoned += 1
            self._plan.limits.check_poison(self._report)
        return suspect

    def _death(self, error: WorkerKilled, tried: Try) -> Death:
        program, limit = self._plan.program, self._plan.program.hook_timeout
        hooks = program.hooks
        hook = hooks[error.hook - 1].name if error.hook else hooks[0].name if len(hooks) == 1 else None
        hung = program.hard_timeout and hooks and time.perf_counter() - tried.began >= limit
        phase: Phase = "worker" if error.hook is None else "pre" if error.hook <= len(program.pre) else "post"
        if hung and error.exit_code in (1, None):
            message = f"{hook or 'a hook'}: took more than hook_timeout = {limit:g} s; its worker was killed"
            return Death("HookTimeout", message, error.at, hook, phase)
        return Death("WorkerKilled", f"its worker ended: {exit_text(error.exit_code)}", error.at, hook, phase)
