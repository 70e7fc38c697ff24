"""Whose the folder of a run is: one process drives it, and nobody else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipe_core.runs.errors import RunLockedError

if sys.platform != "win32":
    import fcntl


class Lease:
    """The lock on the folder of a run, as long as it is not released and its process lives."""

    def __init__(self, folder: Path, what: str = "run") -> None:
        self._number = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._number, 200, 0).decode(errors="replace") or "another process"
            os.close(self._number)
            raise RunLockedError(
                f"The {what} {folder.name} goes on in {owner}. Wait for its end, or stop it, and resume it then."
            ) from None
        try:
            os.ftruncate(self._number, 0)
            os.pwrite(self._number, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
        except BaseException:  # no room on the disk
            self.release()
            raise

    def release(self) -> None:
        """Let others have it."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)
