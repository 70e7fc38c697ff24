"""A folder of part files as a sink. Its bytes are written by the workers; the driver gives the files their names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.hidden_folder import restore, supersede
from pipe_core.formats.part_encoder import LEAST, Arrival, PartEncoder, PartFormat, pieces_of
from pipe_core.formats.part_folder import (
    StagedFolder,
    check_folder,
    check_replaceable,
    found_parts,
    part_suffix,
    resumed_folder,
    with_compressions,
)
from pipe_core.formats.paths import path_of
from pipe_core.formats.staging import known_states, writing_errors
from pipe_core.kernel.contracts import Mode, Payload
from pipe_core.kernel.errors import SinkError, TargetExistsError

MOST: Final = 64 * 1024 * 1024
"""A part file that the driver writes ends behind so many bytes."""


class PartSink:
    """Records as part files ``part-00000.jsonl``, ... in a folder, in the order of the input.

    The folder appears whole at the commit. With ``append`` each commit adds part files to the one that is there.

    Args:
        target: The folder. Only with a ``/`` at its end it replaces another one.
        kind: The format of the part files.
        by_workers: Whether workers write part files where their rows are many.
    """

    def __init__(self, target: Any, kind: PartFormat, *, by_workers: bool = True) -> None:
        self._target = path_of(target)
        self._place = self._target.rstrip("/" + os.sep) or os.sep
        self._kind = kind
        self._by_workers = by_workers
        self._suffix = part_suffix(self._place, kind.suffixes)
        self._endings = with_compressions(kind.suffixes)
        self._rows = kind.sink(f"part{self._suffix}").encoder()  # wrong options are refused here
        self._staged: StagedFolder | None = None
        self._names: list[str] = []
        self._own: FileSink | None = None
        self._columns: tuple[str, ...] | None = None
        self._known_fields: Sequence[str] | None = None
        self._mode: Mode = "error"
        self._complete = False
        self._kept = False
        self._final = False

    @property
    def name(self) -> str:
        """The path."""
        return self._target

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """Exactly once: the folder appears whole."""
        return "exactly-once"

    def exists(self) -> bool:
        """Whether there is something already. What a killed run had taken away is put back before."""
        with writing_errors(self.name):
            restore(self._place)
        return os.path.exists(self._place)

    def encoder(self) -> PartEncoder:
        """What workers need to make rows, and part files once the sink is open."""
        folder = self._staged.arrivals if self._staged is not None and self._by_workers else None
        return PartEncoder(self._rows, self._kind, self.name, self._suffix, folder, LEAST)

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Begin. Raises `TargetExistsError` for ``error`` and ``ignore``, and `SinkError` when it cannot be written."""
        self._known_fields = fields
        self._mode = mode
        with writing_errors(self.name):
            if self.exists():
                self._check(mode)
            self._staged = StagedFolder(self._place, self._suffix, self._endings)

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Make durable what was written, where it is. The state with which `resume` goes on, in any process.

        The part file that is being written ends here. What was checkpointed stays when the sink is closed without a
        commit; `abort` removes it. Who appends commits final states only: of others nobody can tell what was added.
        """
        staged = self._began()
        with writing_errors(self.name):
            self._end_own()
            parts = self._ordered(staged) if final else staged.keep_arrivals(self._names)
            self._kept, self._final = True, final
            return {"folder": staged.name, "parts": parts, "columns": self._columns, "final": final}

    def _ordered(self, staged: StagedFolder) -> list[list[Any]]:
        if not self._names and not self._adds_to_some():
            self._write_own(staged.arrivals, None, 0)
            self._end_own()
        names, self._names = self._names, []
        return staged.keep_whole(names)

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Go on at *state*, which `checkpoint` gave. What was written behind it is removed.

        Raises:
            TargetExistsError: For ``error`` and ``ignore``: another folder came to the target meanwhile.
            SinkError: What was written is gone, or the run that wrote it goes on.
        """
        self._known_fields, self._mode = fields, mode
        with writing_errors(self.name), known_states(self.name):
            parts = state["parts"]
            self._columns = None if state["columns"] is None else tuple(state["columns"])
            self._kept, self._final = True, state["final"]
            self._staged = resumed_folder(self._place, self._suffix, self._endings, state)
            self._complete = self._staged is None
            if not self._final:
                self._names = [part[0] for part in parts]
            if not self._complete and mode in ("error", "ignore") and self.exists():
                self.close()
                self._check(mode)

    def write(self, payload: Payload, count: int) -> None:
        """Take the next rows: note down what the workers have written, and write what they gave."""
        folder = self._began().arrivals
        for piece in pieces_of(payload):
            if isinstance(piece, Arrival):
                self._end_own()
                self._take(folder, piece)
            else:
                self._write_own(folder, piece, count)

    def commit(self) -> None:
        """Make the folder visible under its name, or add to it what was written since the last commit."""
        if self._staged is None or self._complete:
            return
        with writing_errors(self.name):
            self._end_own()
            if self._mode == "append":
                self._add(self._staged)
                if self._final:
                    self._staged.forget()
                self._kept, self._complete = False, self._final
                return
            if not self._names and not self._final:
                self._write_own(self._staged.arrivals, None, 0)
                self._end_own()
            self._staged.publish(self._names, replaces=self._mode == "overwrite")
            self._complete = True
            self._remove()
            supersede(os.path.realpath(self._place))

    def abort(self, keep: bool = False) -> str | None:
        """Leave the target as it was; with *keep*, what was written is at the place returned."""
        if self._staged is None:
            return None
        try:
            if keep and not self._complete:
                with writing_errors(self.name):
                    self._end_own()
                    return self._staged.keep(self._names)
            return None
        finally:
            self._remove()

    def close(self) -> None:
        """What was neither checkpointed nor committed is aborted."""
        if not self._kept or self._complete:
            self.abort()
            return
        staged, self._staged = self._staged, None
        self._end_unfinished()
        if staged is not None:
            staged.release()

    def _check(self, mode: Mode) -> None:
        is_folder = os.path.isdir(self._place)
        if mode in ("error", "ignore"):
            modes = "mode='overwrite' or mode='append'" if is_folder else "mode='overwrite'"
            raise TargetExistsError(f"{self.name!r} exists already. Use {modes}, or another path.", sink=self.name)
        if mode == "append":
            check_folder(self._place)
            self._columns = self._columns_there()
            return
        if is_folder and self._place == self._target:
            text = f"{self.name!r} is a folder. To replace its part files end its name in '/'; mode='append' adds some."
            raise SinkError(text, sink=self.name)
        check_replaceable(self._place, self._endings)

    def _columns_there(self) -> tuple[str, ...] | None:
        """The columns of the part files that are there."""
        for path in found_parts(self._place, self._endings):
            if columns := self._kind.sink(path).columns_there():
                return columns
        return None

    def _began(self) -> StagedFolder:
        if self._staged is None or self._complete:
            raise SinkError(f"{self.name!r} is not open for writing.", sink=self.name)
        return self._staged

    # --- part files ---

    def _take(self, folder: str, arrival: Arrival) -> None:
        """Note down a part file that a worker has written, after a look at it."""
        with writing_errors(self.name):
            length = os.stat(os.path.join(folder, arrival.name)).st_size
        if length != arrival.length:
            raise SinkError(
                f"A part file of {self.name!r} is damaged: a worker wrote {arrival.length:,} bytes and {length:,} are "
                f"there. Is the file system full, or out of step?",
                sink=self.name,
            )
        before = self._columns
        if before is not None and arrival.columns is not None and before != arrival.columns:
            text = f"{self.name!r} has the columns {list(before)}, the records have {list(arrival.columns)}."
            raise SinkError(f"{text} Name the columns with fieldnames, or write another folder.", sink=self.name)
        self._columns = before or arrival.columns
        self._names.append(arrival.name)

    def _write_own(self, folder: str, payload: Payload, count: int) -> None:
        """Write rows to the part file of the driver, which begins with the first of them."""
        if self._own is None:
            name = f"{secrets.token_hex(8)}{self._suffix}"
            self._own = self._kind.sink(os.path.join(folder, name), self._columns)
            self._own.part_of = self.name
            self._own.open("error", self._known_fields)
            self._names.append(name)
        if count:
            self._own.write(payload, count)
        if self._own.room_taken() >= MOST:
            self._end_own()

    def _end_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            try:
                own.commit()
                self._columns = self._columns or own.columns
            finally:
                own.close()

    # --- the end ---

    def _add(self, staged: StagedFolder) -> None:
        if not self._names and not self._final and not self._adds_to_some():
            self._write_own(staged.arrivals, None, 0)
            self._end_own()
        staged.add(self._names)
        self._names = []

    def _adds_to_some(self) -> bool:
        """Whether there are part files already, to which others are added."""
        return self._mode == "append" and os.path.isdir(self._place) and bool(found_parts(self._place, self._endings))

    def _end_unfinished(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()

    def _remove(self) -> None:
        self._end_unfinished()
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.discard()
