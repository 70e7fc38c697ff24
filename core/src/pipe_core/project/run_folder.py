"""The folder of a run: its journal, what says how far its outputs came, and whose it is now.

runs/20251121-190036-3f9a1c/
    journal.jsonl       what happened
    receipts/NODE.json  of a node whose outputs are all on stable storage: how each is brought to its end
    values/NODE         results that are stored otherwise than they are handed over, until the run has completed
    manifest.json       how it ended: versions, parameters, timings
    epoch               how often it was taken up
    lock                locked by the process that drives it
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from pipe_core.formats.staging import sync_folder
from pipe_core.kernel.index import suggestion
from pipe_core.project.errors import RunLockedError, RunNotFoundError, RunSupersededError

if sys.platform != "win32":
    import fcntl

_ID: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


class RunFolder:
    """The folder of one run. It travels: workers write receipts.

    Args:
        path: Where it is.
        epoch: Which time of being taken up this is, from 1 on.
    """

    def __init__(self, path: Path, epoch: int) -> None:
        self.path = path
        self.epoch = epoch

    @property
    def run(self) -> str:
        """The id of the run."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.path / "journal.jsonl"

    @property
    def manifest(self) -> Path:
        """How it ended."""
        return self.path / "manifest.json"

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

    # --- whose it is ---

    def check_epoch(self, node: str) -> None:
        """Raise `RunSupersededError` where somebody has taken up the run meanwhile: what *node* made is not wanted."""
        if (now := _epoch(self.path)) != self.epoch:
            raise RunSupersededError(
                f"The run {self.run} was resumed while node '{node}' still ran for the process that began it (it was "
                f"taken up {now} times, this is of time {self.epoch}). What this one made is not saved."
            )

    def _receipt(self, node: str) -> Path:
        return self.path / "receipts" / f"{quote(node, safe='')}.json"


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
        os.ftruncate(self._number, 0)
        os.pwrite(self._number, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)


def new_run(runs: Path) -> tuple[RunFolder, Lease]:
    """The folder of a new run in *runs*, which is made if it is missing, and the lock on it."""
    runs.mkdir(parents=True, exist_ok=True)
    while True:
        path = runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        (path / "receipts").mkdir()
        lease = Lease(path)
        return RunFolder(path, next_epoch(path)), lease


def take_up(runs: Path, run: str) -> tuple[RunFolder, Lease]:
    """The folder of a run that was begun before, and the lock on it. Its workers that still live save nothing more.

    Raises:
        RunNotFoundError: There is none of that id.
        RunLockedError: It goes on.
    """
    path = find_run(runs, run)
    lease = Lease(path)
    return RunFolder(path, next_epoch(path)), lease


def find_run(runs: Path, run: str) -> Path:
    """The folder of a run, by its id or by a beginning of it that only one has.

    Raises:
        RunNotFoundError: There is none, or there are several.
    """
    known = run_ids(runs)
    found = [one for one in known if one == run] or [one for one in known if run and one.startswith(run)]
    if len(found) == 1:
        return runs / found[0]
    if found:
        raise RunNotFoundError(f"{len(found)} runs begin with '{run}': {', '.join(found[:5])}. Say more of the id.")
    there = f" The last ones: {', '.join(known[-3:])}." if known else " There are no runs yet."
    raise RunNotFoundError(f"There is no run '{run}' in {str(runs)!r}.{suggestion(run, known)}{there}")


def run_ids(runs: Path) -> list[str]:
    """The ids of all runs in *runs*, the oldest first."""
    try:
        names = os.listdir(runs)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _ID.fullmatch(name))


def is_running(folder: Path) -> bool:
    """Whether a process of this machine, or of one with the same file system, drives the run now."""
    try:
        Lease(folder).release()
    except RunLockedError:
        return True
    except OSError:  # only to be read
        return False
    return False


def write_whole(path: Path, data: bytes, *, durable: bool) -> None:
    """Put *data* at *path*, whole or not at all; if *durable*, on stable storage."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(staged, "xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(str(path.parent))


def _epoch(path: Path) -> int:
    try:
        return int((path / "epoch").read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def next_epoch(path: Path) -> int:
    """Count that the folder was taken up once more."""
    write_whole(path / "epoch", str(number := _epoch(path) + 1).encode(), durable=False)  # for processes that live
    return number
