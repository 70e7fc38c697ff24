"""What is kept of a run of records, in a folder of its own.

runs/20251121-190036-3f9a1c/
    journal.jsonl     what was asked for, when it was taken up, how it ended
    checkpoint.json   how far it has come
    memory-0          what its first run-scoped hook remembers
    epoch, lock       whose it is: `pipe_core.runs.folder`
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pipe_core.records.resuming.checkpoint import Checkpoint
from pipe_core.runs.errors import CheckpointError, ResumeError, RunLockedError, RunNotFoundError
from pipe_core.runs.folder import RunFolder, run_ids
from pipe_core.runs.journal import Journal, read_journal
from pipe_core.runs.lease import Lease
from pipe_core.runtime.durable import write_whole

KIND: Final = "records"
"""What the journal of such a run calls it; the runs of projects have the name of a pipeline there."""


class KeptRun:
    """The folder of a run that this process drives, with its lock.

    Args:
        folder: The folder.
        lease: The lock on it.
        began: What was asked for when it was begun; None for a new run.

    Attributes:
        begun: The checkpoint at which it goes on; None from the beginning.
        is_noted: Whether its journal has been begun.
    """

    def __init__(self, folder: RunFolder, lease: Lease, began: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._lease = lease
        self.began = began
        self.begun = None if began is None else Checkpoint.read_from(self._checkpoint)
        self.is_noted = began is not None
        self._memories: dict[int, int] = {}

    @classmethod
    def new(cls, runs: Path) -> KeptRun:
        """A new one. Raises `CheckpointError` where there can be none."""
        try:
            folder, lease = RunFolder.new(runs.absolute())  # whatever becomes of the working folder
            folder.path.chmod(0o700)  # it tells of records
        except OSError as error:
            raise CheckpointError(
                f"No run can be kept in {str(runs)!r}: {error.strerror or error}. Give checkpoint= a folder that can "
                f"be written."
            ) from error
        return cls(folder, lease)

    @classmethod
    def take_up(cls, runs: Path, run: str) -> KeptRun:
        """One that was begun before, and has not ended well.

        Raises:
            RunNotFoundError: There is none of that id.
            RunLockedError: It goes on in another process.
            ResumeError: It is complete, cannot be resumed, or is no run of records.
            CheckpointError: Its checkpoint is damaged, or its folder cannot be written.
        """
        try:
            folder, lease = RunFolder.take_up(runs.absolute(), run)
        except OSError as error:
            raise CheckpointError(
                f"The run {run} in {str(runs)!r} cannot be taken up: {error.strerror or error}. Nothing is lost: make "
                f"room, or let it be written, and resume the run."
            ) from error
        try:
            return cls(folder, lease, _began(folder))
        except BaseException:
            lease.release()
            raise

    @property
    def run(self) -> str:
        """Its id."""
        return self._folder.run

    @property
    def _checkpoint(self) -> Path:
        return self._folder.path / "checkpoint.json"

    # --- the journal ---

    def note(self, event: str, **facts: Any) -> None:
        """Write a line of the journal, on stable storage. Raises `CheckpointError`."""
        with self._writing(), Journal(self._folder.journal) as journal:
            journal.write(event, durable=True, **facts)
        self.is_noted = True

    def begin(self, asked: Mapping[str, Any], executor: str, origin: Mapping[str, Any] | None) -> None:
        """Write down that the run begins, or that it goes on. Raises `CheckpointError`."""
        if self.began is None:
            self.note("run", kind=KIND, **asked, executor=executor, origin=origin)
        else:
            self.note("resumed", executor=executor, read=self.begun.read if self.begun is not None else 0)

    # --- checkpoints ---

    def keep(self, checkpoint: Checkpoint) -> None:
        """Put *checkpoint* in the place of the one before. Raises `CheckpointError`."""
        with self._writing():
            write_whole(self._checkpoint, checkpoint.to_bytes(), durable=True)

    def forget(self) -> None:
        """Nobody shall go on at the last checkpoint."""
        with self._writing():
            self._checkpoint.unlink(missing_ok=True)

    # --- memories of hooks ---

    def remember(self, number: int, news: Any) -> int:
        """Add *news*, plain data, to the memory of a hook. The length of that memory. Raises `CheckpointError`."""
        import msgpack  # few hooks remember anything

        with self._writing():
            path = self._memory(number)
            number_of = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with open(number_of, "wb", closefd=True) as file:
                end = file.seek(self._memories.get(number, 0))
                end += file.write(msgpack.packb(news))
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        self._memories[number] = end
        return end

    def memory(self, number: int, length: int) -> Iterator[Any]:
        """All that was added to the memory of a hook, up to *length*. Raises `CheckpointError`."""
        import msgpack

        path = self._memory(number)
        try:
            with open(path, "rb") as file:
                data = file.read(length)
        except OSError as error:
            raise CheckpointError(f"The memory of a hook, {str(path)!r}, cannot be read: {error.strerror}.") from error
        if len(data) != length:
            raise CheckpointError(f"The memory of a hook, {str(path)!r}, has lost its end. Run the pipe anew.")
        self._memories[number] = length
        unpacker = msgpack.Unpacker(max_buffer_size=max(length, 1))
        unpacker.feed(data)
        return iter(unpacker)

    def _memory(self, number: int) -> Path:
        return self._folder.path / f"memory-{number}"

    # --- the end ---

    def discard(self) -> None:
        """Remove the folder of a run that never began."""
        self.close()
        shutil.rmtree(self._folder.path, ignore_errors=True)

    def close(self) -> None:
        """Let others have it."""
        self._lease.release()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"How far the run {self.run} has come cannot be kept in {str(self._folder.path)!r}: "
                f"{error.strerror or error}. Nothing is lost: make room, or let it be written, and resume the run."
            ) from error


def last_resumable(runs: Path) -> str:
    """The id of the last run in *runs* with which somebody can go on.

    Raises:
        RunNotFoundError: There is none.
        CheckpointError: It cannot be told, because nothing can be written or read.
    """
    for run in reversed(run_ids(runs)):
        try:
            kept = KeptRun.take_up(runs, run)
        except (ResumeError, RunLockedError):
            continue
        except CheckpointError as error:
            if isinstance(error.__cause__, OSError):
                raise
            continue  # what is damaged stays so
        kept.close()
        return run
    raise RunNotFoundError(f"No run in {str(runs)!r} can be resumed: there is none, or all are complete or go on.")


def _began(folder: RunFolder) -> Mapping[str, Any]:
    """What the journal says of how the run began. Raises `ResumeError` where nobody can go on with it."""
    events = read_journal(folder.journal)
    began = next((event for event in events if event.get("event") == "run"), None)
    if began is None:
        raise ResumeError(f"The run {folder.run} was killed before it began. Run the pipe anew.")
    if began.get("kind") != KIND:
        raise ResumeError(
            f"{folder.run} is a run of the project pipeline '{began.get('pipeline')}': pipe resume goes on."
        )
    end: Mapping[str, Any] = next((event for event in reversed(events) if event.get("event") == "end"), {})
    if end.get("status") == "completed":
        raise ResumeError(f"The run {folder.run} is complete: there is nothing to go on with.")
    if end.get("resumable") is False:
        raise ResumeError(f"The run {folder.run} has failed for good: {end.get('error')} Run the pipe anew.")
    return began
