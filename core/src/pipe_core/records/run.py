"""One run: pieces of the source go through the executor and come back, in order, to the commit."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipe_core.kernel.contracts import Mode, Sink, Source
from pipe_core.kernel.errors import (
    BackendLost,
    ConservationError,
    PipeError,
    RunCancelledError,
    RunError,
    SourceError,
    TooManyErrorsError,
)
from pipe_core.kernel.events import Observers
from pipe_core.kernel.facts import RunInfo, TaskInfo
from pipe_core.records.commit import APPEND_SECONDS, Again, Commit
from pipe_core.records.control import Control
from pipe_core.records.feed import Feed, Piece
from pipe_core.records.limits import Limits
from pipe_core.records.program import Program
from pipe_core.records.report import FlowReport
from pipe_core.records.result import Result
from pipe_core.records.worker import process
from pipe_core.runtime.executor import Executor
from pipe_core.runtime.share import Shared
from pipe_core.runtime.window import Window

logger = logging.getLogger("pipe_core.records")


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


def _process(program: Shared[Program], readable: Any, position: int | None, most: int | None) -> Result:
    return process(readable, program.get(), position, most)


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
        self._events: queue.SimpleQueue[tuple[int, Future[Result]] | None] = queue.SimpleQueue()
        self._pieces: dict[int, Piece] = {}
        self._began: dict[int, float] = {}
        for hook in plan.program.hooks:
            if hook.kind == "run" and hasattr(hook.source, "begin"):
                hook.source.begin()  # before it travels, so that workers get it without an earlier run's memory
        self._program = plan.executor.share(plan.program)
        self._wake: Callable[[], None] = lambda: self._events.put(None)
        self._feed = Feed(plan.source, exact=plan.exact, whole=plan.whole, wake=self._wake)
        # Splits are committed in order whatever was asked for: their borders are checked against their neighbours.
        ordered = plan.ordered or self._feed.splitting
        self._window = Window(plan.max_inflight, plan.max_bytes_inflight, ordered=ordered)
        self._committed = time.monotonic()
        self._told = 0.0
        self.info = self._described()
        tell = self._tell_failure if plan.observers.hears("pipe_entry_failed") else None
        self._commit = Commit(plan.program, plan.sink, plan.errors, report, plan.limits, tell)
        control.on_abort(self._wake)
        if plan.program.loop is not None:
            control.on_abort(plan.program.loop.cancel)

    # --- the loop ---

    def drive(self) -> Iterator[list[Any]]:
        """Run to the end, yielding groups of entries where the run streams them.

        Raises:
            PipeError: The run failed or was aborted.
        """
        self._plan.observers.tell("pipe_run_started", run=self.info)
        while not self._over():
            if not self._submit():
                self._wait()
            self._collect()
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

    def _hand_over(self, number: int, piece: Piece, most: int | None = None) -> None:
        self._pieces[number] = piece
        self._began[number] = time.perf_counter()
        self._tell_task("pipe_task_submitted", number, "pending")
        future = self._plan.executor.submit(_process, self._program, piece.readable, piece.position, most)
        future.add_done_callback(partial(self._ended, number))

    def _ended(self, number: int, future: Future[Result]) -> None:
        self._events.put((number, future))  # nothing else: decisions are made by whoever drives

    def _wait(self) -> None:
        due = self._feed.due() if self._window.fits(self._feed.next_size) else None
        if self._plan.mode == "append":
            rest = max(0.0, self._committed + APPEND_SECONDS - time.monotonic())
            due = rest if due is None else min(due, rest)
        try:
            event = self._events.get(timeout=due)
        except queue.Empty:
            return
        self._note(event)

    def _collect(self) -> None:
        while not self._events.empty():
            self._note(self._events.get())

    def _note(self, event: tuple[int, Future[Result]] | None) -> None:
        if event is not None:
            number, future = event
            self._window.finish(number, future)

    def _commit_ready(self) -> Iterator[list[Any]]:
        for number, future in self._window.ready():
            self._control.wait_while_paused()
            if self._control.aborted:
                return
            result = self._result(future)
            self._tell_task("pipe_task_finished", number, "completed")
            if self._take(number, result):
                piece = self._pieces.pop(number)
                del self._began[number]
                self.report.bytes_read += piece.size
                self._feed.learn(result, piece)
            if self._commit.entries:
                entries, self._commit.entries = self._commit.entries, []
                yield entries
            if self._plan.limits.reached(self.report):
                return
        self._commit_append()
        self._tell_progress()

    def _result(self, future: Future[Result]) -> Result:
        try:
            return future.result()
        except PipeError:
            raise
        except BrokenExecutor as error:
            raise BackendLost(
                f"The executor '{self._plan.executor.name}' broke: {error} Did a worker die, or was it killed? The "
                f"targets were left as they were; run again, on 'sync' to see where it happens."
            ) from error
        except Exception as error:
            raise RunError(
                f"A worker of '{self._plan.executor.name}' failed: {type(error).__name__}: {error}", report=self.report
            ) from error

    def _take(self, number: int, result: Result) -> bool:
        """Commit *result*; False when its piece has to be processed again first."""
        try:
            self._commit.take(result, self._pieces[number].position)
        except Again as again:
            piece = self._pieces[number]
            if again.begin is not None:
                piece = Piece(piece.readable.starting_at(again.begin), piece.size)  # type: ignore[attr-defined]  # only splits have extents
            self._window.reopen(number)
            self._hand_over(number, piece, again.most)
            return False
        return True

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

    # --- the end ---

    def finish(self, error: BaseException | None) -> None:
        """Make the sinks durable or leave them as they were, and give everything back. Never called twice."""
        if self._plan.owns_executor:
            self._plan.executor.shutdown(wait=True, cancel_futures=True)
        self._drain()
        if self._plan.program.loop is not None:
            self._plan.program.loop.cancel()  # an asynchronous source that still waits for its next record
        blocked = self._feed.close()
        if blocked is not None:
            self.report.notes.append(f"the source {blocked} was still blocked in a read; its thread was left behind")
        for problem in self._plan.program.close():
            self.report.notes.append(f"{problem.__notes__[0]}: {type(problem).__name__}: {problem}")
        self._end_sinks(error)
        if not blocked:
            self._plan.source.close()

    def _drain(self) -> None:
        """Cancel what has not started and wait for the rest: nothing runs after the run."""
        while self._window.running and not self._plan.owns_executor:
            self._note(self._events.get())

    def _end_sinks(self, error: BaseException | None) -> None:
        try:
            if error is None:
                for sink in self._commit.sinks():
                    sink.commit()
            else:
                self._give_up(error)
        finally:
            for sink in self._commit.sinks():
                sink.close()

    def _give_up(self, error: BaseException) -> None:
        """Leave the targets as they were.

        What a broken source gave before it broke is kept beside them; the reasons of a run that was stopped for its
        errors are kept for good.
        """
        stopped = isinstance(error, TooManyErrorsError)
        for sink in self._commit.sinks():
            if stopped and sink is self._plan.errors:
                sink.commit()
            elif place := sink.abort(keep=isinstance(error, SourceError)):
                self.report.notes.append(f"what was read before the error is in {place}")

    # --- what is told ---

    def _described(self) -> RunInfo:
        plan = self._plan
        total, unit = plan.source.size, "bytes" if self._feed.splitting else "records"
        if plan.limits.records is not None:
            total, unit = plan.limits.records, "records"
        name = plan.source.name
        return RunInfo(self.report.run, "records", name, plan.executor.name, total, unit, self.report)

    def _tell_failure(self, failure: Any) -> None:
        self._plan.observers.tell("pipe_entry_failed", run=self.info, failure=failure)

    def _tell_task(self, event: str, number: int, status: str) -> None:
        if self._plan.observers.hears(event):
            task = TaskInfo(number, "chunk", status, 1, self._began[number], time.perf_counter())
            self._plan.observers.tell(event, run=self.info, task=task)

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if now - self._told >= 0.1 and self._plan.observers.hears("pipe_run_progress"):
            self._told = now
            self._plan.observers.tell("pipe_run_progress", run=self.info)

    def tell_finished(self) -> None:
        """Tell the observers that the run has ended."""
        self._plan.observers.tell("pipe_run_finished", run=self.info, report=self.report)
