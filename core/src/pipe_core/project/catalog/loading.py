"""Loading: what is at the place of a data set becomes what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipe_core.kernel.contracts import Source
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetRecordError
from pipe_core.project.catalog.raw_files import decoded, raw_bytes
from pipe_core.project.catalog.rows import validated
from pipe_core.project.catalog.values import BATCH, grouped
from pipe_core.records.schema import Schema

_CHUNK = 10_000


def load(dataset: Dataset) -> Any:
    """The value of *dataset*. Raises `PipeError`."""
    if dataset.is_raw:
        return decoded(dataset, raw_bytes(dataset))
    if dataset.is_json:
        return _json(dataset, dataset.schema())
    return list(records(dataset, dataset.schema()))


def _json(dataset: Dataset, schema: Schema | None) -> Any:
    value = decoded(dataset, raw_bytes(dataset))
    if schema is None:
        return value
    if isinstance(value, list):
        return validated(dataset, schema, value, 0)
    return validated(dataset, schema, [value], 0)[0]


def records(dataset: Dataset, schema: Schema | None) -> Iterator[Any]:
    """The records of *dataset*, as its schema has them. Raises `PipeError`."""
    first = 0
    with opened(dataset.source()) as source:
        for group in grouped(read(dataset, source)):
            yield from group if schema is None else validated(dataset, schema, group, first)
            first += len(group)


def read(dataset: Dataset, source: Source) -> Iterator[Any]:
    """The records of an open source as they are read.

    Raises:
        DatasetRecordError: One cannot be read.
    """
    position = 0
    for chunk in source.chunks(lambda: _CHUNK):
        for batch in chunk.batches(BATCH):
            for index, why in sorted(batch.rejected.items()):
                at = position + index
                text = f"{dataset.title}: the record at position {at:,} cannot be read: {why.message}"
                raise DatasetRecordError(text, dataset=dataset.name, position=at, value=why.raw, reasons=[why.type])
            yield from batch.records
            position += len(batch.records)


@contextmanager
def opened(source: Source) -> Iterator[Source]:
    """*source*, open, and closed at the end."""
    source.open()
    try:
        yield source
    finally:
        source.close()
