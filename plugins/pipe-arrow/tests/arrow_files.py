"""What the tests share: writing records to a file of a format, and reading it as a run would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipe_core import SourceError, get_format
from pipe_core.testing.formats import PlainSerializer

FORMATS = ("parquet", "feather", "orc", "avro")
ARROW = FORMATS[:3]


@dataclass
class Found:
    records: list[Any] = field(default_factory=list)
    rejected: dict[int, Any] = field(default_factory=dict)
    error: SourceError | None = None


def begun(format: str, path: Any, *, mode: str = "error", fields: Sequence[str] | None = None, **options: Any) -> Any:
    sink = get_format(format, **options).sink(path)
    sink.open(mode, fields)
    return sink


def put(sink: Any, records: Sequence[Any], pieces: int = 1) -> None:
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    step = max(1, -(-len(records) // pieces))
    for start in range(0, len(records), step):
        rows = [row(record) for record in records[start : start + step]]
        sink.write(encoder.merge([encoder.join(rows)]), len(rows))


def write(format: str, path: Any, records: Sequence[Any], *, pieces: int = 1, **how: Any) -> None:
    sink = begun(format, path, **how)
    try:
        put(sink, records, pieces)
        sink.commit()
    finally:
        sink.close()


def _take(found: Found, readable: Any) -> None:
    for batch in readable.batches(7):
        found.rejected |= {len(found.records) + i: why for i, why in batch.rejected.items()}
        found.records += batch.records


def read(format: str, path: Any, chunk: int = 50, **options: Any) -> Found:
    """Through chunks."""
    found = Found()
    source = get_format(format, **options).source(path)
    try:
        source.open()
        for one in source.chunks(lambda: chunk):
            _take(found, one)
    except SourceError as error:
        found.error = error
    finally:
        source.close()
    return found


def splits(format: str, path: Any, size: int, **options: Any) -> list[Any]:
    source = get_format(format, **options).source(path)
    source.open()
    try:
        return list(source.splits(lambda: size))
    finally:
        source.close()


def read_splits(format: str, path: Any, size: int, **options: Any) -> Found:
    found = Found()
    try:
        for split in splits(format, path, size, **options):
            _take(found, split)
    except SourceError as error:
        found.error = error
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
