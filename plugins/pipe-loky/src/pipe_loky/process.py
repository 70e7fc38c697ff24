"""One worker process, as its slot's thread sees it."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Final

from loky.backend import resource_tracker as loky_tracker
from loky.backend.context import get_context

from pipe_core import WorkerKilled
from pipe_core.runtime.beat import AT, HOOK, STARTED, Board
from pipe_core.runtime.exits import exit_text
from pipe_loky.worker import STOP, work

_PATIENCE: Final = 5.0
"""Seconds that a worker has to end in order."""

_starting = threading.Lock()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that starts in the block hears Ctrl-C, meant for all of a terminal, when it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    for tracker in (resource_tracker, loky_tracker):  # processes whose start unblocks signals, with some versions
        tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """A process that runs frames in their order.

    It must be made in a thread that lives as long as it: on Linux the process dies with that thread.

    Args:
        number: Its row on the board.
        board: Where it notes down how far it is.
    """

    def __init__(self, number: int, board: Board) -> None:
        self._number = number
        self._board = board
        self._answered = 0
        self._useful = self._killed = False
        board.clear(number)
        context = get_context("loky")
        self._connection, theirs = context.Pipe(duplex=True)
        arguments = (theirs, str(board.path), number, os.getpid())
        self._process = context.Process(target=work, args=arguments, name=f"pipe-loky-{number}")
        with _starting, _without_interrupts():
            self._process.start()
        theirs.close()
        self._watched, self._poll = self._watch()

    @property
    def useful(self) -> bool:
        """Whether it has begun a call, or was ended by us. One that has not died of what it was given."""
        return self._useful or self._killed

    def send(self, frame: bytes) -> None:
        """Give it a frame. Raises `OSError` when it is dead."""
        self._connection.send_bytes(frame)

    def receive(self) -> bytes:
        """Its next answer. Raises `EOFError` or `OSError` when it is dead."""
        if self._poll is not None and all(file == self._watched for file, _ in self._poll.poll()):
            raise EOFError  # it has ended and left nothing to read; a child of its own may still hold the connection
        answer: bytes = self._connection.recv_bytes()
        self._answered += 1
        return answer

    def stop(self) -> None:
        """Let it end in order; by force if it does not."""
        try:
            self._connection.send_bytes(STOP)
        except OSError:
            pass  # it is dead already
        self._process.join(_PATIENCE)
        self.kill()
        self.bury()

    def kill(self) -> None:
        """End it now."""
        self._killed = True
        if not self._process.is_alive():
            return
        if hasattr(signal, "SIGKILL") and self._process.pid is not None:  # loky's own kill() is for Windows only
            os.kill(self._process.pid, signal.SIGKILL)
        else:
            self._process.terminate()

    def bury(self) -> WorkerKilled | None:
        """Collect what is left of it. Returns what to tell the one whose call it ran, if it ran any."""
        self._process.join()
        self._connection.close()
        if self._watched is not None:
            os.close(self._watched)
            self._watched = self._poll = None
        notes = self._board.read(self._number)
        self._useful = notes[STARTED] > 0
        if notes[STARTED] <= self._answered:
            return None
        code = self._process.exitcode
        return WorkerKilled(
            f"The worker process {self._process.pid} ended while it ran the call: {exit_text(code)}.",
            exit_code=code,
            at=int(notes[AT]) if notes[AT] >= 0 else None,
            hook=int(notes[HOOK]) or None,
        )

    def _watch(self) -> tuple[int | None, select.poll | None]:
        if not hasattr(os, "pidfd_open") or self._process.pid is None:
            return None, None  # then the end of the connection tells
        try:
            watched = os.pidfd_open(self._process.pid)
        except OSError:
            return None, None
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        poll.register(watched, select.POLLIN)
        return watched, poll
