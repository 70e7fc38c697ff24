"""How the host ends: when its driver has, when the cluster is lost, and never without what it started."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import psutil

from pipe_ray.messages import FAILED, Line

_OFTEN: Final = 0.2
"""Seconds between two looks whether the driver, and what holds a cluster of our own, is there."""
_SILENCE: Final = 12.0
"""Seconds without a word from a cluster of somebody else's after which it counts as lost."""
_HEAD: Final = ("gcs_server", "raylet")
"""The processes that hold a cluster of our own."""
_ENDED: Final = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)

_alone: Final = threading.Lock()
"""Whoever ends this process first ends it."""


def watch_driver(driver: int, folder: str) -> None:
    """End when the driver has, whatever the other threads do.

    Args:
        driver: Its process id.
        folder: Which is ours alone.
    """
    while os.getppid() == driver:
        time.sleep(_OFTEN)
    end_without_driver(folder)


class HopelessError(Exception):
    """No worker comes up."""


class LostError(Exception):
    """The cluster is gone."""


class Holders:
    """The processes of this machine without which the cluster is lost.

    Args:
        processes: There may be none: what holds the cluster may be elsewhere.
    """

    def __init__(self, processes: Sequence[psutil.Process]) -> None:
        self._names = {process: process.name() for process in processes}

    @classmethod
    def of_own(cls) -> Holders:
        """Those of a cluster of our own, which is there."""
        return cls([child for child in psutil.Process().children() if child.name() in _HEAD])

    @classmethod
    def of_others(cls) -> Holders:
        """The raylet that connects this process to a cluster of somebody else's. Its head may be started again."""
        import ray

        its: Any = ray  # not annotated throughout
        node = getattr(its._private.worker, "_global_node", None)
        if node is None or its.util.client.ray.is_connected():
            return cls([])
        word = f"--raylet_socket_name={node.raylet_socket_name}"
        return cls([one for one in psutil.process_iter() if one.name() == "raylet" and word in _words(one)])

    def check(self) -> None:
        """Raises `LostError` when one of them has ended."""
        for process, name in self._names.items():
            if not _lives(process):
                raise LostError(f"{name} (process {process.pid}), which holds it on this machine, ended")


def watch_head(line: Line, holders: Holders) -> None:
    """End when a cluster of our own is lost. Ray itself takes up to a minute to notice."""
    _watch(line, holders, lambda: False)


def watch_cluster(line: Line, holders: Holders) -> None:
    """End when the cluster of somebody else's is lost. Ray itself may never say that it is gone."""
    heard = [time.monotonic()]
    gone = threading.Event()
    threading.Thread(target=_ask_cluster, args=(heard, gone), daemon=True).start()
    _watch(line, holders, lambda: gone.is_set() or time.monotonic() - heard[0] >= _SILENCE)


def _watch(line: Line, holders: Holders, is_lost: Callable[[], bool]) -> NoReturn:
    try:
        while not is_lost():
            holders.check()
            time.sleep(_OFTEN)
        raise LostError("its head, or the part of it on this machine, does not answer any more")
    except LostError as error:
        fail(line, error)
        end(1)


def _ask_cluster(heard: list[float], gone: threading.Event) -> None:
    """Note when the cluster answered last. Say when it says that this machine is no part of it any more."""
    import ray

    its: Any = ray  # not annotated throughout
    here = None if its.util.client.ray.is_connected() else its.get_runtime_context().get_node_id()
    while True:
        try:
            found = its.nodes()
        except Exception:  # whatever it is, it is no answer
            time.sleep(_OFTEN)
            continue
        heard[0] = time.monotonic()
        if here is not None and not any(node["Alive"] for node in found if node["NodeID"] == here):
            gone.set()
        time.sleep(1.0)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() not in _ENDED
    except psutil.NoSuchProcess:
        return False


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended, or nobody may look
        return []


def wait_for(pids: Sequence[int], seconds: float) -> None:
    """Wait until processes have ended: Ray says that a worker has left before it has run what it runs at its end."""
    deadline = time.monotonic() + seconds
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.005)


def fail(line: Line, error: BaseException) -> None:
    """Tell the driver that all is lost."""
    text = str(error)
    if not isinstance(error, HopelessError | LostError):
        text = "".join(traceback.format_exception_only(error)).strip()
    try:
        line.send(FAILED, 0, json.dumps({"type": type(error).__name__, "text": text}).encode())
    except OSError:
        pass  # nobody is there to hear it


def end_without_driver(folder: str) -> NoReturn:
    """End at once, and tidy up in the driver's place."""
    with _alone:
        _kill_descendants()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def end(code: int) -> NoReturn:
    """End at once, and all that was started with it."""
    with _alone:
        _kill_descendants()
        os._exit(code)


def _kill_descendants() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(children, timeout=1.0)  # until then they may write
