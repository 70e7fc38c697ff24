"""Ctrl-C and SIGTERM while a project runs: the run ends in order if it can, by force if it must, and can be resumed."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pipe_core.cli import exits
from pipe_core.kernel import ctrl_c
from pipe_core.runtime.gate import Gate

if TYPE_CHECKING:
    from pipe_core.project.runs.runner import Runner

GRACE: Final = 0.8
"""Seconds in which nodes that run may come to their end by themselves."""
LAST: Final = 0.6
"""Seconds for what is left to do when workers were killed."""

_CODES: Final = {signal.SIGINT: exits.INTERRUPTED, signal.SIGTERM: exits.TERMINATED}


class Stopping:
    """Ends the run of *runner* when a signal comes while the block lasts.

    The first signal raises `KeyboardInterrupt` in the main thread: nothing begins any more. What still runs after
    `GRACE`, or at a second signal, is killed, where it runs in processes. What cannot be killed, a thread, ends with
    this process. Nodes that were saving are brought to their end by whoever resumes the run.

    Args:
        runner: Runs.
        hint: How to go on, for the id of a run.

    Attributes:
        received: The signal; None as long as there is none.
    """

    def __init__(self, runner: Runner, hint: str) -> None:
        self.received: int | None = None
        self._runner = runner
        self._hint = hint
        self._before: dict[int, Any] = {}
        self._now = Gate()
        self._is_over = Gate()

    def __enter__(self) -> Self:
        """Install the handlers, where that is possible."""
        if threading.current_thread() is threading.main_thread():
            for number in _CODES:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Put back what was there."""
        self._is_over.open()
        self._now.open()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        ctrl_c.forget(self)

    def tell(self) -> int:
        """Say that the run was stopped and how it goes on, and give the exit code."""
        word = "Terminated." if self.received == signal.SIGTERM else "Stopped."
        further = self._hint.format(run=self._runner.run_id) if self._runner.run_id else "Nothing was kept of the run."
        print(f"{word} {further}", file=sys.stderr, flush=True)
        return _CODES.get(signal.Signals(self.received or signal.SIGINT), exits.INTERRUPTED)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self._now.open()
            return
        self.received = number
        ctrl_c.note(self)
        _thread.start_new_thread(self._by_force, ())  # `threading` has locks, which the main thread may have right now
        raise KeyboardInterrupt

    def _by_force(self) -> None:
        self._now.wait(GRACE)
        if self._is_over:
            return
        with suppress(Exception):  # this process ends in any case
            self._runner.terminate()
        if self._is_over.wait(LAST):
            return
        with suppress(Exception):
            self._write_end()
        with suppress(Exception):
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h")  # the cursor, which a bar hides
        code = self.tell()
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)

    def _write_end(self) -> None:
        """Write down that the run was stopped: who would do that waits for a thread."""
        from pipe_core.runs.journal import Journal

        if self._runner.run_id:
            with Journal(self._runner.runs / self._runner.run_id / "journal.jsonl") as journal:
                journal.write("end", status="cancelled")
