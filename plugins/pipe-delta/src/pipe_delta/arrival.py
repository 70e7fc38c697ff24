"""Files on their way from the hidden folder, where they were written, to the table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

import pyarrow.fs as pa_fs

from pipe_core.formats.staging import gone
from pipe_core.runtime.durable import sync_folder
from pipe_delta.data_files import DataFile
from pipe_delta.place import Place
from pipe_delta.statistics import statistics


class Arrivals:
    """Files in a hidden folder.

    Args:
        folder: The folder.
        place: Where the table is.
    """

    def __init__(self, folder: str, place: Place) -> None:
        self.folder = folder
        self._place = place

    def put(self, files: Sequence[DataFile]) -> None:
        """Bring *files* to the table, where nobody sees them before the log names them. Those that are there stay.

        Raises:
            SinkError: One of them is gone.
        """
        if self._place.is_local:
            self._move(files)
            return
        store = self._place.store()
        for file in files:
            path = self._found(file)
            pa_fs.copy_files(path, file.path, source_filesystem=pa_fs.LocalFileSystem(), destination_filesystem=store)

    def remove(self, paths: Iterable[str]) -> None:
        """Take files away from the table again, which its log does not name. What fails there, `vacuum` does."""
        for path in paths:
            with suppress(OSError):
                if self._place.is_local:
                    os.unlink(self._at(path))
                else:
                    self._place.store().delete_file(path)

    def take_back(self, files: Iterable[DataFile]) -> None:
        """Bring *files* back from the table, whose log does not name them."""
        for file in files:
            place = os.path.join(self.folder, file.name)
            if self._place.is_local and not os.path.exists(place):
                with suppress(OSError):
                    os.rename(self._at(file.path), place)
            else:
                self.remove([file.path])
            if self._place.is_local:
                self._without_empty(os.path.dirname(self._at(file.path)))

    def _without_empty(self, folder: str) -> None:
        """Remove a folder of the table, and those that it is in, where nothing is in them."""
        with suppress(OSError):
            while folder.startswith(self._place.target):
                os.rmdir(folder)
                folder = os.path.dirname(folder)

    def statistics(self, file: DataFile) -> str:
        """What the log says of a file."""
        place = os.path.join(self.folder, file.name)
        return statistics(place if os.path.exists(place) else self._at(file.path))

    def has(self, files: Iterable[DataFile]) -> bool:
        """Whether all of *files* are here, or at the table already."""
        return all(self._size(file) == file.bytes for file in files)

    def _move(self, files: Sequence[DataFile]) -> None:
        folders = set()
        for file in files:
            target = self._at(file.path)
            path = self._found(file)
            if path != target:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.rename(path, target)
            folders.add(os.path.dirname(target))
        root = self._place.target
        while folders:
            folder = folders.pop()
            sync_folder(folder)
            if folder != root:
                folders.add(os.path.dirname(folder))
        if files:
            sync_folder(os.path.dirname(root))

    def _size(self, file: DataFile) -> int | None:
        for path in (os.path.join(self.folder, file.name), self._at(file.path)):
            with suppress(OSError):
                return os.path.getsize(path)
        return None

    def _found(self, file: DataFile) -> str:
        for path in (os.path.join(self.folder, file.name), self._at(file.path)):
            if os.path.exists(path):
                return path
        raise gone(self._place.name, f"its file {file.name} is missing")

    def _at(self, path: str) -> str:
        return os.path.join(self._place.target, *path.split("/"))
