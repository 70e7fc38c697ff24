"""Which processes a program has started, and which of them outlive it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Final

import psutil

TAG: Final = "PIPE_TEST_TAG"
"""An environment variable: all processes that a program starts have its value."""


class Family:
    """The processes of one program: those of its session, and those that carry its tag.

    Args:
        pid: The program's process, which is the leader of a session.
        tag: Its `TAG`.
    """

    def __init__(self, pid: int, tag: str) -> None:
        self._pid = pid
        self._tag = tag

    def members(self) -> list[int]:
        """Those that live, without the program itself."""
        return [pid for pid in self._living() if pid != self._pid]

    def orphans(self, seconds: float) -> list[int]:
        """What still lives of them after so many seconds; as soon as there is none, nothing."""
        deadline = time.monotonic() + seconds
        while (left := self.members()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def kill(self) -> None:
        """End all of them, and the program."""
        for pid in self._living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _living(self) -> Iterator[int]:
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and self._belongs(process):
                    yield process.pid
            except (psutil.Error, OSError):  # it has ended, or is nobody's business
                continue

    def _belongs(self, process: psutil.Process) -> bool:
        return os.getsid(process.pid) == self._pid or process.environ().get(TAG) == self._tag
