"""The link to the host, as the driver sees it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import Pipe
from pathlib import Path
from typing import Final

from pipe_core import BackendLost, PipeError, VersionMismatchError
from pipe_core.kernel.urls import redacted
from pipe_core.runtime.handshake import versions
from pipe_core.runtime.spool import Spool
from pipe_ray.address import has_token
from pipe_ray.messages import FAILED, Line
from pipe_ray.worker import machine

DISTRIBUTIONS: Final = ("pipe-ray", "ray", "cloudpickle")
"""What must be the same on both sides, beside Python and pipe-core."""

_LONGEST: Final = 41
"""Letters of a path behind which the names of Ray's sockets still fit into the 107 that a system takes."""
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
}
"""What a cluster of our own does not do."""
_SOON: Final = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "10",
}
"""Seconds until Ray gives a lost head up, unless the user says otherwise. It ends the host then and says little of why,
so the host's own watch is to be the first."""
_CODE: Final = (
    "import json, sys; settings = json.loads(sys.argv[1]); sys.path[:] = settings['path']; "
    "from pipe_ray.host import main; main(settings)"
)


class Link:
    """A host, which is connected to a cluster or has started one.

    Args:
        address: Of the cluster; None for one of our own.
        slots: How many workers a cluster of our own has room for.
        namespace: Ray's.
        resources: What a cluster of our own has beside CPUs.
    """

    def __init__(
        self,
        address: str | None,
        *,
        slots: int,
        namespace: str | None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self.address = address
        self._ended = False
        self._spool = Spool(_short_place())
        self._folder = self._spool.folder
        ours, theirs = Pipe(duplex=True)
        self.line = Line(ours)
        settings = {
            "fd": theirs.fileno(),
            "driver": os.getpid(),
            "path": sys.path,
            "folder": str(self._folder),
            "kept": str(self._folder / "r"),  # Ray lets everybody write there; nobody else gets into ours
            "address": address,
            "slots": slots,
            "resources": dict(resources or {}),
            "namespace": namespace,
            "worker": {
                "distributions": ["pipe-core", *DISTRIBUTIONS],
                "versions": versions(*DISTRIBUTIONS),
                "machine": machine(),
                "board": str(self._folder / "board"),
                "path": sys.path if address is None else None,
                "folder": os.getcwd(),
            },
        }
        with (self._folder / "host.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=_environment(address),
            )
        theirs.close()

    def wait_for(self, kind: bytes, seconds: float) -> int:
        """The number of the message *kind*, which comes next.

        Raises:
            PipeError: It does not come; says why.
        """
        try:
            heard = self.line.poll(seconds)
            found, number, body = self.line.receive() if heard else (b"", 0, b"")
        except (EOFError, OSError):
            raise self.failure() from None
        if found == kind:
            return number
        if found == FAILED:
            raise self.failure(body)
        raise BackendLost(f"{self._whom()} did not answer in {seconds:g} seconds.")

    def failure(self, body: bytes | None = None) -> PipeError:
        """Why there is no cluster. *body* is of the message `FAILED`, where there was one."""
        told = self._told(body)
        text = f"{self._whom()} is lost. {told['text']}"
        if "ersion mismatch" in text:
            return VersionMismatchError(text, executor="ray", workers={})
        if told["type"] == "HopelessError":
            text += "" if self.address is None else " The logs of the cluster say why."
        elif "uthentication" in text:
            text += " Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as the cluster has them."
        elif self.address is not None:
            text += " Does it run (`ray status`), and does the address lead there?"
        return BackendLost(text)

    def loss(self, body: bytes | None = None) -> PipeError:
        """Why the cluster, which was there, is there no more. *body* as for `failure`."""
        told = self._told(body)
        if told["type"] == "HopelessError":
            return self.failure(body)
        what = f": {told['text']}." if told["type"] == "LostError" else f". {told['text']}"
        if self.address is None:
            further = (
                "Perhaps the system ended it for want of memory (`dmesg` says so). A new executor starts another one: "
                "run again, with fewer workers where memory is short."
            )
        else:
            further = "Does it run (`ray status`)? Start it again, or name another executor, and run again."
        return BackendLost(f"{self._whom()} is lost{what} {further}")

    def _told(self, body: bytes | None) -> dict[str, str]:
        if body is None:
            return {"type": "", "text": self._last_words()}
        told: dict[str, str] = json.loads(body)
        return told

    def _whom(self) -> str:
        return "The Ray of this machine" if self.address is None else f"The Ray cluster at '{redacted(self.address)}'"

    def _last_words(self) -> str:
        try:
            lines = (self._folder / "host.log").read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        code = self._process.poll()
        said = "\n".join(lines[-20:])
        return f"Its driver process ended{'' if code is None else f' with exit code {code}'}." + (
            f" It said:\n{said}" if said else ""
        )

    def kill(self) -> None:
        """End the host, and a cluster of our own with it, now."""
        if self._ended:
            return  # its number may be another process's by now
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended

    def end(self, patience: float) -> None:
        """Wait until the host has ended; by force if it does not. Give back what is left of it."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._ended = True
        self.line.close()
        self._spool.close()


def _environment(address: str | None) -> dict[str, str]:
    env = {**_SOON, **os.environ}
    if address is None:
        env |= {**_QUIET, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        env.pop("RAY_ADDRESS", None)
    elif has_token():
        env["RAY_AUTH_MODE"] = "token"
    return env


def _short_place() -> Path:
    """Where a folder of ours alone has a name that is short enough for Ray's sockets."""
    place = tempfile.gettempdir()
    return Path(place if len(place) + len("/pipe-12345678") <= _LONGEST else "/tmp")  # mkdtemp is safe there
