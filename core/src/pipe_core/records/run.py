"""One run: pieces of the source go through the executor and come back, in order, to the commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from typing import Any, Final

from pipe_core.kernel.errors import (
    BackendLost,
    ConservationError,
    PipeError,
    RunCancelledError,
    RunError,
    WorkerKilled,
)
from pipe_core.records.commit import APPEND_SECONDS, Again, Commit
from pipe_core.records.control import Control
from pipe_core.records.deaths import Deaths
from pipe_core.records.ending import Ending
from pipe_core.records.feed import Feed, Piece
from pipe_core.records.flight import Flight, Try
from pipe_core.records.news import News
from pipe_core.records.plan import Plan
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Result
from pipe_core.records.stalls import Stall, Stalls
from pipe_core.records.suspects import Part, Suspect
from pipe_core.runtime.failpoints import failpoint
from pipe_core.runtime.run_loop import LoopLeft
from pipe_core.runtime.window import Window

PREFETCH: Final = 2
"""Chunks that a busy worker of another process holds ready."""


class Run:
    """Drives one run to its end.

    Args:
        plan: What to do.
        report: The live report.
        control: How to stop it.
    """

    def __init__(self, plan: Plan, report: FlowReport, control: Control) -> None:
        self._plan = plan
        self.report = report
        self._control = control
        self._pieces: dict[int, Piece] = {}
        self._deaths = Deaths(plan, report)
        self._dispatch = plan.begin()
        self._flight = Flight(self._dispatch, report.run)
        self._stalls = Stalls(plan.program, plan.executor)
        self._checkpoints = plan.checkpoints
        begun = self._checkpoints.kept.begun if self._checkpoints is not None else None
        self._feed = Feed(
            plan.source,
            exact=plan.exact,
            whole=plan.whole,
            workers=plan.executor.slots,
            least=plan.least,
            wake=self._flight.wake,
            skip=begun.read if begun is not None else 0,
            behind=begun.extent if begun is not None else None,
        )
        # Splits are committed in order whatever was asked for: their borders are checked against their neighbours.
        ordered = plan.ordered or self._feed.splitting
        self._window = Window(plan.max_inflight, plan.max_bytes_inflight, ordered=ordered)
        self._committed = time.monotonic()
        self.news = News(plan, report, self._feed.total, self._flight.context)
        self._commit = Commit(plan.program, plan.sink, plan.errors, report, plan.limits, self.news.of_failure)
        if begun is not None and self._feed.splitting:
            self._commit.go_on(begun.extent)
        self._ending = Ending(
            plan,
            report,
            control=control,
            feed=self._feed,
            dispatch=self._dispatch,
            flight=self._flight,
            commit=self._commit,
            release=self._held_ready(),
        )
        control.on_abort(self._flight.wake)
        if plan.program.loop is not None:
            control.on_abort(plan.program.loop.cancel)

    def _held_ready(self) -> Callable[[], None]:
        """Let workers of other processes hold chunks ready, also those of an executor that was made for calls."""
        executor = self._plan.executor
        return (lambda: None) if executor.capabilities.in_process else executor.hold_ready(PREFETCH)

    # --- the loop ---

    def drive(self) -> Iterator[list[Any]]:
        """Run to the end, yielding groups of entries where the run streams them.

        Raises:
            PipeError: The run failed or was aborted.
        """
        self.news.started()
        failpoint("run.planned")
        while not self._over():
            if self._submit():
                self._collect()
            else:
                self._wait()
            yield from self._commit_ready()
        if self._feed.failure is not None:
            raise self._feed.failure
        self._check_conservation()

    def _over(self) -> bool:
        if self._control.aborted:
            raise RunCancelledError("The run was aborted.", report=self.report)
        self._plan.limits.check_runtime(self.report)
        if self._plan.limits.reached(self.report):
            return True
        return self._feed.done and not len(self._window)

    def _submit(self) -> bool:
        """Hand over the next piece, if there is one and the window has room."""
        if not self._window.fits(self._feed.next_size):
            return False
        piece = self._feed.take()
        if piece is None:
            return self._feed.done and not len(self._window)
        number = self._window.add(piece.size)
        self._hand_over(number, piece)
        return True

    def _hand_over(self, number: int, piece: Piece, most: int | None = None, part: Part | None = None) -> None:
        tried = Try(number, piece, part, time.perf_counter())
        if part is None:
            self._pieces[number] = piece
        self.news.submitted(tried)
        self._flight.begin(tried, most)

    def _wait(self) -> None:
        due = self._feed.due() if self._window.fits(self._feed.next_size) else None
        if self._checkpoints is not None:
            due = _sooner(due, self._checkpoints.due(self.report))
        elif self._plan.mode == "append":
            due = _sooner(due, max(0.0, self._committed + APPEND_SECONDS - time.monotonic()))
        due = _sooner(due, self._plan.limits.seconds_left(self.report))
        if not self._collect(_sooner(due, self._stalls.due)):
            self._look_for_stalls()

    def _collect(self, seconds: float | None = 0.0) -> bool:
        """Note what comes back within *seconds*. False when nothing does."""
        landed = self._flight.landed(seconds)
        for tried, future in landed:
            self._note(tried, future)
        return bool(landed)

    def _note(self, tried: Try, future: Future[Any]) -> None:
        error = future.exception()
        self.news.came_back(tried, error)
        self._deaths.check_beginning(error)
        culprit = self._stalls.culprit(tried.piece.readable)
        if isinstance(error, LoopLeft) and culprit is not None:
            error = culprit
        if isinstance(error, WorkerKilled | Stall):
            self._go_on(tried.number, self._deaths.suspect(tried, self._pieces[tried.number], error))
        elif isinstance(error, LoopLeft):
            self._hand_over(tried.number, tried.piece, part=tried.part)
        elif tried.part is None:
            self._window.finish(tried.number, future)
        else:
            self._settle_part(tried, tried.part, future)

    # --- workers that died, and hooks that hang ---

    def _settle_part(self, tried: Try, part: Part, future: Future[Any]) -> None:
        try:
            part.result = self._result(future)
        except PipeError as error:
            part.result = Result(fatal=error)
        self._go_on(tried.number, self._deaths.suspects[tried.number])

    def _go_on(self, number: int, suspect: Suspect) -> Result | None:
        """Hand over what must run again; the result of the whole piece when nothing must."""
        for part, piece in suspect.due():
            self._hand_over(number, piece, part=part)
        result = suspect.result()
        if result is not None:
            self._window.finish(number, result)
        return result

    def _look_for_stalls(self) -> None:
        for readable, stall in self._stalls.found():
            for future in self._flight.reading(readable):
                if self._plan.executor.give_up(future, stall):
                    self._stalls.given_up(readable)
                    self._note_stall(stall)
        if (blocked := self._stalls.blocked()) is not None:
            self._note_stall(blocked)

    def _note_stall(self, stall: Stall) -> None:
        self.report.notes.append(f"a thread still hangs in {stall.death.hook}; it was left behind")

    # --- the commit ---

    def _commit_ready(self) -> Iterator[list[Any]]:
        for number, outcome in self._window.ready():
            self._control.wait_while_paused()
            if self._control.aborted:
                return
            result = outcome if isinstance(outcome, Result) else self._result(outcome)
            if self._take(number, result):
                piece = self._pieces.pop(number)
                self._deaths.suspects.pop(number, None)
                self.report.bytes_read += piece.size
                self._feed.learn(result, piece)
            if self._commit.entries:
                entries, self._commit.entries = self._commit.entries, []
                yield entries
            if self._plan.limits.reached(self.report):
                return
        self._keep()
        self.news.progress()

    def _result(self, future: Future[Any]) -> Result:
        try:
            return self._dispatch.result(future)
        except PipeError:
            raise
        except BrokenExecutor as error:
            raise BackendLost(
                f"The executor '{self._plan.executor.name}' broke: {error} Did a worker die, or was it killed? The "
                f"targets were left as they were; run again, on 'sync' to see where it happens."
            ) from error
        except BaseException as error:
            if not isinstance(error, Exception) and error is not future.exception():
                raise  # the user's own Ctrl-C, here and now
            raise RunError(
                f"A worker of '{self._plan.executor.name}' failed: {type(error).__name__}: {error}", report=self.report
            ) from error

    def _take(self, number: int, result: Result) -> bool:
        """Commit *result*; False when its piece has to be processed again first."""
        try:
            self._commit.take(result, self._pieces[number].position)
        except Again as again:
            self._window.reopen(number)
            known = self._again(number, again)
            return known is not None and self._take(number, known)
        return True

    def _again(self, number: int, again: Again) -> Result | None:
        """Process a piece again, in part. Its result where all of that is known already."""
        piece, suspect = self._pieces[number], self._deaths.suspects.get(number)
        if again.begin is not None:
            self._deaths.suspects.pop(number, None)
            piece = Piece(piece.readable.starting_at(again.begin), piece.size)  # type: ignore[attr-defined]  # only splits have extents
        elif suspect is not None and again.most is not None:
            suspect.shorten(again.most)
            return self._go_on(number, suspect)
        self._hand_over(number, piece, again.most)
        return None

    def _keep(self) -> None:
        """Make durable what was committed, where it is time for that."""
        if self._checkpoints is not None:
            self._checkpoints.keep_if_due(self.report, self._commit)
        else:
            self._commit_append()

    def _commit_append(self) -> None:
        now = time.monotonic()
        if self._plan.mode == "append" and now - self._committed >= APPEND_SECONDS:
            self._committed = now
            for sink in self._commit.sinks():
                sink.commit()

    def _check_conservation(self) -> None:
        report = self.report
        if not report.conserved:
            raise ConservationError(
                f"Records were lost or doubled: read {report.read} + expanded {report.expanded} is not valid "
                f"{report.valid} + failed {report.failed} + dropped {report.dropped}. This is a bug in pipe or in a "
                f"plugin; the targets were left as they were. Please report it with this text.",
                report=report,
            )

    def finish(self, error: BaseException | None) -> None:
        """Make the sinks durable or leave them as they were, and give everything back. Never called twice."""
        self._ending.end(error)


def _sooner(one: float | None, other: float | None) -> float | None:
    """The shorter of two waits, where None is for ever."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
