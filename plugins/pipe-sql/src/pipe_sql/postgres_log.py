"""Rows that wait in a table of PostgreSQL, numbered, with the columns that each was given."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipe_core import SinkError
from pipe_sql.waiting import Execute, is_there, name_in, taken_over
from pipe_sql.writing import Target

ROW: Final = "_pipe_row"
"""The column with the number of a row, from 1 on."""
SHAPE: Final = "_pipe_shape"
"""The column with what tells which columns it was given."""


@dataclass(frozen=True, slots=True)
class PostgresLog:
    """The table in which the rows of one run wait.

    Attributes:
        target: Where they are going.
        name: The table's name.
        count: How many there are.
        shapes: The columns that rows were given, by what stands in their column `SHAPE`.
    """

    target: Target
    name: str
    count: int
    shapes: Sequence[tuple[str, ...]]

    @classmethod
    def of(cls, target: Target, state: Mapping[str, Any]) -> PostgresLog:
        """That which *state* tells of. Raises KeyError, TypeError or ValueError where it is damaged."""
        return cls(target, name_in(target, state), int(state["count"]), [tuple(shape) for shape in state["shapes"]])

    @property
    def quoted(self) -> str:
        """It, as it stands in a statement."""
        return self.target.place.quoted(self.name, self.target.schema)

    def begin(self, execute: Execute, name: str) -> None:
        """Begin a transaction that keeps others from committing the same rows."""
        execute("SELECT set_config('lock_timeout', %s, true)", str(round(1000 * self.target.place.timeout)))
        number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
        execute("SELECT pg_advisory_xact_lock(%s)", number)

    def are_there(self, execute: Execute) -> bool:
        """Whether they all are. Raises `SinkError` where there are more: somebody else has gone on."""
        if not is_there(execute, self.target, self.name):
            return False
        if self._last(execute) != self.count:
            raise taken_over(self.target)
        return True

    def drop_own(self, execute: Execute) -> None:
        """Remove the table, unless somebody else has gone on with it."""
        with contextlib.suppress(SinkError):
            self.are_there(execute)
            self.drop(execute)

    def moves(self, execute: Execute) -> Iterator[tuple[Sequence[str], str]]:
        """The columns of consecutive rows that were given the same, and the statement that gives these rows."""
        place = self.target.place
        for shape, first, last in self._runs(execute):
            columns = self.shapes[shape]
            rows = (
                f"SELECT {self.target.columns(columns)} FROM {self.quoted} AS r WHERE {ROW} BETWEEN {first} AND {last}"
            )
            if self.target.options.on_conflict == "update":  # one statement changes no row twice: the last one counts
                same = " AND ".join(f"later.{place.quoted(name)} = r.{place.quoted(name)}" for name in self.target.key)
                later = f"later.{ROW} > r.{ROW} AND later.{ROW} <= {last}"
                rows = f"{rows} AND NOT EXISTS (SELECT 1 FROM {self.quoted} AS later WHERE {later} AND {same})"
            yield columns, f"{rows} ORDER BY {ROW}"

    def cut(self, execute: Execute) -> None:
        """Remove the rows that came behind them."""
        execute(f"DELETE FROM {self.quoted} WHERE {ROW} > {self.count}")

    def drop(self, execute: Execute) -> None:
        """Remove the table."""
        execute(f"DROP TABLE IF EXISTS {self.quoted}")

    def _last(self, execute: Execute) -> int:
        return int(execute(f"SELECT coalesce(max({ROW}), 0) FROM {self.quoted}")[0][0])

    def _runs(self, execute: Execute) -> Sequence[Any]:
        if len(self.shapes) < 2:
            return [(0, 1, self.count)] if self.count else []
        islands = f"{ROW} - row_number() OVER (PARTITION BY {SHAPE} ORDER BY {ROW})"
        numbered = f"SELECT {SHAPE} AS shape, {ROW} AS number, {islands} AS island FROM {self.quoted}"
        return execute(
            f"SELECT shape, min(number), max(number) FROM ({numbered}) AS n GROUP BY shape, island ORDER BY 2"
        )
