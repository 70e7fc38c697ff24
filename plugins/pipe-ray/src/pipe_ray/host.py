"""The host: the process that is Ray's driver, and holds the cluster where it is our own.

It is not the caller's own process, for four reasons. Ray ends its driver when the head of the cluster is lost, whatever
else that process does; it takes signals, threads and open files for good; there is one Ray a process; and importing it
takes a second. The host ends when the driver does, and takes a cluster of our own with it.
"""

from __future__ import annotations

import itertools
import json
import queue
import signal
import threading
import warnings
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipe_core.runtime.beat import Board
from pipe_ray.messages import (
    ANSWER,
    CALL,
    COSTS,
    KILL,
    KILLED,
    NEED,
    PUT,
    READY,
    REFUSED,
    RESOURCES,
    START,
    STOP,
    Line,
    needs_of,
    slot_of,
)
from pipe_ray.watch import (
    Holders,
    end,
    end_without_driver,
    fail,
    wait_for,
    watch_cluster,
    watch_driver,
    watch_head,
)

if TYPE_CHECKING:
    from pipe_ray.needing import Needing
    from pipe_ray.slots import Events, Slot

_PATIENCE: Final = 5.0
"""Seconds that workers have to end in order."""
_LIVES: Final = 1_000
"""How many workers a slot for calls that need something can have, before another one has its name for a door."""


def main(settings: dict[str, Any]) -> None:
    """Serve a driver until it says `STOP`, or is gone.

    Args:
        settings: ``fd``, of the connection; ``driver``, its process id; ``folder``, which is ours alone; ``kept``, a
            folder in it; ``address`` of the cluster, None for one of our own, which has ``slots`` and
            ``resources``; ``namespace``; ``worker``, what workers are told first, the file of the board among it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    warnings.simplefilter("ignore", FutureWarning)  # Ray's, on later Rays; where warnings are errors it would not start
    line = Line(Connection(settings["fd"]))
    threading.Thread(target=watch_driver, args=(settings["driver"], settings["folder"]), daemon=True).start()
    try:
        _connect(settings)
        is_own = settings["address"] is None
        holders = Holders.of_own() if is_own else Holders.of_others()
        host = Host(settings, line, holders)
        watch = watch_head if is_own else watch_cluster
        threading.Thread(target=watch, args=(line, holders), daemon=True).start()
        host.serve()
    except BaseException as error:
        fail(line, error)
        end(1)
    end(0)


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

    One thread, that of `serve`, has the slots: what the driver says, what Ray says and what workers answer all come to
    it as events, each after the other.

    Args:
        settings: As `main`.
        line: To the driver.
        holders: What must live for any worker to.
    """

    def __init__(self, settings: dict[str, Any], line: Line, holders: Holders) -> None:
        import ray

        from pipe_ray.worker import worker_class

        self._ray: Any = ray  # not annotated throughout
        self._settings, self._line, self._holders = settings, line, holders
        options = {"max_restarts": 0, "max_task_retries": 0, "enable_task_events": False}
        self._worker = self._ray.remote(worker_class()).options
        self._options = options
        self._slots: list[Slot] = []
        self._needing: Needing
        self._shared: dict[str, Any] = {}
        self._events: Events = queue.SimpleQueue()

    def serve(self) -> None:
        """Do what the driver says, until it says `STOP`."""
        self._say(READY, int(self._ray.cluster_resources().get("CPU", 1)), b"")
        threading.Thread(target=self._listen, name="pipe-ray-driver", daemon=True).start()
        while (event := self._events.get()) is not None:
            event()
        threading.Timer(3 * _PATIENCE, end, (1,)).start()
        self._leave()

    # --- in a thread of its own: what the driver says ---

    def _listen(self) -> None:
        while True:
            try:
                kind, number, body = self._line.receive()
            except (EOFError, OSError):
                end_without_driver(self._settings["folder"])
            if kind == STOP:
                self._events.put(None)
                return
            self._events.put(partial(self._do, kind, number, body))

    # --- in the thread that has the slots ---

    def _do(self, kind: bytes, number: int, body: bytes) -> None:
        if kind == CALL:
            slot, frame = slot_of(body)
            self._slots[slot].call(number, frame)
        elif kind == START:
            self._start(number)
        elif kind == NEED:
            self._needing.call(number, *needs_of(body))
        elif kind == RESOURCES:
            self._say(ANSWER, number, json.dumps(self._needing.machines()).encode())
        elif kind == KILL:
            slot, _ = slot_of(body)
            if not self._needing.kill(number):
                self._slots[slot].kill(number)
        elif kind == PUT:
            self._put(number, body)
        elif kind == COSTS:
            self._look(number)

    def _start(self, slots: int) -> None:
        from pipe_ray.needing import PATIENCE, Needing, NeedingSlot, options_for, quiet
        from pipe_ray.slots import Slot  # and with it Ray

        settings = self._settings["worker"]
        board = Board(Path(settings["board"]), 2 * slots)  # the second half is for workers that have something
        make = self._worker(num_cpus=1, **self._options).remote
        for number in range(slots):
            self._slots.append(Slot(number, make, settings, board, self._shared, self._say, self._events))

        lives = itertools.count(1)

        def with_resources(pool: Needing, number: int, resources: dict[str, float]) -> NeedingSlot:
            make = self._worker(**options_for(resources), **self._options).remote
            there = make, settings, board, self._shared, quiet(self._say), self._events
            return NeedingSlot(pool, resources, number, *there, lives=_LIVES * next(lives))

        rows, patience = range(slots, 2 * slots), 0.0 if self._settings["address"] is None else PATIENCE
        self._needing = Needing(rows, with_resources, self._slots, self._say, self._events, patience)

    def _all(self) -> list[Slot]:
        return [*self._slots, *self._needing.slots]

    def _look(self, number: int) -> None:
        """Say what the workers cost, from another thread: it takes its time."""
        from pipe_ray.costs import costs_of_workers

        lives = [slot.life for slot in self._all() if slot.life.up]
        near = [life.pid for life in lives if life.near is not None]
        far = [(life.node, life.pid) for life in lives if life.near is None]

        def look() -> None:
            self._say(ANSWER, number, json.dumps(costs_of_workers(near, far)).encode())

        threading.Thread(target=look, name="pipe-ray-costs", daemon=True).start()

    def _put(self, number: int, body: bytes) -> None:
        digest, _, data = body.partition(b" ")
        try:
            reference = self._shared[digest.decode()] = self._ray.put(data)
        except Exception as error:
            self._say(REFUSED, number, str(error).encode())
            return
        for slot in self._all():
            slot.keep(digest.decode(), reference)
        self._say(ANSWER, number, b"")

    def _say(self, kind: bytes, number: int, body: bytes) -> None:
        if kind == KILLED:
            self._holders.check()  # else the worker died because the cluster did, and its call is not to blame
        try:
            self._line.send(kind, number, body)
        except OSError:
            end_without_driver(self._settings["folder"])

    def _leave(self) -> None:
        """Let the workers end in order, and leave the cluster."""
        slots = self._all()
        leaving = [left for left in [slot.leave() for slot in slots] if left is not None]
        if leaving:
            self._ray.wait(leaving, num_returns=len(leaving), timeout=_PATIENCE)
        if self._settings["address"] is None:
            wait_for([slot.life.pid for slot in slots if slot.life.pid is not None], _PATIENCE)
        self._shared.clear()
        self._ray.shutdown()
