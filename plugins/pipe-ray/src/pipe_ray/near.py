"""A worker on this machine, as the host sees it: a socket that brings it frames, and its answers, one at a time.

Ray starts the process, gives it its CPU and says why it ended. But a call that takes Ray's way costs several times as
much, and an answer on that way is lost when the worker dies of its next call. What is in a socket stays there.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Final

_GRACE: Final = 1.0
"""Seconds that Ray has to say why a worker ended, once its process has."""
_PAUSE: Final = b""
"""What is no frame: the worker goes back to what Ray has for it."""


class Door:
    """Where one worker comes in. Only who may enter the folder finds it.

    Args:
        path: Of the socket.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._listener = Listener(self.path, family="AF_UNIX")

    def enter(self, answered: Callable[[bytes], None], ended: Callable[[], None]) -> Near:
        """The worker, which is at the door already."""
        near = Near(self._listener.accept(), answered, ended)
        self.close()
        return near

    def close(self) -> None:
        """Nobody comes any more."""
        self._listener.close()


class Near:
    """The socket to one worker.

    Args:
        connection: To it.
        answered: Called with each answer, in a thread that must not wait.
        ended: Called some time after its process has ended, where the system can be asked for that.
    """

    def __init__(self, connection: Connection, answered: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._connection, self._answered = connection, answered
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="pipe-ray-near", daemon=True)
        self._thread.start()
        if (process := _process_at(connection)) is not None:
            threading.Thread(target=_watch, args=(process, ended), name="pipe-ray-death", daemon=True).start()

    def give(self, frame: bytes) -> None:
        """Let the worker run *frame*, behind those that it was given. Does not wait for it."""
        self._frames.put(frame)

    def pause(self) -> None:
        """Let the worker do what Ray has for it, behind the frames that it was given."""
        self._frames.put(_PAUSE)

    def hang_up(self) -> None:
        """The worker is gone: whatever it has answered is told before this returns."""
        if self._connection.closed:
            return
        self._frames.put(None)
        with socket.fromfd(self._connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            try:
                ours.shutdown(socket.SHUT_RDWR)  # a child of the worker's may hold its end; what it sent is read still
            except OSError:
                pass  # nobody is there
        self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        try:
            while (frame := self._frames.get()) is not None:
                self._connection.send_bytes(frame)
                if frame != _PAUSE:
                    self._answered(self._connection.recv_bytes())
        except (EOFError, OSError):
            pass  # it is dead, and Ray says why


def _process_at(connection: Connection) -> int | None:
    """A descriptor of the process at the other end, which can be waited for; None where there is no such thing."""
    if sys.platform != "linux":
        return None
    with socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as ours:
        found = ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    try:
        return os.pidfd_open(struct.unpack("3i", found)[0])
    except OSError:  # an old kernel, or it has ended already
        return None


def _watch(process: int, ended: Callable[[], None]) -> None:
    """Wait for the process itself: where a child of it has its sockets, neither we nor Ray see that they are closed."""
    waiting = select.poll()
    waiting.register(process, select.POLLIN)
    waiting.poll()
    os.close(process)
    time.sleep(_GRACE)
    ended()
