"""Records of a window: which of a data set belong to it, and which come before and behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetRecordError, DatasetValueError
from pipe_core.project.catalog.rows import shown
from pipe_core.project.catalog.values import installed, is_table, table_of
from pipe_core.project.dates import DateWindow, parse_date

Side = Literal["before", "inside", "behind"]
SIDES: tuple[Side, ...] = ("before", "inside", "behind")


@dataclass(frozen=True, slots=True)
class Span:
    """A window of a data set.

    Attributes:
        dataset: The data set.
        column: The field that says when a record was.
        window: The window.
    """

    dataset: Dataset
    column: str
    window: DateWindow

    @classmethod
    def of(cls, dataset: Dataset, window: DateWindow | None) -> Span | None:
        """That of a data set that has a column of dates; None for others, which have no windows."""
        column = dataset.config.date_column
        return None if column is None or window is None else cls(dataset, column, window)

    def side(self, value: Any) -> Side:
        """Where a date is. What is no date is before."""
        if value in self.window:
            return "inside"
        try:
            moment = parse_date(value.isoformat() if isinstance(value, date) else value, self.column)
        except OptionsError:
            return "before"
        upper = parse_date(self.window.upper, "")
        return "behind" if moment.replace(tzinfo=None) >= upper.replace(tzinfo=None) else "before"

    def is_unreadable(self, value: Any) -> bool:
        """Whether something is in the place of a date and is none. Null and empty text are nothing."""
        if value is None or value == "" or isinstance(value, date):
            return False
        try:
            parse_date(value, self.column)
        except OptionsError:
            return True
        return False

    def picked(self, records: Iterable[Any], side: Side) -> Iterator[Any]:
        """Those of *records* that are on that side."""
        return (record for record in records if self.side(self.date_of(record)) == side)

    def checked(self, records: Iterable[Any]) -> Iterator[Any]:
        """*records*, all of which must be inside. Raises `DatasetRecordError`."""
        for position, record in enumerate(records):
            value = self.date_of(record)
            if value not in self.window:
                raise self._outside(position, value)
            yield record

    # --- tables ---

    def part(self, table: Any, side: Side) -> Any:
        """The rows of a table of Arrow that are on that side."""
        return table.filter(self.mask(table, side))

    def mask(self, table: Any, side: Side) -> Any:
        """Whether each row of a table is on that side, as an array of Arrow."""
        column = self._column(table)
        arrow = installed("pyarrow")
        mask = self._compared(arrow, column, side)
        if mask is None:
            mask = arrow.array([self.side(value) == side for value in column.to_pylist()], arrow.bool_())
        return mask

    def unreadable(self, table: Any) -> list[tuple[int, Any]]:
        """Positions of the rows of a table with something in the place of a date that is none, and what is there."""
        column = self._column(table)
        kinds = installed("pyarrow").types
        if kinds.is_date(column.type) or kinds.is_timestamp(column.type):
            return []
        return [(position, value) for position, value in enumerate(column.to_pylist()) if self.is_unreadable(value)]

    def check_table(self, table: Any) -> None:
        """Refuse a table with rows outside. Raises `DatasetRecordError`."""
        inside = self.part(table, "inside").num_rows
        if inside < table.num_rows:
            values = self._column(table).to_pylist()
            position = next(i for i, value in enumerate(values) if value not in self.window)
            raise self._outside(position, values[position])

    def check(self, value: Any) -> Any:
        """*value*, with nothing but what is inside: at once for a table, else when it is read."""
        if is_table(value):
            table = table_of(value)
            self.check_table(table)
            return table
        return self.checked(value)

    def _compared(self, arrow: Any, column: Any, side: Side) -> Any:
        """As `mask`, where Arrow can compare; None where it cannot."""
        start, upper = parse_date(self.window.start, ""), parse_date(self.window.upper, "")
        kinds, kind = arrow.types, column.type
        plain = kinds.is_date(kind) or (kinds.is_timestamp(kind) and kind.tz is None)
        if not plain or start.tzinfo is not None or start == upper:
            return None
        compute = installed("pyarrow.compute")
        moments = column.cast(arrow.timestamp("us"))

        def scalar(moment: datetime) -> Any:
            return arrow.scalar(moment, arrow.timestamp("us"))

        behind = compute.fill_null(compute.greater_equal(moments, scalar(upper)), False)
        if side == "behind":
            return behind
        begun = compute.fill_null(compute.greater_equal(moments, scalar(start)), False)
        return compute.and_not(begun, behind) if side == "inside" else compute.invert(begun)

    def _column(self, table: Any) -> Any:
        if self.column not in table.schema.names:
            raise self._missing(table.schema.names)
        return table.column(self.column)

    def date_of(self, record: Any) -> Any:
        """What a record has in the column. Raises `DatasetValueError` where it has no such field."""
        if isinstance(record, Mapping):
            if self.column in record:
                return record[self.column]
            raise self._missing(list(record))
        if isinstance(record, BaseModel) or hasattr(record, self.column):
            return getattr(record, self.column, None)
        raise self._missing([])

    def _missing(self, names: Iterable[Any]) -> DatasetValueError:
        known = ", ".join(map(str, names))
        text = f"{self.dataset.title}: its date_column '{self.column}' is not in the records, which have: {known}."
        return DatasetValueError(text, dataset=self.dataset.name)

    def _outside(self, position: int, value: Any) -> DatasetRecordError:
        return DatasetRecordError(
            f"{self.dataset.title}: the record at position {position:,} has {shown(value)} in '{self.column}', which "
            f"is not in the window {self.window}. Only that window is replaced: the record would be there twice after "
            f"the next run.",
            dataset=self.dataset.name,
            position=position,
            field=self.column,
            value=value,
        )
