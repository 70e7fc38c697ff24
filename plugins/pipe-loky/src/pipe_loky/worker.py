"""A worker process: reads frames, runs them one after the other, and sends the answers back in their order.

It ignores Ctrl-C, which is the driver's business, and ends at once when the driver is gone.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Final

from pipe_core.runtime import beat, wire

STOP: Final = b""
"""A frame that ends the worker in order."""
LOST: Final = 70
"""The exit code of a worker whose driver is gone."""

_PR_SET_PDEATHSIG: Final = 1


def work(connection: Connection, board: str, number: int, driver: int) -> None:
    """The main function of a worker.

    Args:
        connection: To the driver.
        board: The file in which this worker notes down how far it is.
        number: Its row there.
        driver: The driver's process id.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # blocked while it came up, and ignored from now on
    _die_with(driver)
    beat.attach(board, number)
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # Frames are taken off the connection while a call runs, so that the driver never waits for room in it.
    threading.Thread(target=_read, args=(connection, frames), name="pipe-frames", daemon=True).start()
    while (frame := frames.get()) != STOP:
        beat.begin()
        connection.send_bytes(wire.run_frame(frame))


def _read(connection: Connection, frames: queue.SimpleQueue[bytes]) -> None:
    try:
        while True:
            frame = connection.recv_bytes()
            frames.put(frame)
            if frame == STOP:
                return
    except (EOFError, OSError):
        os._exit(LOST)  # the driver is gone: nobody wants what is being worked on


def _die_with(driver: int) -> None:
    """Ask the system to end this process with its driver, also where user code never lets `_read` run."""
    if sys.platform == "linux":
        import ctypes

        # The signal comes when the thread that started this process ends; the driver keeps that thread for as long.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:
        os._exit(LOST)
