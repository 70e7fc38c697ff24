"""Loading: what is at the place of a data set becomes what was asked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from pipe_core.kernel.contracts import Source, TabularSource, WindowSource
from pipe_core.project.catalog import partitions
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetRecordError
from pipe_core.project.catalog.raw_files import decoded, raw_bytes
from pipe_core.project.catalog.rows import shown, validated
from pipe_core.project.catalog.values import BATCH, grouped, installed
from pipe_core.project.catalog.windows import Span
from pipe_core.records.schema import Schema

logger: Final = logging.getLogger("pipe_core.project.catalog")

_CHUNK: Final = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a data set with a source of its own.

    Attributes:
        dataset: The data set.
        target: Where the part is.
        key: The values that its folders tell.
        span: What is asked for. Where the source cannot leave the rest out, more is read.
    """

    dataset: Dataset
    target: str
    key: partitions.Key = ()
    span: Span | None = None

    def records(self) -> Iterator[Any]:
        """Its records as they are read, with what the folders tell. Raises `PipeError`."""
        told = dict(zip(self.dataset.config.partition_by, self.key, strict=False))
        with opened(self._source()) as source:
            for record in _read(self.dataset, source):
                yield {**record, **told} if told else record

    def table(self, schema: Schema | None) -> Any:
        """Its records as a table of Arrow. Raises `PipeError`."""
        with opened(self._source()) as source:
            if isinstance(source, TabularSource):
                table = source.read_table()
            else:
                table = _table_of_records(_read(self.dataset, source))
        if not self.key:
            return table
        return partitions.with_columns(self.dataset, table, self.key, _kinds(schema))

    def _source(self) -> Source:
        source = self.dataset.source(self.target)
        if self.span is not None and isinstance(source, WindowSource):
            source.read_between(self.span.column, self.span.window.start, self.span.window.upper)
        return source


def load(dataset: Dataset, span: Span | None) -> Any:
    """The value of *dataset*, or what of it is in the window. Raises `PipeError`."""
    if dataset.is_raw:
        return decoded(dataset, raw_bytes(dataset))
    schema = dataset.schema()
    if dataset.is_json and span is None:
        return _json(dataset, schema)
    found = list(pieces(dataset, span))
    into_class = isinstance(dataset.config.record_schema, type)
    form = dataset.config.load_as or ("arrow" if is_tabular(dataset) and not into_class else "records")
    if form not in ("arrow", "pandas"):
        records = (one for piece in found for one in piece.records())
        return list(_validated(dataset, schema, records) if span is None else _inside(dataset, schema, span, records))
    table = _table(dataset, schema, span, found)
    if form == "arrow":
        return table
    installed("pandas")
    return table.to_pandas()


def pieces(dataset: Dataset, span: Span | None) -> Iterator[Piece]:
    """The parts of *dataset*; of partitions by days, those of the window."""
    if not dataset.makes_folders:
        yield Piece(dataset, dataset.target, span=span)
        return
    top = partitions.root(dataset)
    for folder, key in partitions.found(dataset).items():
        if span is None or in_window(span, key) or span.is_unreadable(_day(span, key)):
            yield Piece(dataset, os.path.join(top, folder), key)


def in_window(span: Span, key: partitions.Key) -> bool:
    """Whether a partition may hold records of the window."""
    return span.column not in span.dataset.config.partition_by or _day(span, key) in span.window


def _day(span: Span, key: partitions.Key) -> str | None:
    """The date that the folders of a partition tell, if they tell one."""
    return dict(zip(span.dataset.config.partition_by, key, strict=True)).get(span.column)


def is_tabular(dataset: Dataset) -> bool:
    """Whether the format has its records in columns."""
    return isinstance(dataset.source(), TabularSource)


def _json(dataset: Dataset, schema: Schema | None) -> Any:
    value = decoded(dataset, raw_bytes(dataset))
    if schema is None:
        return value
    if isinstance(value, list):
        return validated(dataset, schema, value, 0)
    return validated(dataset, schema, [value], 0)[0]


