"""What the tests of this folder share: a format by name, and everything that a source gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipe_core.formats import csv_format, json_format, jsonl_format, memory_format, plugin
from pipe_core.kernel.contracts import Batch, Extent, Format, Rejection, Source
from pipe_core.kernel.errors import SourceError

# Imported before a test changes the size of blocks: `plugin` imports them only when they are asked for.
LOADED = (csv_format, json_format, jsonl_format, memory_format)


@dataclass
class Found:
    """What was read: good records, rejections by position, and the error that ended it."""

    records: list[Any] = field(default_factory=list)
    rejected: dict[int, Rejection] = field(default_factory=dict)
    error: SourceError | None = None
    read: int = 0

    def add(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            for i, record in enumerate(batch.records):
                if i in batch.rejected:
                    assert record is None
                    self.rejected[self.read] = batch.rejected[i]
                else:
                    self.records.append(record)
                    assert batch.raw(i) == record
                self.read += 1

    @property
    def types(self) -> list[str]:
        return [self.rejected[i].type for i in sorted(self.rejected)]


def make(name: str, **options: Any) -> Format:
    spec = plugin.pipe_format(name)
    assert spec is not None
    return spec.factory(spec.options(**options))


def read_chunks(source: Source, chunk: int = 7, size: int = 3) -> Found:
    """Everything, from the beginning."""
    found = Found()
    try:
        source.open()
        for piece in source.chunks(lambda: chunk):
            found.add(piece.batches(size))
    except SourceError as error:
        found.error = error
    finally:
        source.close()
    return found


def read_splits(source: Source, split: int, size: int = 3) -> Found | None:
    """Everything, as a driver reads it: a split that does not begin where the one before ended is read again."""
    found, end = Found(), None
    source.open()
    splits = source.splits(lambda: split)
    if splits is None:
        source.close()
        return None
    for one in splits:
        batches = list(one.batches(size))
        if end is not None and one.extent != Extent(end, one.extent.end):
            one = one.starting_at(end)
            batches = list(one.batches(size))
            assert one.extent.begin == end
        found.add(batches)
        end = one.extent.end
    source.close()
    return found


def read(name: str, path: Path, **options: Any) -> Found:
    return read_chunks(make(name, **options).source(path))
