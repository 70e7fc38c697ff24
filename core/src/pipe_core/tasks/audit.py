"""Every transition kept for good: a thread carries them from the log in memory to a sink."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from typing import Any, Final

from pipe_core.kernel.errors import OptionsError
from pipe_core.runtime.history import History, Move, TransitionSink, as_transition
from pipe_core.tasks.errors import HistoryError

logger: Final = logging.getLogger("pipe_core.tasks")

Log = int | str | os.PathLike[str] | TransitionSink
"""What ``history=`` takes."""

_BATCH: Final = 1_000
"""Transitions that a sink gets at once, at most."""
_GATHER: Final = 0.05
"""Seconds between two visits to the sink, in which transitions gather."""


def remembered(history: Log) -> History:
    """The log of an executor.

    Args:
        history: How many transitions are remembered; or where they are all kept besides, as a path or as a sink.

    Raises:
        OptionsError: It is none of these.
        HistoryError: The file cannot be written, or holds something else.
    """
    if isinstance(history, int) and not isinstance(history, bool) and history >= 0:
        return History(history)
    if isinstance(history, str | os.PathLike):
        from pipe_core.tasks.log_files import open_log  # and with it SQLite

        return _kept(open_log(history), os.fspath(history))
    if callable(getattr(history, "write", None)) and callable(getattr(history, "close", None)):
        return _kept(history, type(history).__name__)  # type: ignore[arg-type]  # it has what a sink has
    raise OptionsError(
        f"history wants a number of transitions to remember, a path that ends in .jsonl, .sqlite or .db, or an object "
        f"with write(transitions) and close(), not {history!r}."
    )


def _kept(sink: TransitionSink, where: str) -> History:
    writer = Writer(sink, where)
    log = History(keeper=writer)
    weakref.finalize(log, writer.stop).atexit = False  # an executor that nobody shut down; at exit it is closed
    return log


class Writer:
    """Carries moves to a sink, in a thread of its own. Who brings a move never waits.

    When the sink fails, nothing is kept from then on: a log with a hole is worth less than one that ends.

    Args:
        sink: Where to.
        where: What it is, for messages.

    Attributes:
        kept: How many transitions the sink has.
        error: Why it gets no more.
    """

    def __init__(self, sink: TransitionSink, where: str) -> None:
        self.kept = 0
        self.error: HistoryError | None = None
        self._sink, self._where = sink, where
        self._queue: deque[Move] = deque()
        self._asleep = False
        self._over = False
        self._flushes: list[threading.Event] = []
        self._news, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="pipe-history", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # before the executor registers its own end, and so called behind it

    def keep(self, move: Move) -> None:
        """Keep *move*, soon. Its owner holds a lock."""
        self._queue.append(move)
        if self._asleep:
            self._asleep = False
            if self._over:
                self._fail(HistoryError(f"{self._where} was closed, and tasks still move.", kept=self.kept))
            self._news.set()

    def flush(self) -> None:
        """Return when everything that has come until now is with the sink, or nothing is kept any more."""
        flushed = threading.Event()
        self._flushes.append(flushed)
        self._news.set()
        while not flushed.wait(_GATHER) and self._thread.is_alive():
            pass

    def stop(self) -> None:
        """Keep what has come, and close the sink, without waiting for that."""
        self._stop.set()
        self._news.set()

    def close(self) -> None:
        """As `stop`, and wait for it."""
        self.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        try:
            self._carry()
        except BaseException as error:  # whatever a sink raises is no task's failure
            cause = f"{type(error).__name__}: {error}"
            failed = HistoryError(
                f"Transitions are no longer kept in {self._where}, after {self.kept:,} of them: {cause}. The tasks go "
                f"on, and the last transitions are remembered in memory.",
                kept=self.kept,
            )
            failed.__cause__ = error
            self._fail(failed)
        atexit.unregister(self.close)

    def _carry(self) -> None:
        try:
            while not self._stop.wait(_GATHER if self.kept else 0):
                self._asleep = True  # before the look at the queue: who comes behind it wakes us
                if not self._queue:
                    self._news.wait()
                self._asleep = False
                self._news.clear()
                self._write()
            self._write()
            self._over = self._asleep = True
            self._write()  # what has come just before
        finally:
            self._sink.close()

    def _write(self) -> None:
        flushes, self._flushes = self._flushes, []
        queue = self._queue
        while queue:
            batch = [as_transition(queue.popleft()) for _ in range(min(len(queue), _BATCH))]
            self._sink.write(batch)
            self.kept += len(batch)
        for flushed in flushes:
            flushed.set()

    def _fail(self, error: HistoryError) -> None:
        self._queue = deque(maxlen=0)  # nothing gathers for nobody
        self.error = error
        logger.warning("%s", error)


def error_of(log: History) -> HistoryError | None:
    """Why the transitions of *log* are no longer kept; None while they are, and where nobody asked for that."""
    error: Any = None if log.keeper is None else log.keeper.error
    return error if isinstance(error, HistoryError) else None
