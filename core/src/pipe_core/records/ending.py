"""The end of a run: targets are made durable or left as they were, and everything is given back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Final

from pipe_core.kernel.errors import RunCancelledError, SourceError, TooManyErrorsError
from pipe_core.records.commit import Commit
from pipe_core.records.control import Control
from pipe_core.records.dispatch import Dispatch
from pipe_core.records.feed import Feed
from pipe_core.records.flight import Flight
from pipe_core.records.plan import Plan
from pipe_core.records.report import FlowReport
from pipe_core.runtime.failpoints import failpoint

GRACE: Final = 1.25
"""Seconds that workers have to end what they do when a run ends before its time. More than a Ctrl-C allows: when that
is over, it is the wait for them that is interrupted, and nothing behind it."""


class Ending:
    """Ends one run, once, whatever state it is in.

    Args:
        plan: What the run has taken.
        report: Where notes go.
        control: Tells workers of this process to stop.
        feed: Where pieces come from.
        dispatch: Where they go.
        flight: Those that have not come back.
        commit: Knows the sinks.
        release: Lets slots hold no more chunks ready.
    """

    def __init__(
        self,
        plan: Plan,
        report: FlowReport,
        *,
        control: Control,
        feed: Feed,
        dispatch: Dispatch,
        flight: Flight,
        commit: Commit,
        release: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._report = report
        self._control = control
        self._feed = feed
        self._dispatch = dispatch
        self._flight = flight
        self._commit = commit
        self._release = release
        self._blocked: str | None = None

    def end(self, error: BaseException | None) -> None:
        """Commit the sinks, or leave them as they were where there is an *error*, and give everything back."""
        second: KeyboardInterrupt | None = None
        try:
            orderly = self._drained(error)
        except KeyboardInterrupt as problem:  # another Ctrl-C, or the time for the first one is over: no more waiting
            orderly, second = False, problem
        if len(self._flight):
            self._give_up_calls()
        with contextlib.ExitStack() as ending:  # whatever becomes of one step, the others are taken
            ending.callback(self._close_source)
            ending.push(partial(self._end_sinks, error or second))
            ending.callback(self._describe_transport)
            ending.push(partial(self._end_executor, orderly))
            if self._plan.program.loop is not None:
                self._plan.program.loop.cancel()  # an asynchronous source that still waits for its next record
            self._blocked = self._feed.close() or ""
            self._report.notes += self._dispatch.close(orderly=orderly)
            self._release()
        if error is None and second is not None:
            raise second

    # --- what still runs ---

    def _drained(self, error: BaseException | None) -> bool:
        """Cancel what has not started, and wait for the rest: nothing runs after the run. False for what still does."""
        if error is None:
            return self._flight.drain(math.inf)
        self._control.end()
        if not self._plan.owns_executor:
            self._dispatch.stop()
        return self._flight.drain(GRACE)

    def _give_up_calls(self) -> None:
        """What still runs would be in the way of whoever uses the executor next."""
        left = self._flight.futures()
        if not self._plan.owns_executor:
            error = RunCancelledError("The run has ended.", report=self._report)
            left = [future for future in left if not self._plan.executor.give_up(future, error)]
        if any(not future.done() for future in left):
            self._report.notes.append(f"{len(left)} chunks were still being processed when the run ended")

    # --- what was taken ---

    def _close_source(self) -> None:
        if self._blocked == "":
            self._plan.source.close()
        else:
            name = self._blocked or self._plan.source.name
            self._report.notes.append(f"the source {name} was still blocked in a read; its thread was left behind")

    def _end_executor(self, orderly: bool, kind: object, *_: object) -> None:
        if not self._plan.owns_executor:
            return
        try:
            if orderly and kind is None:
                self._plan.executor.shutdown(cancel_futures=True)
            else:
                self._plan.executor.terminate()
        except KeyboardInterrupt:  # in the middle of it
            self._plan.executor.terminate()
            raise

    def _describe_transport(self) -> None:
        carrier = self._dispatch.carrier
        if carrier is not None:
            self._report.transport = {
                "bytes": carrier.raw_bytes,
                "bytes_sent": carrier.frame_bytes,
                "compress_seconds": carrier.compress_seconds,
            }

    # --- the sinks ---

    def _end_sinks(self, error: BaseException | None, kind: object, problem: BaseException | None, *_: object) -> None:
        error = error or problem
        try:
            if error is None:
                self._commit_sinks()
            else:
                self._leave_targets(error)
        finally:
            for sink in self._commit.sinks():
                sink.close()

    def _commit_sinks(self) -> None:
        kept = self._plan.checkpoints
        if kept is not None:
            kept.keep(self._report, self._commit, final=True)
        for sink, word in ((self._plan.errors, "errors"), (self._plan.sink, "sink")):  # the reasons first
            if sink is not None and not (kept is not None and kept.commits(sink)):
                failpoint(f"{word}.commit.before")
                sink.commit()
                failpoint(f"{word}.commit.after")

    def _leave_targets(self, error: BaseException) -> None:
        """Leave the targets as they were.

        What a broken source gave before it broke is kept beside them; the reasons of a run that was stopped for its
        errors are kept for good. What a run can go on with is kept where it is hidden.
        """
        kept = self._plan.checkpoints
        if kept is not None and kept.leave(self._report, self._commit, error):
            done = f"{self._report.resumable_at:,} records are done and kept"
            error.add_note(f"{done}: Pipe.resume({self._report.run!r}) goes on behind them.")
            return
        stopped = isinstance(error, TooManyErrorsError)
        for sink in self._commit.sinks():
            if stopped and sink is self._plan.errors:
                sink.commit()
            elif place := sink.abort(keep=isinstance(error, SourceError)):
                self._report.notes.append(f"what was read before the error is in {place}")
