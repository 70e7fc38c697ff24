"""The process that holds a cluster of our own: the scheduler, and the nannies of the workers.

It is not the driver, for three reasons: the scheduler's work does not slow the driver down, Dask's settings stay those
of the user, and workers start without running the user's script again. It leads a group of processes of its own, which
ends with it, and it ends at once when the driver is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

_OFTEN: Final = 0.2
"""Seconds between two looks whether the driver is there."""
_QUIET: Final = "ignore::UserWarning:multiprocessing.resource_tracker"
"""Python's keeper of semaphores outlives this process when that is killed, and would say so in the user's terminal."""


def main(settings: dict[str, Any]) -> None:
    """Hold a cluster until SIGTERM comes.

    Args:
        settings: ``driver``, its process id; ``folder``, which is ours alone; ``board``, a file; ``workers``, how many;
            ``resources``, what each of them has.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business; workers inherit it
    sys.warnoptions.append(_QUIET)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.set())
    folder = Path(settings["folder"])
    threading.Thread(target=_end_with, args=(settings["driver"], folder), name="pipe-driver", daemon=True).start()
    try:
        cluster = _cluster(settings)
        _say(folder / "address", cluster.scheduler_address)
        stopping.wait()
        cluster.close(timeout=2)
    except BaseException:
        _say(folder / "failed", traceback.format_exc())
    finally:
        os.killpg(0, signal.SIGKILL)  # also what the calls have started and left behind


def _cluster(settings: dict[str, Any]) -> Any:
    import dask.config

    dask.config.set(
        {
            # A worker that needs too much memory is ended, and the call is told; none is put to sleep or fills a disk.
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            # Dask looks this long after each death, and ends a nanny for good whose worker has just died once more.
            "distributed.deploy.lost-worker-timeout": "365 days",
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
        }
    )
    from distributed import LocalCluster

    from pipe_dask.worker import Noting

    return LocalCluster(  # type: ignore[no-untyped-call]  # Dask is annotated in parts
        n_workers=settings["workers"],
        threads_per_worker=1,
        resources=settings["resources"],
        processes=True,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address=None,
        local_directory=settings["folder"],
        plugins=(Noting(settings["board"]),),
        scheduler_kwargs={"allowed_failures": 0, "dashboard_address": "127.0.0.1:0"},
        silence_logs=False,
    )


def _say(path: Path, text: str) -> None:
    staged = path.with_suffix(".part")
    staged.write_text(text, "utf-8")
    os.replace(staged, path)


def _end_with(driver: int, folder: Path) -> None:
    while os.getppid() == driver:
        time.sleep(_OFTEN)
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
