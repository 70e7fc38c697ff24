"""Where row groups go: into one file, or into the part files of a folder."""

from __future__ import annotations

import os
import sys
from typing import Final, Protocol

import pyarrow as pa

from pipe_arrow.file_in_work import FileInWork
from pipe_arrow.folder import StagedFolder, part_files
from pipe_arrow.writers import Writing
from pipe_core.kernel.errors import SinkError

_UNLIMITED: Final = sys.maxsize


class Output(Protocol):
    """A file or a folder in work. A *kind* is the struct of the columns as they are to be written."""

    @property
    def room(self) -> int:
        """The most records of the next row group."""

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group."""

    def publish(self, kind: pa.DataType) -> bool:
        """Make visible what was written. True when nothing can be written any more."""

    def keep(self, kind: pa.DataType) -> str:
        """Leave what was written beside the target; the result says where."""

    def discard(self) -> None:
        """Remove what was not published."""


class FileOutput:
    """One file.

    Args:
        path: Where it goes.
        writing: What it is.
    """

    def __init__(self, path: str, writing: Writing) -> None:
        self._file = FileInWork(path, writing)

    @property
    def room(self) -> int:
        """As many as there are."""
        return _UNLIMITED

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group."""
        self._file.write(tables, kind)

    def publish(self, kind: pa.DataType) -> bool:
        """Put the file in its place."""
        self._file.publish(kind)
        return True

    def keep(self, kind: pa.DataType) -> str:
        """Leave the file beside its place."""
        return self._file.keep(kind)

    def discard(self) -> None:
        """Remove the file."""
        self._file.discard()


class FolderOutput:
    """Part files in a folder, which appears whole; or, appending, one part file more with each commit.

    Args:
        path: The folder.
        writing: What the part files are.
        suffixes: Of files of the format.
        appends: Whether what is in the folder stays.
    """

    def __init__(self, path: str, writing: Writing, suffixes: tuple[str, ...], appends: bool) -> None:
        if os.path.lexists(path) and not os.path.isdir(path):
            raise SinkError(f"{path!r} is a file, and part files need a folder. Remove it first.", sink=path)
        self._path = path
        self._writing = writing
        self._most = _UNLIMITED if appends else getattr(writing.options, "part_size", _UNLIMITED)
        self._suffix = suffixes[0]
        self._appends = appends
        self._files: list[tuple[str, FileInWork]] = []
        self.kind = _kind_of(path, writing, suffixes) if appends and os.path.isdir(path) else pa.struct([])
        self._folder = StagedFolder(path, self._suffix)

    @property
    def room(self) -> int:
        """What the part file in work still takes."""
        if not self._files or self._files[-1][1].rows >= self._most:
            return self._most
        return self._most - self._files[-1][1].rows

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group."""
        if not self._files or self._files[-1][1].rows >= self._most:
            self._begin()
        self._files[-1][1].write(tables, kind)

    def publish(self, kind: pa.DataType) -> bool:
        """Put the folder in its place, or its one new file into the folder."""
        adds = self._appends and os.path.isdir(self._path)
        if not adds and not self._files:
            self._begin()
        for _, file in self._files:
            file.publish(kind)
        if not adds:
            self._folder.publish()
        for path, _ in self._files if adds else ():
            self._folder.add(path)
        self._files = []
        if self._appends and not adds:
            self._folder = StagedFolder(self._path, self._suffix)
        return not self._appends

    def keep(self, kind: pa.DataType) -> str:
        """Leave the folder beside its place."""
        for path, file in self._files:
            os.replace(file.keep(kind), path)
        self._files = []
        return self._folder.keep()

    def discard(self) -> None:
        """Remove the hidden folder."""
        for _, file in self._files:
            file.discard()
        self._files = []
        self._folder.discard()

    def _begin(self) -> None:
        path = self._folder.next()
        self._files.append((path, FileInWork(path, self._writing)))


def _kind_of(path: str, writing: Writing, suffixes: tuple[str, ...]) -> pa.DataType:
    """The columns of the last part file that is there."""
    files = part_files(path, suffixes)
    if not files:
        return pa.struct([])
    if writing.format == "avro":
        return pa.struct([])
    with writing.reading.opened(files[-1]) as file:
        return pa.struct(list(file.schema))
