"""The host: the process that is Ray's driver, and holds the cluster where it is our own.

It is not the caller's own process, for four reasons. Ray ends its driver when the head of the cluster is lost, whatever
else that process does; it takes signals, threads and open files for good; there is one Ray a process; and importing it
takes a second. The host ends when the driver does, and takes a cluster of our own with it.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil

from pipe_core.runtime.beat import Board
from pipe_ray.messages import ANSWER, CALL, FAILED, KILL, PUT, READY, REFUSED, START, STOP, Line, slot_of

_OFTEN: Final = 0.2
"""Seconds between two looks whether the driver, and what holds a cluster of our own, is there."""
_PATIENCE: Final = 5.0
"""Seconds that workers have to end in order."""
_SILENCE: Final = 12.0
"""Seconds without a word from a cluster of somebody else's after which it counts as lost."""
_HEAD: Final = ("gcs_server", "raylet")
"""The processes that hold a cluster of our own."""


def main(settings: dict[str, Any]) -> None:
    """Serve a driver until it says `STOP`, or is gone.

    Args:
        settings: ``fd``, of the connection; ``driver``, its process id; ``folder``, which is ours alone; ``kept``, a
            folder in it; ``address`` of the cluster, None for one of our own, which has ``slots``; ``namespace``;
            ``worker``, what workers are told first, the file of the board among it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    line = Line(Connection(settings["fd"]))
    threading.Thread(target=_end_with, args=(settings["driver"], settings["folder"]), daemon=True).start()
    try:
        _connect(settings)
        host = Host(settings, line)
        watch = _watch_head if settings["address"] is None else _watch_cluster
        threading.Thread(target=watch, args=(line,), daemon=True).start()
        host.serve()
    except BaseException as error:
        _fail(line, error)
    _end(0)


def _connect(settings: dict[str, Any]) -> None:
    if settings["address"] is None:
        from pipe_ray import local

        local.start(settings)
        return
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "namespace": settings["namespace"]}
    if not settings["address"].startswith("ray://"):
        options["configure_logging"] = False
    ray.init(settings["address"], **options)


class Host:
    """Hands calls to the slots and their ends to the driver.

    Args:
        settings: As `main`.
        line: To the driver.
    """

    def __init__(self, settings: dict[str, Any], line: Line) -> None:
        import ray

        from pipe_ray.slots import Slot
        from pipe_ray.worker import worker_class

        self._ray: Any = ray  # not annotated throughout
        self._slot_class, self._line = Slot, line
        self._settings = settings
        options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "enable_task_events": False}
        self._make: Callable[[], Any] = self._ray.remote(worker_class()).options(**options).remote
        self._slots: list[Slot] = []
        self._shared: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._outbox: list[tuple[bytes, int, bytes]] = []
        self._ends: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def serve(self) -> None:
        """Do what the driver says, until it says `STOP`."""
        self._line.send(READY, int(self._ray.cluster_resources().get("CPU", 1)))
        ends = threading.Thread(target=self._tell, name="pipe-ray-ends", daemon=True)
        ends.start()
        while True:
            try:
                kind, number, body = self._line.receive()
            except (EOFError, OSError):
                _end_without_driver(self._settings["folder"])
            if kind == STOP:
                break
            with self._lock:
                self._do(kind, number, body)
        threading.Timer(3 * _PATIENCE, _end, (1,)).start()
        self._leave()

    def _do(self, kind: bytes, number: int, body: bytes) -> None:
        """In the main thread, which says nothing itself: the driver may wait for us to listen."""
        if kind == CALL:
            slot, frame = slot_of(body)
            self._slots[slot].call(number, frame)
        elif kind == START:
            self._start(number)
        elif kind == KILL:
            slot, _ = slot_of(body)
            self._slots[slot].kill(number)
        elif kind == PUT:
            self._put(number, body)

    def _start(self, slots: int) -> None:
        board = Board(Path(self._settings["worker"]["board"]), slots)
        for number in range(slots):
            told = json.dumps({**self._settings["worker"], "row": number})
            self._slots.append(self._slot_class(number, self._make, told, board, self._shared, self._say, self._ends))

    def _put(self, number: int, body: bytes) -> None:
        digest, _, data = body.partition(b" ")
        try:
            reference = self._shared[digest.decode()] = self._ray.put(data)
        except Exception as error:
            told = (REFUSED, number, str(error).encode())
            self._ends.put(lambda: self._say(*told))
            return
        for slot in self._slots:
            slot.keep(digest.decode(), reference)
        self._ends.put(lambda: self._say(ANSWER, number, b""))

    # --- in a thread of its own: what has ended ---

    def _say(self, kind: bytes, number: int, body: bytes) -> None:
        self._outbox.append((kind, number, body))

    def _tell(self) -> None:
        try:
            while (end := self._ends.get()) is not None:
                with self._lock:
                    end()
                    outbox, self._outbox = self._outbox, []
                for message in outbox:  # without the lock: the driver may be slow to listen
                    self._line.send(*message)
        except (EOFError, OSError):
            pass  # the driver is gone, and `_end_with` sees it
        except BaseException as error:
            _fail(self._line, error)
            _end(1)

    # --- the end ---

    def _leave(self) -> None:
        """Let the workers end in order, and leave the cluster."""
        with self._lock:
            lives = [slot.life for slot in self._slots]
        leaving = [life.actor.leave.remote() for life in lives if life.up]
        if leaving:
            self._ray.wait(leaving, num_returns=len(leaving), timeout=_PATIENCE)
        for life in lives:
            if not life.up:
                self._ray.kill(life.actor, no_restart=True)
        if self._settings["address"] is None:
            _wait_for([life.pid for life in lives if life.pid is not None])
        self._shared.clear()
        self._ray.shutdown()


def _wait_for(pids: list[int]) -> None:
    """Ray says that a worker has left before it has run what it runs at its end."""
    deadline = time.monotonic() + _PATIENCE
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.005)


def _fail(line: Line, error: BaseException) -> None:
    text = "".join(traceback.format_exception_only(error)).strip()
    try:
        line.send(FAILED, 0, json.dumps({"type": type(error).__name__, "text": text}).encode())
    except OSError:
        pass  # nobody is there to hear it


def _watch_head(line: Line) -> None:
    """Ray itself takes up to a minute to notice."""
    processes = [child for child in psutil.Process().children() if child.name() in _HEAD]
    while all(_lives(one) for one in processes):
        time.sleep(_OFTEN)
    _fail(line, RuntimeError(f"{' or '.join(_HEAD)}, which hold the cluster of this machine, ended."))
    _end(1)


def _watch_cluster(line: Line) -> None:
    """Ray itself may never say that it is gone."""
    heard = [time.monotonic()]
    gone = threading.Event()
    threading.Thread(target=_ask_cluster, args=(heard, gone), daemon=True).start()
    while time.monotonic() - heard[0] < _SILENCE and not gone.wait(1.0):
        pass
    _fail(line, RuntimeError("Its head, or the part of it on this machine, does not answer any more."))
    _end(1)


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
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


_alone: Final = threading.Lock()
"""Whoever ends this process first ends it."""


def _end_with(driver: int, folder: str) -> None:
    """End when the driver has, whatever the other threads do."""
    while os.getppid() == driver:
        time.sleep(_OFTEN)
    _end_without_driver(folder)


def _end_without_driver(folder: str) -> NoReturn:
    """End at once, and tidy up in the driver's place."""
    with _alone:
        _kill_descendants()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _end(code: int) -> NoReturn:
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
