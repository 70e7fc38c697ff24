"""One run of a pipe, from the plan to the final status."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from pipe_core.kernel.errors import RunCancelledError
from pipe_core.records.control import Control
from pipe_core.records.plan import Wishes
from pipe_core.records.planning import make_plan
from pipe_core.records.report import FlowReport, FlowStatus
from pipe_core.records.resuming.ending import end_kept, make_visible
from pipe_core.records.run import Run
from pipe_core.runtime.interrupt import interruptible
from pipe_core.runtime.run_loop import RunLoop

if TYPE_CHECKING:
    import asyncio

    from pipe_core.records.resuming.kept_run import KeptRun

T = TypeVar("T")

logger = logging.getLogger("pipe_core.records")


class Attempt:
    """One run of a pipe.

    Args:
        wishes: What to do.
        name: The run's id.
        loop: The running event loop, where there is one, for everything of the run that is async.
        streams: Whether somebody wants the entries.
        blocks: Whether the calling thread waits for the run.
        kept: Where it is kept how far the run comes.
        force: Go on also where what is asked for is not what it was.
    """

    def __init__(
        self,
        wishes: Wishes,
        name: str,
        loop: asyncio.AbstractEventLoop | None,
        *,
        streams: bool = False,
        blocks: bool = False,
        kept: KeptRun | None = None,
        force: bool = False,
    ) -> None:
        self.control = Control()
        self.report = FlowReport(name, control=self.control)
        self._wishes = wishes
        self._loop = RunLoop(loop, stopping=self.control.stopping, blocks=blocks)
        self._streams = streams
        self._kept = kept
        self._force = force
        self._run: Run | None = None

    def prepare(self) -> None:
        """Find whatever is wrong before anything runs."""
        self.report._start()
        begun = self._kept.begun if self._kept is not None else None
        try:
            if begun is not None:
                self.report._restore(begun.report)
            if self._kept is not None and begun is not None and begun.final:
                make_visible(self._wishes, self._kept, begun, self.report, self._loop)
                return
            plan = make_plan(
                self._wishes,
                self.report,
                self.control,
                self._loop,
                streams=self._streams,
                kept=self._kept,
                force=self._force,
            )
            if plan is not None:
                self._run = Run(plan, self.report, self.control)
            else:
                self.report.notes.append("the target exists, and mode='ignore' says to leave it")
        except BaseException as error:
            self._end(error)
            raise

    def prepared_entries(self) -> Generator[list[Any], None, None]:
        """As `entries`, behind `prepare`, which is a part of the first step."""
        self.prepare()
        yield from self.entries()

    def entries(self) -> Generator[list[Any], None, None]:
        """Drive the run, giving groups of entries, and end it whatever happens."""
        error: BaseException | None = None
        try:
            if self._run is not None:
                yield from self._run.drive()
        except GeneratorExit:
            # The consumer left the loop: it knows, so nothing is raised.
            self._end(self._finish(RunCancelledError("The run was left before its end.", report=self.report)))
            return
        except BaseException as problem:  # raised again below, when everything has been given back
            error = self._why(problem)
        error = self._finish(error)
        self._end(error)
        if error is not None:
            raise error

    def _why(self, problem: BaseException) -> BaseException:
        """What ended the run: of an aborted one, the abort, whatever it looks like from inside."""
        if not self.control.aborted or isinstance(problem, RunCancelledError | KeyboardInterrupt):
            return problem
        return RunCancelledError("The run was aborted.", report=self.report)

    def _finish(self, error: BaseException | None) -> BaseException | None:
        if self._run is None:
            return error
        try:
            self._run.finish(error)
        except BaseException as problem:  # a sink that fails at its commit fails the run
            if error is None:
                return problem
            if str(problem) != str(error):  # a lost cluster says the same to all who ask it
                error.add_note(f"and then, while giving up: {type(problem).__name__}: {problem}")
        return error

    def _end(self, error: BaseException | None) -> None:
        try:
            self._loop.close()
        finally:  # whatever interrupts that, the report says how the run ended
            self._settle(error)

    def _settle(self, error: BaseException | None) -> None:
        cancelled = isinstance(error, RunCancelledError | KeyboardInterrupt)
        status = FlowStatus.CANCELLED if cancelled else FlowStatus.FAILED if error else FlowStatus.COMPLETED
        if self.report.failed and self.report.errors is None and error is None:
            logger.warning(
                "run %s: %d of %d records failed and no error sink was given: the report has the first %d of them, "
                "errors='rejected.jsonl' would keep all",
                self.report.run,
                self.report.failed,
                self.report.read,
                len(self.report.first_failures),
            )
        self.report._settle(status, error)
        if self._kept is not None:
            end_kept(self._kept, self.report, error)
        if self._run is not None:
            self._run.news.finished()
        self.report._end()

    def drain(self) -> None:
        """Drive the run to its end."""
        for _ in self.entries():
            pass

    def drain_quietly(self) -> None:
        """As `drain`, in a thread: whatever happens is in the report."""
        with contextlib.suppress(BaseException):
            self.drain()

    def prepare_and_drain(self) -> None:
        """Both, in a thread."""
        self.prepare()
        self.drain()

    def interruptible(self, step: Callable[[], T]) -> T:
        """Take a step of a run between which user code has its turn, where Ctrl-C is its own."""
        with interruptible(self.control.abort):
            return step()
