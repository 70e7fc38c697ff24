"""Many files as one source: a pattern such as ``orders-*.csv``, read file by file in the order of their names."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipe_core.kernel.contracts import (
    Batch,
    Chunk,
    Extent,
    FingerprintedSource,
    SeekableSource,
    SizeNow,
    Source,
    Split,
)
from pipe_core.kernel.errors import SourceError, SourceNotFoundError
from pipe_core.kernel.urls import redacted


def is_pattern(target: str) -> bool:
    """Whether *target* means many files. A file of exactly that name comes first."""
    return "://" not in target and glob.has_magic(target) and not os.path.exists(target)


class ManySources:
    """The records of several files, one file after the other.

    All files must have the fields of the first one. Workers read splits of files that can be split, and whole files
    of those that cannot, such as compressed ones.

    Args:
        pattern: What was asked for.
        open_one: Makes the source of one path.
        find: Gives the files that the pattern means, in order, with their sizes, where the pattern is a URL.
    """

    live = False

    def __init__(
        self, pattern: str, open_one: Callable[[str], Source], find: Callable[[str], Mapping[str, int]] | None = None
    ) -> None:
        self._pattern = pattern
        self._open_one = open_one
        self._find = find
        self._paths: Sequence[str] = ()
        self._sizes: Mapping[str, int] = {}
        self._fields: Sequence[str] | None = None
        self.travels: tuple[type, ...] = ()

    @property
    def name(self) -> str:
        """The pattern; a URL without its secrets."""
        return redacted(self._pattern)

    @property
    def fields(self) -> Sequence[str] | None:
        """The fields of the first file. Known after `open`."""
        return self._fields

    @property
    def size(self) -> int | None:
        """The bytes of all files."""
        return sum(map(self._size_of, self._paths)) or None

    def open(self) -> None:
        """Find the files and look into the first one.

        Raises:
            SourceNotFoundError: No file has such a name.
        """
        if self._find is not None:
            self._sizes = self._find(self._pattern)
        self._paths = sorted(glob.glob(self._pattern, recursive=True)) if self._find is None else list(self._sizes)
        if not self._paths:
            raise SourceNotFoundError(
                f"No file is called like '{self.name}'. Is the pattern right, and the working folder?",
                source=self.name,
            )
        with _opened(self._open_one(self._paths[0])) as first:
            self._fields = first.fields
            self.travels = getattr(first, "travels", ())

    def splits(self, size: SizeNow) -> Iterator[Split]:
        """Splits of the files, in order; a file that cannot be split is one."""
        return self._splits(self._paths, size)

    def _splits(self, paths: Sequence[str], size: SizeNow) -> Iterator[Split]:
        for path in paths:
            with self._opened(path) as source:
                splits = source.splits(size)
                if splits is not None:
                    yield from splits
                    continue
            yield WholeFile(self._open_one, path, self._size_of(path))

    def splits_behind(self, extent: Extent, size: SizeNow) -> Iterator[Split] | None:
        """See `SeekableSource`: in the file that *extent* names, and the files behind it."""
        for number, path in enumerate(self._paths):
            with self._opened(path) as source:
                if isinstance(source, SeekableSource) and (splits := source.splits_behind(extent, size)) is not None:
                    return itertools.chain(splits, self._splits(self._paths[number + 1 :], size))
        return None

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: of every file by its name, where its format can tell."""
        found = {}
        for path in self._paths:
            with self._opened(path) as source:
                found[redacted(path)] = dict(source.fingerprint()) if isinstance(source, FingerprintedSource) else {}
        return found

    def chunks(self, size: SizeNow) -> Iterator[Chunk]:
        """Chunks of the files, in order."""
        for path in self._paths:
            with self._opened(path) as source:
                yield from source.chunks(size)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[Source]:
        with _opened(self._open_one(path)) as source:
            fields = source.fields
            if fields is not None and self._fields is not None and tuple(fields) != tuple(self._fields):
                raise SourceError(
                    f"The fields of {source.name} ({', '.join(fields)}) are not those of the first file "
                    f"({', '.join(self._fields)}). Read files of different kinds by pipes of their own.",
                    source=source.name,
                )
            yield source

    def _size_of(self, path: str) -> int:
        return os.path.getsize(path) if self._find is None else self._sizes[path]

    def close(self) -> None:
        """Every file was closed when it had been read."""


@dataclass(slots=True)
class WholeFile:
    """A file that a worker reads from its beginning to its end. `bytes` is its length."""

    open_one: Callable[[str], Source] = field(repr=False)  # it holds options, the path perhaps a password
    path: str = field(repr=False)
    bytes: int

    @property
    def extent(self) -> Extent | None:
        """None: where it begins and ends is no guess."""
        return None

    def starting_at(self, begin: int) -> WholeFile:
        """Itself: it has no borders to correct."""
        return self

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        with _opened(self.open_one(self.path)) as source:
            for chunk in source.chunks(lambda: size):
                yield from chunk.batches(size)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Source]:
    source.open()
    try:
        yield source
    finally:
        source.close()
