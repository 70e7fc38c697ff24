"""`Stream`: one thread that goes through a source in micro-batches, until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.scope import CancelToken
from pipe_core.kernel.errors import PositionLostError, RunCancelledError
from pipe_core.project.streaming.stream_folder import MicroBatch, StreamFolder

if TYPE_CHECKING:
    from pipe_core.kernel.contracts import Followed
    from pipe_core.project.runs.folder import ProjectRunFolder

logger: Final = logging.getLogger("pipe_core.project")
news: Final = logging.getLogger("pipe_core.project.streaming")
"""What people should see also where they do not look at the log."""

PATIENCE: Final = 1.0
"""Seconds that a micro-batch which runs has to end when the stream is stopped. Then it is cancelled."""

Follow = Callable[[Mapping[str, Any] | None, int, Mapping[str, Any] | None], "Followed"]
Process = Callable[["Followed", "ProjectRunFolder", CancelToken], None]


class Stream:
    """A stream that goes on by itself, from where it was when it was last stopped, or killed.

    Args:
        name: The node that takes its records.
        path: Where it keeps how far it has come.
        follow: Reads what has come.
        process: Does with it what the nodes do, and stores what they store.
        trigger: Seconds between two looks at the source; None: it ends when nothing is left.
        batch_size: How many records go together.
        may_come: Whether a source that is not there yet can be waited for. Default: it cannot.
        told: Is called after each micro-batch, with its number and how many records it had.

    Attributes:
        batches: How many micro-batches it has done since it was started.
        records: How many records were in them.
        error: Why it ended, where that was not as it should.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        follow: Follow,
        process: Process,
        *,
        trigger: float | None,
        batch_size: int,
        may_come: Callable[[], bool] = lambda: False,
        told: Callable[[MicroBatch, int, float], None] = lambda batch, records, seconds: None,
    ) -> None:
        self.name = name
        self.batches = self.records = 0
        self.error: BaseException | None = None
        self._path = path
        self._follow = follow
        self._process = process
        self._trigger = trigger
        self._batch_size = batch_size
        self._may_come = may_come
        self._told = told
        self._waits = False
        self._stopping = threading.Event()
        self._token = CancelToken()
        self._thread = threading.Thread(target=self._work, name=f"pipe-stream-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def stop(self, timeout: float | None = 2.0) -> bool:
        """Stop behind the micro-batch that runs, or in it where that takes long: it runs again at the next start.

        Args:
            timeout: How many seconds to wait for that; None: until it has stopped.

        Returns:
            Whether it has stopped.
        """
        began = monotonic()
        self._stopping.set()
        if not self.wait(PATIENCE if timeout is None else min(PATIENCE, timeout)):
            self._token.cancel()
            self.wait(None if timeout is None else max(0.0, timeout - (monotonic() - began)))
        return not self.is_running

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end. False where it goes on after *timeout* seconds."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.is_running

    def __repr__(self) -> str:
        state = "running" if self.is_running else "ended" if self.error is None else "failed"
        return f"<Stream {self.name}: {state}, {self.batches} micro-batches, {self.records} records>"

    # --- in its thread ---

    def _work(self) -> None:
        try:
            folder = StreamFolder(self._path)
            try:
                while not self._stopping.is_set() and self._turn(folder):
                    pass
            finally:
                folder.close()
        except RunCancelledError:
            logger.info("stream '%s' was stopped in a micro-batch, which will run again", self.name)
        except BaseException as error:
            self.error = error

    def _turn(self, folder: StreamFolder) -> bool:
        """Do the next micro-batch, or wait for one. False at the end."""
        began = monotonic()
        batch = folder.pending
        if batch is not None:  # of a process that was killed
            found = self._followed(batch.since, batch.until)
        else:
            try:
                found = self._followed(folder.position, None)
            except FileNotFoundError as error:
                if self._trigger is None or folder.position is not None or not self._may_come():
                    raise
                self._tell_waiting(error)
                return self._rest(self._trigger)
            if not found.records:
                if found.position != folder.position:  # what came is nothing to work on, and need not be read again
                    folder.commit(folder.begin(found.position))
                return self._trigger is not None and self._rest(self._trigger)
            batch = folder.begin(found.position)
        self._process(found, folder.receipts(batch), self._token)
        folder.commit(batch)
        self.batches += 1
        self.records += len(found.records)
        seconds = monotonic() - began
        self._told(batch, len(found.records), seconds)
        if self._trigger is not None and len(found.records) < self._batch_size:
            self._rest(self._trigger - seconds)
        return True

    def _followed(self, since: Mapping[str, Any] | None, until: Mapping[str, Any] | None) -> Followed:
        try:
            return self._follow(since, self._batch_size, until)
        except PositionLostError as error:
            here = Path.cwd()
            place = self._path.relative_to(here) if self._path.is_relative_to(here) else self._path
            text = (
                f"{error} To let it begin again, remove the folder '{place}': then everything in the source goes "
                f"through once more, and what was stored before stays."
            )
            error.args = (text, *error.args[1:])
            raise

    def _tell_waiting(self, error: FileNotFoundError) -> None:
        """Tell once that there is nothing to follow yet."""
        if not self._waits:
            self._waits = True
            news.warning("stream '%s' waits for its source, and goes on when it is there. %s", self.name, error)

    def _rest(self, seconds: float) -> bool:
        self._stopping.wait(max(0.0, seconds))
        return True
