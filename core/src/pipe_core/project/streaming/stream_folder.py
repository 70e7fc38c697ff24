"""The folder of a stream: how far it has come, and what it was about to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipe_core.project.runs.folder import ProjectRunFolder
from pipe_core.runs.folder import next_epoch
from pipe_core.runs.lease import Lease
from pipe_core.runtime.durable import write_whole


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """A range of a source.

    Attributes:
        number: Which one of the stream it is, from 1 on.
        since: Where it begins; None at the beginning of the source.
        until: Where it ends.
    """

    number: int
    since: Mapping[str, Any] | None
    until: Mapping[str, Any]


class StreamFolder:
    """The folder of one stream, which belongs to this process until `close`.

    Args:
        path: Where it is. It is made if it is missing.

    Raises:
        RunLockedError: Another process has the stream.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lease = Lease(path, "stream of node")
        self._epoch = next_epoch(path)
        state = self._read()
        self.done: int = state["done"]
        self.position: Mapping[str, Any] | None = state["position"]
        self.pending: MicroBatch | None = None if state["pending"] is None else MicroBatch(**state["pending"])

    def begin(self, until: Mapping[str, Any]) -> MicroBatch:
        """The next micro-batch ends at *until*: on stable storage, before anything of it happens."""
        self.pending = MicroBatch(self.done + 1, self.position, until)
        self._write()
        return self.pending

    def receipts(self, batch: MicroBatch) -> ProjectRunFolder:
        """Where the nodes of the micro-batch keep their receipts."""
        folder = self.path / "batches" / f"{batch.number:09}"
        (folder / "receipts").mkdir(parents=True, exist_ok=True)
        write_whole(folder / "epoch", str(self._epoch).encode(), durable=False)
        return ProjectRunFolder(folder, self._epoch)

    def commit(self, batch: MicroBatch) -> None:
        """All of the micro-batch is stored."""
        self.done, self.position, self.pending = batch.number, batch.until, None
        self._write()
        shutil.rmtree(self.path / "batches", ignore_errors=True)

    def close(self) -> None:
        """Let others have the stream."""
        self._lease.release()

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / "state.json").read_bytes()))
        except FileNotFoundError:
            return {"done": 0, "position": None, "pending": None}

    def _write(self) -> None:
        state = {
            "done": self.done,
            "position": self.position,
            "pending": None if self.pending is None else asdict(self.pending),
        }
        write_whole(self.path / "state.json", json.dumps(state).encode(), durable=True)


def stream_path(runs: Path, pipeline: str, node: str) -> Path:
    """Where the stream of *node* keeps how far it has come: over all runs of the pipeline."""
    return runs / "streams" / quote(pipeline, safe="") / quote(node, safe="")
