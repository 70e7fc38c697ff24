"""The folder of a project's run.

runs/20251121-190036-3f9a1c/
    journal.jsonl       what happened
    receipts/NODE.json  of a node whose outputs are all on stable storage: how each is brought to its end
    values/NODE         results that are stored otherwise than they are handed over, until the run has completed
    manifest.json       how it ended: versions, parameters, timings
    epoch, lock         whose it is: `pipe_core.runs.folder`
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self
from urllib.parse import quote, unquote

from pipe_core.runs.folder import RunFolder
from pipe_core.runs.lease import Lease
from pipe_core.runtime.durable import write_whole


class ProjectRunFolder(RunFolder):
    """As `RunFolder`, with what nodes leave there. It travels: workers write receipts."""

    @classmethod
    def new(cls, runs: Path) -> tuple[Self, Lease]:
        """As of any run."""
        folder, lease = super().new(runs)
        (folder.path / "receipts").mkdir()
        return folder, lease

    # --- receipts ---

    def write_receipt(self, node: str, outputs: Mapping[str, Any]) -> None:
        """Keep, on stable storage, how each output of *node* is brought to its end. Nothing is visible before that.

        Raises:
            RunSupersededError: Somebody has taken up the run meanwhile.
        """
        self.check_epoch(node)
        data = json.dumps({"epoch": self.epoch, "outputs": outputs}).encode()
        write_whole(self._receipt(node), data, durable=True)

    def receipt(self, node: str) -> dict[str, Any] | None:
        """What was kept of *node*; None where its outputs have never been whole."""
        try:
            return dict(json.loads(self._receipt(node).read_bytes())["outputs"])
        except FileNotFoundError:
            return None

    def receipts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each node with a receipt, and what was kept of it."""
        folder = self.path / "receipts"
        if folder.is_dir():
            for path in sorted(folder.glob("*.json")):
                node = unquote(path.name.removesuffix(".json"))
                if (kept := self.receipt(node)) is not None:
                    yield node, kept

    # --- results ---

    def keep_value(self, node: str, data: bytes) -> None:
        """Keep the result of *node*, on stable storage."""
        path = self._value(node)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, data, durable=True)

    def kept_value(self, node: str) -> bytes | None:
        """The result of *node*; None where it was not kept."""
        try:
            return self._value(node).read_bytes()
        except FileNotFoundError:
            return None

    def kept_values(self) -> set[str]:
        """The nodes whose results were kept."""
        folder = self.path / "values"
        return {unquote(name) for name in os.listdir(folder)} if folder.is_dir() else set()

    def forget_values(self) -> None:
        """The run has completed: nobody needs them."""
        shutil.rmtree(self.path / "values", ignore_errors=True)

    def _value(self, node: str) -> Path:
        return self.path / "values" / quote(node, safe="")

    def _receipt(self, node: str) -> Path:
        return self.path / "receipts" / f"{quote(node, safe='')}.json"


class PassingFolder(ProjectRunFolder):
    """Receipts of a run of which nothing is kept, for further attempts of its nodes. Nobody takes it up.

    A worker on a machine that has no such folder keeps none.
    """

    def check_epoch(self, node: str) -> None:
        """There is only one."""

    def write_receipt(self, node: str, outputs: Mapping[str, Any]) -> None:
        """Keep how each output of *node* is brought to its end, as long as the run lasts."""
        with suppress(FileNotFoundError):
            write_whole(self._receipt(node), json.dumps({"outputs": outputs}).encode(), durable=False)


@contextmanager
def receipts(kept: ProjectRunFolder | None, is_storing: bool) -> Iterator[ProjectRunFolder | None]:
    """Where receipts of a run go: the folder in which it is *kept*, else one that is gone at its end, if it stores."""
    if kept is not None or not is_storing:
        yield kept
        return
    path = Path(mkdtemp(prefix="pipe-run-"))
    try:
        (path / "receipts").mkdir()
        yield PassingFolder(path, epoch=1)
    finally:
        shutil.rmtree(path, ignore_errors=True)
