"""Where row groups go: into one file, or into the part files of a folder."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from typing import Any, Final, Protocol

import pyarrow as pa

from pipe_arrow.file_in_work import FileInWork
from pipe_arrow.kind_text import kind_of, text_of
from pipe_arrow.silent_file import SilentFile
from pipe_arrow.writers import Writing
from pipe_core.formats.hidden_file import remove_kept_files, remove_left_files
from pipe_core.formats.hidden_folder import supersede
from pipe_core.formats.part_folder import StagedFolder, check_folder, check_replaceable, found_parts
from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import SinkError

_UNLIMITED: Final = sys.maxsize


class Output(Protocol):
    """A file or a folder in work. A *kind* is the struct of the columns as they are to be written."""

    @property
    def room(self) -> int:
        """The most records of the next row group."""

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group."""

    def checkpoint(self, kind: pa.DataType, final: bool) -> dict[str, Any]:
        """Make durable what was written. What another process needs to go on, or where it is *final*, to publish it."""

    def release(self) -> None:
        """Let go of it. It stays where it is."""

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
        whole: The file, where another process has written all of it.
    """

    def __init__(self, path: str, writing: Writing, whole: SilentFile | None = None) -> None:
        remove_left_files(path)
        self._path = path
        self._file = FileInWork(path, writing) if whole is None else None
        self._whole = whole

    @property
    def room(self) -> int:
        """As many as there are."""
        return _UNLIMITED

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group."""
        if self._file is None or self._whole is not None:
            raise ended(self._path)
        self._file.write(tables, kind)

    def checkpoint(self, kind: pa.DataType, final: bool) -> dict[str, Any]:
        """Bring the file to its end, and let it stay beside its place. Raises `SinkError` where it is not *final*."""
        if not final:
            raise SinkError(
                f"{self._path!r} has no checkpoint before its end: a file of columns says at its end what is in it. "
                f"Write part files to a folder, which has some: end its name in '/', as in {self._path + '/'!r}.",
                sink=self._path,
            )
        return self._ended(kind).checkpoint()

    def release(self) -> None:
        """Close the file. It stays beside its place."""
        if self._whole is not None:
            self._whole.release()

    def publish(self, kind: pa.DataType) -> bool:
        """Put the file in its place."""
        self._ended(kind).publish()
        remove_kept_files(self._path)
        return True

    def keep(self, kind: pa.DataType) -> str:
        """Leave the file beside its place."""
        return self._ended(kind).keep()

    def discard(self) -> None:
        """Remove the file."""
        if self._whole is not None:
            self._whole.discard()
        elif self._file is not None:
            self._file.discard()

    def _ended(self, kind: pa.DataType) -> SilentFile:
        if self._whole is None:
            assert self._file is not None  # it is one of the two
            self._whole = self._file.finish(kind)
        return self._whole


