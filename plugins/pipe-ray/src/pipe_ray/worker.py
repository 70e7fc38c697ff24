"""What runs on the workers. Each is an actor: a process that runs frames one after the other, in its main thread."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Final

from pipe_core.runtime import beat, wire

_PR_SET_PDEATHSIG: Final = 1

_kept: dict[str, list[Any]] = {}
"""By digest, a list with the reference under which the bytes are found in Ray's object store."""
_host: Connection | None = None
"""The socket to the host, where that is on this machine."""


def worker_class() -> type:
    """The class of the actors. It travels by value: a worker that lacks pipe can still say so."""

    class PipeWorker:
        def begin(self, settings: str) -> str:
            """Get ready. Gives what this worker is, as JSON."""
            import importlib.metadata
            import json
            import os
            import platform

            import ray
            from ray.util import get_node_ip_address

            asked = json.loads(settings)
            versions = {"python": ".".join(platform.python_version_tuple()[:2])}
            for name in asked["distributions"]:
                try:
                    versions[name] = importlib.metadata.version(name)
                except importlib.metadata.PackageNotFoundError:
                    versions[name] = "missing"
            where: Any = get_node_ip_address  # Ray is not annotated throughout
            facts = {"versions": versions, "name": f"{where()}, process {os.getpid()}", "pid": os.getpid()}
            context: Any = ray.get_runtime_context()
            facts["node"] = context.get_node_id()
            if versions == asked["versions"]:
                from pipe_ray.worker import begin, run

                facts["near"] = begin(asked)
                self._run = run
            return json.dumps(facts)

        def run(self, frame: bytes) -> bytes:
            """Run the call that *frame* holds."""
            return self._run(frame)

        def serve(self) -> None:
            """Run the calls that come through the socket."""
            from pipe_ray.worker import serve

            serve()

        def keep(self, digest: str, reference: list[Any]) -> None:
            """Remember where the bytes under *digest* are. In a list, because Ray would fetch them otherwise."""
            from pipe_ray.worker import keep

            keep(digest, reference)

        def leave(self) -> None:
            """End in order."""
            from ray.actor import exit_actor

            end: Any = exit_actor
            end()

    return PipeWorker


def begin(settings: dict[str, Any]) -> bool:
    """Get this process ready. Gives whether it is near the driver: then it serves, and notes down how far it is.

    Args:
        settings: ``machine``, where the driver is; ``board``, the file it looks at, and ``row``, which is ours there;
            ``door``, the socket that calls come through; and for workers of a cluster of our own ``folder`` and
            ``path``, as the driver has them.
    """
    global _host  # one a process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_raylet()
    if settings["path"] is not None:
        sys.path[:] = settings["path"]
        os.chdir(settings["folder"])
    elif not machine() or machine() != settings["machine"]:
        return False
    try:
        beat.attach(settings["board"], settings["row"])
        _host = Client(settings["door"], family="AF_UNIX")
    except OSError:  # another container, or another user
        return False
    return True


def serve() -> None:
    """Run the calls that come through the socket, one after the other, until it says that Ray has something to do.

    Raises:
        OSError: Nobody is at its other end any more.
    """
    assert _host is not None  # whoever asks has been told that it is there
    while frame := _host.recv_bytes():
        _host.send_bytes(run(frame))


def run(frame: bytes) -> bytes:
    """Run the call that *frame* holds."""
    beat.begin()
    return wire.run_frame(frame)


def keep(digest: str, reference: list[Any]) -> None:
    """Remember where the bytes under *digest* are."""
    _kept[digest] = reference


def pull(digest: str) -> bytes:
    """The bytes under *digest*, from Ray's object store."""
    import ray

    data: bytes = ray.get(_kept[digest][0])
    return data


def machine() -> str:
    """What tells this machine, from its start to its end, from every other one; nothing where nobody knows."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _die_with_raylet() -> None:
    """It is the parent. Without it nobody else ends a worker that is in the middle of a call."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
