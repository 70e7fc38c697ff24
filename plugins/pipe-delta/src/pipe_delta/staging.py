"""The hidden folder of a run: records that wait for their commit, and files that wait for coming to the table."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipe_core.formats.hidden_folder import HiddenFolder, hidden_folder, supersede, take_over, tidy
from pipe_core.formats.staging import gone
from pipe_core.runtime.durable import sync_folder
from pipe_delta.arrival import Arrivals
from pipe_delta.data_files import DataFile
from pipe_delta.place import Place
from pipe_delta.spill import Spill


def beside(place: Place, staging: str | None) -> str:
    """What hidden folders are made beside: the table, or its name in another folder."""
    if staging is None and place.is_local:
        return place.target
    folder = os.path.realpath(os.path.expanduser(staging or tempfile.gettempdir()))
    return os.path.join(folder, os.path.basename(place.target.rstrip("/")) or "table")


class Staging:
    """A hidden folder beside *target*. What killed runs left there is removed, where nobody wants to go on with it.

    Args:
        place: Where the table is.
        target: What `beside` gave.
        state: What `checkpoint` gave, in the process that wrote it.

    Raises:
        SinkError: What *state* tells of is gone, or its process lives.
    """

    def __init__(self, place: Place, target: str, state: Mapping[str, Any] | None = None) -> None:
        self._place = place
        self._target = target
        self._hidden = self._begun() if state is None else self._taken(state)
        self.arrivals = Arrivals(self._hidden.arrivals, place)
        self.spill = Spill(self._hidden.arrivals)
        if state is not None:
            self._restore(state)

    @property
    def name(self) -> str:
        """The name of the hidden folder."""
        return os.path.basename(self._hidden.path)

    def keep(self, names: Sequence[str]) -> list[list[Any]]:
        """Let what was written stay where the process is killed. The files *names*, and their sizes."""
        sync_folder(self._hidden.arrivals)
        self._hidden.keep()
        return [[name, os.path.getsize(os.path.join(self._hidden.arrivals, name))] for name in names]

    def forget(self) -> None:
        """Nobody goes on with it any more."""
        self._hidden.forget()

    def supersede(self) -> None:
        """Remove what killed runs wanted to go on with: all that they have is replaced."""
        supersede(self._target)

    def partial(self, files: Sequence[DataFile]) -> str:
        """Leave *files* in the folder ``<table>.partial``, or one with a longer name. Its place is returned."""
        place = f"{self._target}.partial"
        if os.path.lexists(place):
            place = f"{place}.{secrets.token_hex(6)}"
        os.mkdir(place)
        for file in files:
            os.rename(os.path.join(self._hidden.arrivals, file.name), os.path.join(place, file.name))
        sync_folder(place)
        return place

    def discard(self) -> None:
        """Remove it."""
        self.spill.close()
        self._hidden.discard()

    def release(self) -> None:
        """Let go of it. It stays."""
        self.spill.close()
        self._hidden.release()

    def _begun(self) -> HiddenFolder:
        tidy(self._target)
        hidden = hidden_folder(self._target, ())
        try:
            os.mkdir(hidden.arrivals)
        except BaseException:
            hidden.discard()
            raise
        return hidden

    def _taken(self, state: Mapping[str, Any]) -> HiddenFolder:
        hidden = take_over(state["folder"], self._target, ())
        tidy(self._target)
        if hidden is None:
            raise gone(self._place.name)
        return hidden

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Have what *state* tells of, and nothing else."""
        files = files_in(state)
        sizes = dict(state["records"])
        folder = self._hidden.arrivals
        whole = all(_size(os.path.join(folder, name)) == size for name, size in sizes.items())
        if not (whole and (not files or self.arrivals.has(files))):
            self.release()
            raise gone(self._place.name, "some of its files are missing")
        _only(folder, {*sizes, *(file.name for file in files)})
        self.spill.names = list(sizes)


def files_in(state: Mapping[str, Any]) -> list[DataFile]:
    """The files that a state tells of."""
    return [DataFile(*one) for one in state["files"]]


def _only(folder: str, names: Iterable[str]) -> None:
    for name in set(os.listdir(folder)) - set(names):
        os.unlink(os.path.join(folder, name))


def _size(path: str) -> int | None:
    with suppress(OSError):
        return os.path.getsize(path)
    return None


def remove_staged(target: str, state: Mapping[str, Any]) -> None:
    """Remove what was staged for a commit that was made."""
    hidden = take_over(state["folder"], target, ())
    if hidden is not None:
        hidden.discard()
    tidy(target)
