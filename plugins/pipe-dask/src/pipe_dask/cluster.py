"""A cluster of our own, as the driver sees it: a process that holds it, and a board of what its workers run."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Final

from pipe_core import BackendLost
from pipe_core.runtime.beat import AT, HOOK, Board
from pipe_core.runtime.spool import Spool
from pipe_dask.worker import CALL, ROWS

START: Final = 60.0
"""Seconds that a cluster may take to come up, and that it may be without any worker: a new one takes as long."""
_PATIENCE: Final = 4.0
"""Seconds that it has to end in order."""
_SOON: Final = 0.5
"""Seconds within which a process that has lost its connections has ended, if it has."""
_QUIET: Final = {"distributed": logging.CRITICAL + 1, "distributed.nanny.memory": "warning"}
"""What Dask logs there. Deaths are told to those who wait; that a worker needs too much memory is the reason of one."""
_CODE: Final = (
    "import json, sys; settings = json.loads(sys.argv[1]); sys.path[:] = settings['path']; "
    "from pipe_dask.host import main; main(settings)"
)


class OwnCluster:
    """Workers of one thread each on this machine, on the loopback interface.

    Args:
        workers: How many.
        resources: What each of them has, for calls that need it.
    """

    def __init__(self, workers: int, resources: Mapping[str, float]) -> None:
        self._workers = workers
        self._spool = Spool()
        self._folder = self._spool.folder
        self._board = Board(self._folder / "board", ROWS * workers)
        settings = {
            "driver": os.getpid(),
            "path": sys.path,
            "folder": str(self._folder),
            "board": str(self._board.path),
            "workers": workers,
            "resources": dict(resources),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "DASK_LOGGING": repr(_QUIET)},
        )

    def address(self) -> str:
        """Where its scheduler is. Waits until all workers are there.

        Raises:
            BackendLost: It did not come up; says why.
        """
        deadline = time.monotonic() + START
        while not (self._folder / "address").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BackendLost(f"The Dask cluster of this machine did not come up. {self._reason()}")
            time.sleep(0.01)
        return (self._folder / "address").read_text("utf-8")

    def _reason(self) -> str:
        failed = self._folder / "failed"
        if failed.exists():
            return f"The process that was to hold it says:\n{failed.read_text('utf-8')}"
        if self._process.poll() is None:
            return f"Its {self._workers} workers were not there after {START:g} seconds."
        return f"The process that was to hold it ended with exit code {self._process.poll()}."

    def further(self) -> str:
        """What is known of it once it is lost, and what to do."""
        try:
            code: int | None = self._process.wait(_SOON)
        except subprocess.TimeoutExpired:
            code = None
        known = f"The process that holds it ({self._process.pid}) is there and hangs."
        if code is not None:
            perhaps = ", perhaps for want of memory (`dmesg` says so)" if code == -signal.SIGKILL else ""
            known = f"The process that held it ({self._process.pid}) ended with exit code {code}{perhaps}."
        return f"{known} A new executor starts another one: run again, with fewer workers where memory is short."

    def running(self) -> dict[int, tuple[int | None, int | None]]:
        """What its workers run, or ran when they died: what `WorkerKilled` has in ``at`` and ``hook``, by call."""
        rows = map(self._board.read, range(ROWS * self._workers))
        return {
            int(row[CALL]): (int(row[AT]) if row[AT] >= 0 else None, int(row[HOOK]) or None)
            for row in rows
            if row[CALL]
        }

    def stop(self, kill: bool = False) -> None:
        """End it, in order unless *kill*."""
        try:
            if kill:
                self.kill()
            else:
                self._process.terminate()
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._board.close()
        self._spool.close()

    def kill(self) -> None:
        """End all of its processes now."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it is gone
