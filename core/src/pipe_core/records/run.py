"""One run: pieces of the source go through the executor and come back, in order, to the commit."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from typing import Any, Final

from pipe_core.kernel.contracts import Mode, Sink, Source
from pipe_core.kernel.errors import (
    BackendLost,
    ConservationError,
    PipeError,
    RunCancelledError,
    RunError,
    WorkerKilled,
)
from pipe_core.kernel.events import Observers
from pipe_core.kernel.facts import RunInfo, TaskInfo
from pipe_core.records.commit import APPEND_SECONDS, Again, Commit
from pipe_core.records.control import Control
from pipe_core.records.dispatch import Dispatch
from pipe_core.records.ending import Ending
from pipe_core.records.feed import Feed, Piece
from pipe_core.records.flight import Flight, Try
from pipe_core.records.limits import Limits
from pipe_core.records.program import Program
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Phase, Result
from pipe_core.records.stalls import Stall, Stalls
from pipe_core.records.suspects import Death, Part, Suspect
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.exits import exit_text
from pipe_core.runtime.run_loop import LoopLeft
from pipe_core.runtime.window import Window

logger = logging.getLogger("pipe_core.records")

PREFETCH: Final = 2
"""Chunks that a busy worker of another process holds ready."""
_UNBEGUN: Final = 8
"""So many workers may die one after the other before they touch a record: then it is not for a record."""


@dataclass(slots=True)
class Plan:
    """Everything that a run needs, decided and checked before anything starts."""

    program: Program
    source: Source
    sink: Sink | None
    errors: Sink | None
    mode: Mode
    executor: Executor
    owns_executor: bool
    limits: Limits
    observers: Observers
    exact: int | None
    whole: bool
    ordered: bool
    max_inflight: int
    max_bytes_inflight: int
    unit: int
    least: int


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
        self._suspects: dict[int, Suspect] = {}
        self._unbegun = 0
        self._dispatch = _dispatch(plan)
        self._flight = Flight(self._dispatch, report.run)
        self._stalls = Stalls(plan.program, plan.executor)
        self._feed = Feed(
            plan.source,
            exact=plan.exact,
            whole=plan.whole,
            workers=plan.executor.slots,
            least=plan.least,
            wake=self._flight.wake,
        )
        # Splits are committed in order whatever was asked for: their borders are checked against their neighbours.
        ordered = plan.ordered or self._feed.splitting
        self._window = Window(plan.max_inflight, plan.max_bytes_inflight, ordered=ordered)
        self._committed = time.monotonic()
        self._told = 0.0
        self.info = self._described()
        tell = self._tell_failure if plan.observers.hears("pipe_entry_failed") else None
        self._commit = Commit(plan.program, plan.sink, plan.errors, report, plan.limits, tell)
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
        self._plan.observers.tell("pipe_run_started", run=self.info)
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
        self._tell_task("pipe_task_submitted", tried, "pending")
        self._flight.begin(tried, most)

    def _wait(self) -> None:
        due = self._feed.due() if self._window.fits(self._feed.next_size) else None
        if self._plan.mode == "append":
            due = _sooner(due, max(0.0, self._committed + APPEND_SECONDS - time.monotonic()))
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
        self._tell_task("pipe_task_finished", tried, "completed" if error is None else "failed")
        self._check_beginning(error)
        culprit = self._stalls.culprit(tried.piece.readable)
        if isinstance(error, LoopLeft) and culprit is not None:
            error = culprit
        if isinstance(error, WorkerKilled | Stall):
            self._suspect(tried, error)
        elif isinstance(error, LoopLeft):
            self._hand_over(tried.number, tried.piece, part=tried.part)
        elif tried.part is None:
            self._window.finish(tried.number, future)
        else:
            self._settle_part(tried, tried.part, future)

    # --- workers that died ---

    def _check_beginning(self, error: BaseException | None) -> None:
        """Give up where workers die at their beginning, rather than start them for ever.

        Raises:
            RunError: They do.
        """
        if not isinstance(error, WorkerKilled):
            self._unbegun = 0
        elif error.at is None and error.hook is None:
            self._unbegun += 1
        if self._unbegun >= _UNBEGUN:
            self.report.worker_deaths += 1
            raise RunError(
                f"{self._unbegun} workers of '{self._plan.executor.name}' ended one after the other before they came "
                f"to a record, the last one with {exit_text(getattr(error, 'exit_code', None))}. Perhaps the setup of "
                f"a hook ends the process, or a module that hooks or schema import. Run again on 'sync' to see where.",
                report=self.report,
            )

    def _suspect(self, tried: Try, error: WorkerKilled | Stall) -> None:
        """A worker died, or hangs: its records run again in smaller parts until the culprit is found."""
        self.report.worker_deaths += isinstance(error, WorkerKilled)
        suspect, part = self._suspects.get(tried.number), tried.part
        if suspect is None or part is None:
            piece = self._pieces[tried.number]
            suspect = self._suspects[tried.number] = Suspect(piece, self._plan.program, self._plan.unit)
            part = suspect.first
        death = error.death if isinstance(error, Stall) else self._death(error, tried)
        if suspect.killed(part, death):
            self.report.poisoned += 1
            self._plan.limits.check_poison(self.report)
        self._go_on(tried.number, suspect)

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

    def _settle_part(self, tried: Try, part: Part, future: Future[Any]) -> None:
        try:
            part.result = self._result(future)
        except PipeError as error:
            part.result = Result(fatal=error)
        self._go_on(tried.number, self._suspects[tried.number])

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

    def _commit_ready(self) -> Iterator[list[Any]]:
        for number, outcome in self._window.ready():
            self._control.wait_while_paused()
            if self._control.aborted:
                return
            result = outcome if isinstance(outcome, Result) else self._result(outcome)
            if self._take(number, result):
                piece = self._pieces.pop(number)
                self._suspects.pop(number, None)
                self.report.bytes_read += piece.size
                self._feed.learn(result, piece)
            if self._commit.entries:
                entries, self._commit.entries = self._commit.entries, []
                yield entries
            if self._plan.limits.reached(self.report):
                return
        self._commit_append()
        self._tell_progress()

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
        piece, suspect = self._pieces[number], self._suspects.get(number)
        if again.begin is not None:
            self._suspects.pop(number, None)
            piece = Piece(piece.readable.starting_at(again.begin), piece.size)  # type: ignore[attr-defined]  # only splits have extents
        elif suspect is not None and again.most is not None:
            suspect.shorten(again.most)
            return self._go_on(number, suspect)
        self._hand_over(number, piece, again.most)
        return None

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

    # --- what is told ---

    def _described(self) -> RunInfo:
        plan = self._plan
        total, unit = self._feed.total
        if plan.limits.records is not None:
            total, unit = plan.limits.records, "records"
        name = plan.source.name
        return RunInfo(self.report.run, "records", name, plan.executor.name, total, unit, self.report)

    def _tell_failure(self, failure: Any) -> None:
        self._plan.observers.tell("pipe_entry_failed", run=self.info, failure=failure)

    def _tell_task(self, event: str, tried: Try, status: str) -> None:
        if self._plan.observers.hears(event):
            attempt = 1 if tried.part is None else tried.part.deaths + 1
            task = TaskInfo(tried.number, "chunk", status, attempt, tried.began, time.perf_counter())
            self._plan.observers.tell(event, run=self.info, task=task)

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if now - self._told >= 0.1 and self._plan.observers.hears("pipe_run_progress"):
            self._told = now
            self._plan.observers.tell("pipe_run_progress", run=self.info)

    def tell_finished(self) -> None:
        """Tell the observers that the run has ended."""
        self._plan.observers.tell("pipe_run_finished", run=self.info, report=self.report)


def _dispatch(plan: Plan) -> Dispatch:
    """The dispatch of a run. Where the user's code keeps it from travelling, what the plan took is given back."""
    try:
        for hook in plan.program.hooks:
            if hook.kind == "run" and hasattr(hook.source, "begin"):
                hook.source.begin()  # before it travels, so that workers get it without an earlier run's memory
        return Dispatch(plan.executor, plan.program)
    except BaseException:
        with contextlib.ExitStack() as held:
            for sink in (plan.sink, plan.errors):
                if sink is not None:
                    held.callback(sink.close)
                    held.callback(sink.abort)
            held.callback(plan.source.close)
            if plan.owns_executor:
                held.callback(plan.executor.shutdown)
        raise


def _sooner(one: float | None, other: float | None) -> float | None:
    """The shorter of two waits, where None is for ever."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
