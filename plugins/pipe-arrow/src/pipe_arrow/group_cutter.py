"""Cuts a stream of tables into row groups. Where it cuts depends on the records alone, not on how they arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

MOST_BYTES: Final = 64 << 20


class GroupCutter:
    """Collects tables, of any types, and gives groups: the first records that are *rows*, or as heavy as *weight*.

    Args:
        rows: The most records of a group.
        weight: A group ends with the record that makes it so heavy, in bytes.
    """

    def __init__(self, rows: int, weight: int = MOST_BYTES) -> None:
        self._most_rows = rows
        self._most_weight = weight
        self._tables: list[pa.Table] = []
        self._rows = 0
        self._weight = 0

    @property
    def waiting(self) -> int:
        """How many records are in no group yet."""
        return self._rows

    def add(self, table: pa.Table, most: Callable[[], int] | None = None) -> Iterator[list[pa.Table]]:
        """The groups that *table* completes. No group has more than ``most()`` records, asked for each."""
        while table.num_rows:
            room = (self._most_rows if most is None else min(self._most_rows, most())) - self._rows
            piece = table.slice(0, room)
            weight = weight_of(piece)
            if heavy := self._weight + weight >= self._most_weight:
                piece = table.slice(0, self._reaching(piece))
            self._tables.append(piece)
            self._rows += piece.num_rows
            self._weight += weight
            table = table.slice(piece.num_rows)
            if heavy or piece.num_rows == room:
                yield self.rest()

    def rest(self) -> list[pa.Table]:
        """What is in no group yet, as one."""
        tables, self._tables = self._tables, []
        self._rows = self._weight = 0
        return tables

    def _reaching(self, table: pa.Table) -> int:
        """The smallest number of first records with which the group is heavy enough."""
        low, high = 1, table.num_rows
        while low < high:
            middle = (low + high) // 2
            if self._weight + weight_of(table.slice(0, middle)) >= self._most_weight:
                high = middle
            else:
                low = middle + 1
        return low


def weight_of(table: pa.Table) -> int:
    """About how many bytes the values are. The same for equal values, whatever the types of their columns."""
    return sum(_weight(chunk) for column in table.columns for chunk in column.chunks)


def _weight(array: pa.Array) -> int:
    kind = array.type
    if types.is_struct(kind):
        return sum(map(_weight, array.flatten()))
    if types.is_map(kind):
        ends = array.offsets
        first, length = ends[0].as_py(), ends[-1].as_py() - ends[0].as_py()
        return _weight(array.keys.slice(first, length)) + _weight(array.items.slice(first, length))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _weight(array.flatten()) + 4 * len(array)
    count: int = len(array) - array.null_count
    if types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        characters: int = pc.sum(pc.binary_length(array)).as_py() or 0
        return characters + 4 * count
    return 8 * count
