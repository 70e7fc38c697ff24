"""Tables of Arrow against a contract, column by column.

A column of the right type costs a look at its type and its count of nulls. Of others the values are looked at, column
by column. Only where validators must see whole records, records are made: some at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipe_core.project.catalog.values import BATCH, installed
from pipe_core.project.config.models import Policy
from pipe_core.project.contracts.errors import Misfit
from pipe_core.project.contracts.model_shape import as_array, as_column
from pipe_core.project.contracts.rows import UNKNOWN, Rows
from pipe_core.project.contracts.shape import ABSENT, LACKING, MISSING, Nothing, Refused, Shape
from pipe_core.project.contracts.tally import Tally


@dataclass(slots=True)
class _Found:
    """What the columns come to.

    Attributes:
        columns: By name, as the schema has them, where that is otherwise than they were.
        bad: What of each does not fit.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    bad: dict[str, Refused] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tables:
    """Holds tables against a schema.

    Args:
        shape: The schema.
        policy: What happens to records that are otherwise.
    """

    shape: Shape
    policy: Policy

    def check(self, table: Any, tally: Tally) -> Any:
        """The table of what comes through; *table* itself where nothing is otherwise."""
        found = self._columns(table)
        if found is None:
            return self._by_rows(table, tally)
        tally.records += table.num_rows
        strange = [one for one in table.column_names if one not in self.shape.keys]
        gone = self._strange(table, strange, found, tally)
        dropped = self._misfits(table, found, tally)
        return _made(table, found.columns, gone, dropped)

    # --- columns ---

    def _columns(self, table: Any) -> _Found | None:
        """What each column comes to; None where the records must be looked at."""
        keys, found = self.shape.keys, _Found()
        if self.shape.is_open:
            return None
        for name in dict.fromkeys(keys.values()):
            key = next((one for one in table.column_names if keys.get(one) == name), None)
            default = self.shape.default(name) if key is None else ABSENT
            if key is None and default is ABSENT:
                continue
            column = None if key is None else table.column(key)
            filled = _filled(table.num_rows, default) if column is None else column
            if filled is None:
                continue
            looked = self.shape.column(name, filled)
            if looked is None:
                return None
            made, bad = looked
            if made is not column:
                found.columns[key or name] = made
            if default is LACKING:
                bad = {row: [Misfit(name, None, MISSING)] for row in range(table.num_rows)}
            if bad:
                found.bad[key or name] = bad
        return found

    def _strange(self, table: Any, names: Sequence[str], found: _Found, tally: Tally) -> list[str]:
        """Deal with columns that the schema does not know. Those that go."""
        if self.policy == "evolve":
            tally.new_fields.update(dict.fromkeys(names))
            return []
        for name in names:
            rows = self._rows_with(table.column(name))
            if rows:
                found.bad[name] = {row: [Misfit(name, table.column(name)[row].as_py(), UNKNOWN)] for row in rows}
        return list(names)

    def _rows_with(self, column: Any) -> Sequence[int]:
        """The rows that have a field which the schema does not know. Where values are discarded, null is none."""
        if self.policy == "freeze":
            return range(len(column))
        compute = installed("pyarrow").compute
        rows: list[int] = compute.indices_nonzero(compute.is_valid(column)).to_pylist()
        return rows

    def _misfits(self, table: Any, found: _Found, tally: Tally) -> set[int]:
        """Deal with what does not fit. The rows that go."""
        wrong: dict[int, list[Misfit]] = {}
        for name, bad in found.bad.items():
            if self.policy == "discard_value":
                self._without(name, bad, table, found, tally)
                continue
            for row, misfits in bad.items():
                wrong.setdefault(row, []).extend(misfits)
        for row in sorted(wrong):
            if self.policy == "discard_row":
                tally.discard_row(row, wrong[row])
            else:
                tally.refuse(row, wrong[row])
        return set(wrong)

    def _without(self, name: str, bad: Refused, table: Any, found: _Found, tally: Tally) -> None:
        first = min(bad)
        tally.discard_values(first, (), bad[first])
        tally.values[name] += len(bad)
        if name in self.shape.keys:
            arrow = installed("pyarrow")
            mask = arrow.array([row in bad for row in range(table.num_rows)])
            default = self.shape.default(self.shape.keys[name])
            column = found.columns[name] if name in found.columns else table.column(name)
            instead = None if isinstance(default, Nothing) else default
            found.columns[name] = arrow.compute.if_else(mask, instead, column)

    # --- records ---

    def _by_rows(self, table: Any, tally: Tally) -> Any:
        rows = Rows(self.shape, self.policy)
        kept = rows.check((one for batch in table.to_batches(BATCH) for one in batch.to_pylist()), tally)
        whole = len(kept.records) == table.num_rows
        left = table if whole else table.take(installed("pyarrow").array(kept.positions, "int64"))
        names = dict.fromkeys(name for one in kept.records for name in one)
        columns = {}
        for name in names:
            made = [one.get(name) for one in kept.records]
            if name in left.column_names:
                column = left.column(name)
                if (new := as_column(column, column.to_pylist(), made)) is not column:
                    columns[name] = new
            elif (new := as_array(made)) is not None:
                columns[name] = new
        keys = left.column_names if self.shape.is_open or self.policy == "evolve" else self.shape.keys
        return _made(left, columns, [one for one in left.column_names if one not in keys], set())


def _filled(rows: int, default: Any) -> Any:
    """A column of *default* for each row; None where no column can hold it."""
    array = as_array([None if default is LACKING else default] * rows)
    return None if array is None else installed("pyarrow").chunked_array([array])


def _made(table: Any, columns: dict[str, Any], gone: Sequence[str], dropped: set[int]) -> Any:
    """*table* with other *columns*, without those that are *gone*, and without the rows *dropped*."""
    for name, column in columns.items():
        if name not in table.column_names:
            table = table.append_column(name, column)
        else:
            table = table.set_column(table.column_names.index(name), name, column)
    table = table.drop_columns(list(gone)) if gone else table
    if dropped:
        arrow = installed("pyarrow")
        table = table.filter(arrow.array([row not in dropped for row in range(table.num_rows)]))
    return table
