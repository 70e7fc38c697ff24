"""Records that are collected for a commit: on disk, while the types of their columns are still being found out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from pipe_arrow.column_types import Conflict, leaves, type_of, unified
from pipe_arrow.plain_values import MOST_FIELDS
from pipe_arrow.python_values import values
from pipe_core.kernel.errors import SinkError
from pipe_delta.column_kinds import check_columns, columns_of
from pipe_delta.data_files import DataFile, Layout, write_files
from pipe_delta.demands import Demands
from pipe_delta.options import DeltaOptions
from pipe_delta.spill import Spill
from pipe_delta.whole_tables import as_delta_has_it


class Collecting:
    """The records since the last commit.

    Args:
        name: What errors call the table.
        spill: Where they are.
        asked: What the table asks for.
        fields: Names of columns, where they are known.
        count: How many records there were before.
    """

    def __init__(self, name: str, spill: Spill, asked: Demands, fields: Sequence[str] | None, count: int = 0) -> None:
        self._name = name
        self._spill = spill
        self._asked = asked
        found = spill.last_kind()
        fresh = pa.struct([(field, pa.null()) for field in fields or () if field not in asked.fixed])
        self._kind: pa.DataType = fresh if found is None else found
        self.count = count

    def add(self, table: pa.Table) -> None:
        """Take records. Raises `SinkError` where they do not go together with those before."""
        self._widen(table)
        self._spill.write(table, self._kind)
        self.count += table.num_rows

    def add_whole(self, table: pa.Table) -> None:
        """Take a table that nobody has looked at. Raises `SinkError`."""
        try:
            whole = as_delta_has_it(table, self._asked.fixed)
            wrong = self._asked.rules.first_wrong(whole)
        except Conflict as conflict:
            text = f"the column {'.'.join(conflict.path)!r} is {conflict.first}, for which Delta has no type"
            raise self._refused(text) from None
        except (pa.ArrowException, ValueError) as error:
            raise self._refused(" ".join(str(error).split())) from None
        if wrong is not None:
            try:
                self._asked.rules.check(whole.slice(wrong, 1).to_pylist()[0])
            except ValueError as error:
                raise self._refused(f"record {self.count + wrong:,}: {error}") from None
        self.add(whole)

    def files(self, options: DeltaOptions, folder: str) -> tuple[Layout, list[DataFile]]:
        """The records as files in *folder*, which the table can take.

        Raises:
            SinkError: No table has such columns.
        """
        self._spill.end()
        partition_by = self._asked.partition_by
        with self._told():
            columns = columns_of(self._kind, self._asked.fixed)
            if columns.names:
                check_columns(self._name, columns, partition_by)
            layout = Layout(columns, partition_by, options.part_size, options.compression)
            files = write_files(self._spill.tables(columns), layout, folder) if self._spill.names else []
        return layout, files

    def _widen(self, table: pa.Table) -> None:
        """Find the types that hold the records so far, and those of *table*."""
        try:
            self._kind = unified(self._kind, pa.struct(list(table.schema)))
        except Conflict as conflict:
            i = self._first_misfit(table, conflict.path[0])
            column = ".".join(conflict.path)
            raise SinkError(
                f"Record {self.count + i:,} of the output does not fit: there the column {column!r} is "
                f"{conflict.second}, before it was {conflict.first}. Give the field one type in the schema, or name "
                f"the column's type: types={{{column!r}: 'string'}}.",
                sink=self._name,
            ) from None
        if (count := leaves(self._kind)) > MOST_FIELDS:
            raise self._refused(
                f"it would have {count:,} columns, more than {MOST_FIELDS:,}. Are names used as values?"
            )

    def _first_misfit(self, table: pa.Table, name: str) -> int:
        kind = self._kind.field(name).type
        for i, cell in enumerate(values(table.column(name).combine_chunks())):
            try:
                unified(kind, type_of((cell,)))
            except Conflict:
                return i
        return 0

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Conflict as conflict:
            raise self._refused(
                f"the column {'.'.join(conflict.path)!r} has {conflict.first}, and {conflict.second} has no type for "
                f"both. Give the column a type with the option types"
            ) from None

    def _refused(self, why: str) -> SinkError:
        return SinkError(f"The Delta table {self._name!r} cannot be written: {why}.", sink=self._name)
