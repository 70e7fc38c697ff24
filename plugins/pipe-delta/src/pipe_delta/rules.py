"""Rules that records and tables of Arrow must keep to, beside the types of their columns. Plain data that travels."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from pipe_core.kernel.index import suggestion
from pipe_delta.options import Window
from pipe_delta.windows import holds, mask

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a table asks for.

    Attributes:
        partition_by: Columns whose values make partitions.
        columns: Those that there are, where no other may come.
        required: Those that need a value.
        window: What all records must belong to.
    """

    partition_by: tuple[str, ...] = ()
    columns: frozenset[str] | None = None
    required: tuple[str, ...] = ()
    window: Window | None = None

    def check(self, row: Record) -> Record:
        """*row* itself. Raises ValueError where it breaks one of the rules."""
        if self.columns is not None and not self.columns.issuperset(row):
            self.check_names(row)
        for name in self.required:
            if row.get(name) is None:
                raise ValueError(f"column {name!r} has no value, and the table asks for one")
        for name in self.partition_by:
            _check_partition(name, row.get(name))
        if self.window is not None and not holds(self.window, row.get(self.window.column)):
            raise self._outside(row.get(self.window.column))
        return row

    def check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError for a column that there is not, and that may not come."""
        for name in names:
            if self.columns is not None and name not in self.columns:
                known = sorted(self.columns)
                raise ValueError(
                    f"the table has no column {name!r}.{suggestion(name, known)} With schema_mode='merge' it gets one"
                )

    def first_wrong(self, table: pa.Table) -> int | None:
        """The first row of *table* that breaks one of the rules; None where none does.

        Raises:
            ValueError: Its columns do.
        """
        self.check_names(table.schema.names)
        wrong = [_nulls(table, name) for name in self.required]
        wrong += [_textless(table, name) for name in self.partition_by if name in table.schema.names]
        if self.window is not None:
            wrong.append(_inverted(self.window, table))
        found = [position for one in wrong if (position := pc.index(one, True).as_py()) >= 0]
        return min(found, default=None)

    def _outside(self, value: Any) -> ValueError:
        assert self.window is not None  # the caller has looked
        return ValueError(
            f"column {self.window.column!r} has {value!r:.100}, which is not between {self.window.start} and "
            f"{self.window.before}: only that window is replaced"
        )


def _check_partition(name: str, value: Any) -> None:
    if value is None or isinstance(value, bool | int | datetime.date):
        return
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ValueError(f"column {name!r} makes partitions, which text, whole numbers and dates do, not {kind}")
    if not value:
        raise ValueError(f"column {name!r} makes partitions, and Delta has none for text without a character")


def _nulls(table: pa.Table, name: str) -> Any:
    if name not in table.schema.names:
        return pa.array([True] * table.num_rows, pa.bool_())
    return table.column(name).is_null()


def _textless(table: pa.Table, name: str) -> Any:
    kind = table.schema.field(name).type
    if types.is_string(kind):
        return pc.fill_null(pc.equal(table.column(name), ""), False)
    if any(is_kind(kind) for is_kind in (types.is_integer, types.is_boolean, types.is_date, types.is_timestamp)):
        return pa.array([False] * table.num_rows, pa.bool_())
    if types.is_null(kind):
        return pa.array([False] * table.num_rows, pa.bool_())
    raise ValueError(f"column {name!r} makes partitions, which text, whole numbers and dates do, not {kind}")


def _inverted(window: Window, table: pa.Table) -> Any:
    if window.column not in table.schema.names:
        return pa.array([True] * table.num_rows, pa.bool_())
    return pc.invert(mask(window, table.column(window.column)))
