"""Writing one value into one sink."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipe_core.kernel.contracts import Mode, Sink
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.rows import applied, validated
from pipe_core.project.catalog.values import grouped, plain
from pipe_core.records.schema import PlainSerializer, Schema


class Writer:
    """Writes records into a sink that it opens.

    Args:
        dataset: Whose sink it is.
        sink: Where they go.
        mode: What becomes of what is there.
        schema: What they must be.
    """

    def __init__(self, dataset: Dataset, sink: Sink, mode: Mode, schema: Schema | None) -> None:
        self._dataset = dataset
        self._sink = sink
        self._schema = schema
        self.count = 0
        fields = None if schema is None else schema.fields
        sink.open(mode, fields)
        self._encoder = sink.encoder()
        self._row = self._encoder.bind(PlainSerializer() if schema is None else schema)
        self._plain_row = self._encoder.bind(PlainSerializer(fields))

    def write(self, records: Iterable[Any]) -> None:
        """Write records, which are checked against the schema. Raises `PipeError`."""
        for group in grouped(records):
            if self._schema is None:
                self._put(self._row, list(map(plain, group)))
            else:
                self._put(self._row, validated(self._dataset, self._schema, group, self.count))

    def write_as_they_are(self, records: Iterable[Any]) -> None:
        """Write records that were in the data set before. Raises `PipeError`."""
        for group in grouped(records):
            self._put(self._plain_row, group)

    def _put(self, row: Any, records: list[Any]) -> None:
        rows = applied(self._dataset, row, records, self.count, "cannot be written")
        self._sink.write(self._encoder.join(rows), len(rows))
        self.count += len(rows)