def _inside(dataset: Dataset, schema: Schema | None, span: Span, records: Iterable[Any]) -> Iterator[Any]:
    """Those of *records* that are in the window, as the schema says. Errors tell their positions among all."""
    for group in grouped(_picked(dataset, schema, span, records)):
        inside = [record for _, record in group]
        positions = [position for position, _ in group]
        yield from inside if schema is None else validated(dataset, schema, inside, positions)


def _picked(dataset: Dataset, schema: Schema | None, span: Span, records: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Those of *records* that are in the window, with their positions.

    What cannot be read as a date belongs to no window, so no run would ever see it: the schema reads or refuses it.
    """
    lost: list[tuple[int, Any]] = []
    for position, record in enumerate(records):
        value, read = span.date_of(record), record
        if value not in span.window and span.is_unreadable(value) and schema is not None:
            (read,) = validated(dataset, schema, [record], position)
            value = span.date_of(read)
        if value in span.window:
            yield position, read
        elif span.is_unreadable(value):
            lost.append((position, value))
    _tell_lost(dataset, span, lost)


def _rows_inside(dataset: Dataset, schema: Schema | None, span: Span, table: Any) -> Any:
    """As `_inside`, of a table."""
    mask, lost = span.mask(table, "inside"), span.unreadable(table)
    if lost and schema is not None:
        inside, strange, lost = mask.to_pylist(), lost, []
        for position, _ in strange:
            (read,) = validated(dataset, schema, table.slice(position, 1).to_pylist(), position)
            value = span.date_of(read)
            if value in span.window:
                inside[position] = True
            elif span.is_unreadable(value):
                lost.append((position, value))
        mask = installed("pyarrow").array(inside)
    _tell_lost(dataset, span, lost)
    rows = table.filter(mask)
    if schema is not None:
        check_table(dataset, schema, rows, installed("pyarrow.compute").indices_nonzero(mask).to_pylist())
    return rows


def _tell_lost(dataset: Dataset, span: Span, lost: Sequence[tuple[int, Any]]) -> None:
    """Warn of records, given by their positions and what is in the place of their dates, that are in no window."""
    if lost:
        told = "%s: '%s' is no date in %d of the records, which are in no window (the first: record %d has %s)"
        logger.warning(told, dataset.title, span.column, len(lost), lost[0][0], shown(lost[0][1]))


def _validated(dataset: Dataset, schema: Schema | None, records: Iterable[Any]) -> Iterator[Any]:
    first = 0
    for group in grouped(records):
        yield from group if schema is None else validated(dataset, schema, group, first)
        first += len(group)


def _table(dataset: Dataset, schema: Schema | None, span: Span | None, found: list[Piece]) -> Any:
    arrow = installed("pyarrow")
    tables = [piece.table(schema) for piece in found]
    table = arrow.concat_tables(tables, promote_options="permissive") if tables else arrow.table({})
    if span is not None and tables:
        return _rows_inside(dataset, schema, span, table)
    if schema is not None:
        check_table(dataset, schema, table)
    return table


def check_table(dataset: Dataset, schema: Schema, table: Any, positions: Sequence[int] | None = None) -> None:
    """Hold the rows of a table, which were at these *positions*, against the schema. Raises `DatasetRecordError`."""
    first = 0
    for batch in table.to_batches(BATCH):
        places = first if positions is None else positions[first : first + batch.num_rows]
        validated(dataset, schema, batch.to_pylist(), places)
        first += batch.num_rows


def _table_of_records(records: Iterable[Any]) -> Any:
    return installed("pyarrow").Table.from_pylist(list(records))


def _kinds(schema: Schema | None) -> dict[str, Any]:
    kind = None if schema is None else schema.kind
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {name: field.annotation for name, field in kind.model_fields.items()}


def _read(dataset: Dataset, source: Source) -> Iterator[Any]:
    """The records of an open source. Raises `DatasetRecordError` for one that cannot be read."""
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
