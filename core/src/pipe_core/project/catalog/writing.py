"""Writing one value into one sink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipe_core.kernel.contracts import Mode, Sink, TabularSink
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.loading import Piece, check_table
from pipe_core.project.catalog.rows import applied, validated
from pipe_core.project.catalog.values import grouped, is_table, plain, records_in, table_of
from pipe_core.project.catalog.windows import Side, Span
from pipe_core.records.schema import PlainSerializer, Schema


class Writer:
    """Writes records and tables into a sink that it opens.

    Args:
        dataset: Whose sink it is.
        sink: Where they go.
        mode: What becomes of what is there.
        schema: What records must be; None where they were checked, or need not be.
        fields: The names of the fields, where they are known.

    Attributes:
        count: How many records were written.
    """

    def __init__(
        self,
        dataset: Dataset,
        sink: Sink,
        mode: Mode,
        schema: Schema | None,
        fields: Sequence[str] | None = None,
    ) -> None:
        self._dataset = dataset
        self._sink = sink
        self._schema = schema
        fields = fields if schema is None else schema.fields
        sink.open(mode, fields)
        self._encoder = sink.encoder()
        names = None if fields is None else tuple(fields)
        self._plain_row = self._encoder.bind(PlainSerializer(names))
        self._row = self._plain_row if schema is None else self._encoder.bind(schema)
        self._write_table = sink.write_table if isinstance(sink, TabularSink) else None
        self.count = 0

    def write(self, value: Any) -> None:
        """Write a value, which is checked against the schema. Raises `PipeError`."""
        if self._write_table is not None and is_table(value):
            table = table_of(value)
            if self._schema is not None:
                check_table(self._dataset, self._schema, table)
            self._put_table(table)
            return
        for group in grouped(records_in(value)):
            if self._schema is None:
                self._put(self._row, list(map(plain, group)))
            else:
                self._put(self._row, validated(self._dataset, self._schema, group, self.count))

    def keep(self, piece: Piece, span: Span, side: Side) -> None:
        """Write again what is there on that side of a window. Raises `PipeError`."""
        if self._write_table is not None:
            self._put_table(span.part(piece.table(None), side))
            return
        for group in grouped(span.picked(piece.records(), side)):
            self._put(self._plain_row, group)

    def _put(self, row: Callable[[Any], Any], records: list[Any]) -> None:
        rows = applied(self._dataset, row, records, self.count, "cannot be written")
        self._sink.write(self._encoder.join(rows), len(rows))
        self.count += len(rows)

    def _put_table(self, table: Any) -> None:
        assert self._write_table is not None  # who calls has looked
        self._write_table(table)
        self.count += table.num_rows


def replaced(writer: Writer, value: Any, old: Iterable[Piece], span: Span) -> int:
    """Write *value* in the place of what *old* has in a window. How many records of it there are."""
    kept = list(old)
    for piece in kept:
        writer.keep(piece, span, "before")
    before = writer.count
    if value is not None:
        writer.write(value)
    count = writer.count - before
    for piece in kept:
        writer.keep(piece, span, "behind")
    return count