class FolderOutput:
    """Part files in a folder, which appears whole; or, appending, one part file more with each commit.

    Args:
        path: The folder.
        writing: What the part files are.
        suffixes: Of files of the format.
        mode: What becomes of a folder that is there.
        folder: The hidden folder, where another process has begun to write.
        ended: The columns of its part files, where more may be written; None where they are all there, and in order.

    Raises:
        SinkError: What is there is no folder, or one that is not replaced.
    """

    def __init__(
        self,
        path: str,
        writing: Writing,
        suffixes: tuple[str, ...],
        mode: Mode,
        folder: StagedFolder | None = None,
        ended: Mapping[str, pa.DataType] | None = None,
    ) -> None:
        check_folder(path)
        if mode == "overwrite":
            check_replaceable(path, suffixes)
        self._path = path
        self._writing = writing
        self._mode = mode
        self._most = _UNLIMITED if mode == "append" else writing.options.part_size
        self._suffixes = suffixes
        self._names: list[str] = []
        self._files: list[FileInWork] = []
        self._ended: dict[str, pa.DataType] = {}
        self._is_whole = folder is not None and ended is None
        if ended is not None:
            self._ended, self._names = dict(ended), list(ended)
        self._folder = folder or StagedFolder(path, suffixes[0], suffixes)

    @property
    def room(self) -> int:
        """What the part file in work still takes."""
        if not self._files or self._files[-1].rows >= self._most:
            return self._most
        return self._most - self._files[-1].rows

    def write(self, tables: list[pa.Table], kind: pa.DataType) -> None:
        """Take a row group."""
        if self._is_whole:
            raise ended(self._path)
        if not self._files or self._files[-1].rows >= self._most:
            self._begin()
        self._files[-1].write(tables, kind)

    def checkpoint(self, kind: pa.DataType, final: bool) -> dict[str, Any]:
        """Bring the part files in work to their end; where it is *final*, put all in order beside their place."""
        if not final:
            return self._checkpoint_between(kind)
        self._bring_to_end(kind)
        names, self._names = self._names, []
        self._is_whole = True
        return {"folder": self._folder.name, "parts": self._folder.keep_whole(names)}

    def _checkpoint_between(self, kind: pa.DataType) -> dict[str, Any]:
        files, self._files = self._files, []
        for name, file in zip(self._names[len(self._names) - len(files) :], files, strict=True):
            file.publish_staged(kind)
            self._ended[name] = kind
        kinds = list(dict.fromkeys(text_of(self._ended[name]) for name in self._names))
        return {
            "folder": self._folder.name,
            "parts": self._folder.keep_arrivals(self._names),
            "kinds": kinds,
            "kind_of": [kinds.index(text_of(self._ended[name])) for name in self._names],
        }

    def release(self) -> None:
        """Let go of the hidden folder. It stays, without the part files that have not ended."""
        for file in self._files:
            file.discard()
        self._files = []
        self._folder.release()

    def publish(self, kind: pa.DataType) -> bool:
        """Put the folder in its place, or its one new file into the folder."""
        if not self._is_whole:
            self._bring_to_end(kind)
        if self._mode == "append":
            self._folder.add(self._names)
            self._names, self._ended = [], {}
            self._folder.forget()
            if self._is_whole:
                self._folder.discard()
            return self._is_whole
        self._folder.publish(self._names, replaces=self._mode == "overwrite")
        self._folder.discard()
        supersede(os.path.realpath(self._path))
        return True

    def keep(self, kind: pa.DataType) -> str:
        """Leave the folder beside its place."""
        if not self._is_whole:
            self._finish(kind)
        return self._folder.keep(self._names)

    def discard(self) -> None:
        """Remove the hidden folder."""
        for file in self._files:
            file.discard()
        self._files = []
        self._folder.discard()

    def _bring_to_end(self, kind: pa.DataType) -> None:
        if not self._names and not (self._mode == "append" and _holds_parts(self._path, self._suffixes)):
            self._begin()
        self._finish(kind)

    def _begin(self) -> None:
        name = f"{secrets.token_hex(8)}{self._suffixes[0]}"
        self._files.append(FileInWork(os.path.join(self._folder.arrivals, name), self._writing))
        self._names.append(name)

    def _finish(self, kind: pa.DataType) -> None:
        """Bring the part files to their end, where nobody sees them yet."""
        for file in self._files:
            file.publish(kind)
        self._files = []
        self._names = [self._as_last(name, kind) for name in self._names]
        self._ended = {}

    def _as_last(self, name: str, kind: pa.DataType) -> str:
        """A part file with the columns *kind*: that one, or where it was ended with others, a new one of the same rows.

        The old one stays where it is: a state that was written down may name it.
        """
        before, staged = self._ended.get(name), self._writing.staged
        if before is None or (before == kind and staged == self._writing):
            return name
        again = f"{secrets.token_hex(8)}{self._suffixes[0]}"
        file = FileInWork(os.path.join(self._folder.arrivals, again), self._writing)
        try:
            with staged.reading.opened(os.path.join(self._folder.arrivals, name)) as old:
                for i in range(len(old.groups)):
                    file.write([pa.Table.from_batches(old.batches(i), old.schema)], kind)
            file.publish(kind)
        except BaseException:
            file.discard()
            raise
        return again


def ended_parts(state: Mapping[str, Any]) -> dict[str, pa.DataType] | None:
    """The part files, with their columns, that a checkpoint of a folder told of; None for a final one.

    Raises:
        KeyError: The state is damaged.
        ValueError: So it is.
    """
    if state["final"]:
        return None
    kinds = dict(enumerate(map(kind_of, state["kinds"])))
    return {part[0]: kinds[i] for part, i in zip(state["parts"], state["kind_of"], strict=True)}


def ended(name: str) -> SinkError:
    """Nothing can be written any more."""
    return SinkError(f"{name!r} has been brought to its end. Nothing is written behind that.", sink=name)


def columns_there(path: str, writing: Writing, suffixes: tuple[str, ...]) -> pa.DataType:
    """The columns of the last part file in the folder *path*, as a struct; none where there is no such file.

    The types of an Avro file are not looked at.
    """
    if writing.format == "avro" or not _holds_parts(path, suffixes):
        return pa.struct([])
    with writing.reading.opened(list(found_parts(path, suffixes))[-1]) as file:
        return pa.struct(list(file.schema))


def _holds_parts(path: str, suffixes: tuple[str, ...]) -> bool:
    return os.path.isdir(path) and bool(found_parts(path, suffixes))
