"""How rows are asked for, and how they become records. Plain data, because it travels to the workers."""

from __future__ import annotations

import contextlib
import copy
import datetime
import decimal
import json
import math
import operator
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from pipe_core import SourceError
from pipe_core.kernel.contracts import Batch
from pipe_sql.catalog import rows as fetch
from pipe_sql.failures import FAILURES, DatabaseError
from pipe_sql.place import Place

Key = tuple[Any, ...]
"""The values of a row's key columns."""
Rows = list[tuple[Any, ...]]

_PLAIN: Final = frozenset(
    {
        type(None), bool, int, float, str, bytes, list, dict, decimal.Decimal, uuid.UUID,
        datetime.datetime, datetime.date, datetime.time, datetime.timedelta,
    }
)  # fmt: skip
_NESTED: Final = frozenset({list, dict})


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read, and in which order.

    Attributes:
        place: The database.
        name: What reports call the source.
        origin: What stands behind ``FROM``.
        names: The columns, as the fields of the records.
        selected: The same as they stand in a statement, and the columns of the key that are not among them.
        order: The columns of the key, as they stand in a statement.
        order_at: Where they are in a row.
        unique: Whether the database itself makes sure that no two rows have the same key.
        condition: What is true of the rows that are read; nothing for all.
        kinds: What to make of what SQLite gives: ``bool`` or ``json`` by the place in a row.
    """

    place: Place
    name: str
    origin: str
    names: tuple[str, ...]
    selected: tuple[str, ...]
    order: tuple[str, ...]
    order_at: tuple[int, ...]
    unique: bool
    kinds: Mapping[int, str]
    condition: str = ""

    # --- statements ---

    def page(
        self,
        connection: Connection,
        lower: Key | None,
        upper: Key,
        *,
        closed: bool,
        after: bool = False,
        limit: int | None = None,
    ) -> Rows:
        """The rows from the key *lower* (or from the first; or *after* it) to *upper* (with it where *closed*)."""
        where, parameters = self._range(lower, upper, closed=closed, after=after)
        statement = f"SELECT {', '.join(self.selected)} FROM {self.origin} {where} ORDER BY {', '.join(self.order)}"
        if limit is not None:
            statement += f" LIMIT {limit:d}"
        return self.settled(fetch(connection, statement, *parameters))

    def border(self, connection: Connection, lower: Key | None, upper: Key, count: int) -> Key | None:
        """The key of the row that has *count* rows before it, counted from *lower*; None where there is none."""
        where, parameters = self._range(lower, upper, closed=True, after=False)
        order = ", ".join(self.order)
        statement = f"SELECT {order} FROM {self.origin} {where} ORDER BY {order} LIMIT 1 OFFSET {count:d}"
        found = fetch(connection, statement, *parameters)
        return tuple(found[0]) if found else None

    def last(self, connection: Connection) -> Key | None:
        """The last key; None where there are no rows."""
        columns, order = ", ".join(self.order), ", ".join(f"{name} DESC" for name in self.order)
        found = fetch(connection, f"SELECT {columns} FROM {self.rows} ORDER BY {order} LIMIT 1")
        return tuple(found[0]) if found else None

    def ends(self, connection: Connection, count: int) -> Rows:
        """Some rows from the beginning and from the end, to guess how large rows are."""
        columns = ", ".join(self.selected)
        found: Rows = []
        for direction in ("ASC", "DESC"):
            order = ", ".join(f"{name} {direction}" for name in self.order)
            found += fetch(connection, f"SELECT {columns} FROM {self.rows} ORDER BY {order} LIMIT {count:d}")
        return found

    def count(self, connection: Connection) -> int:
        """How many rows there are."""
        return int(fetch(connection, f"SELECT count(*) FROM {self.rows}")[0][0])

    def has_null(self, connection: Connection, columns: Sequence[str]) -> bool:
        """Whether one of *columns* (as they stand in a statement) is NULL somewhere."""
        where = self._where("(" + " OR ".join(f"{name} IS NULL" for name in columns) + ")")
        return bool(columns) and bool(fetch(connection, f"SELECT 1 FROM {self.origin} {where} LIMIT 1"))

    def _range(self, lower: Key | None, upper: Key, *, closed: bool, after: bool) -> tuple[str, Key]:
        key = _tuple(self.order)
        marks = _tuple((self.place.mark,) * len(self.order))
        parts = [f"{key} {'<=' if closed else '<'} {marks}"]
        if lower is None:
            return self._where(*parts), upper
        return self._where(f"{key} {'>' if after else '>='} {marks}", *parts), (*lower, *upper)

    def _where(self, *conditions: str) -> str:
        found = [*conditions, *filter(None, [self.condition])]
        return f"WHERE {' AND '.join(found)}" if found else ""

    @property
    def rows(self) -> str:
        """What stands behind ``FROM`` for all rows that are read."""
        return f"{self.origin} {self._where()}".rstrip()

    # --- rows ---

    def key_of(self, row: tuple[Any, ...]) -> Key:
        """The key of a row."""
        return tuple(row[at] for at in self.order_at)

    def check_order(self, rows: Rows, before: Key | None = None) -> None:
        """Make sure that no two neighbours have the same key: their order would be anybody's guess.

        Raises:
            SourceError: Two have; or the database gives rows that are not in the order that was asked for.
        """
        if self.unique:
            self.check_rising([*([] if before is None else [before]), *map(self.key_of, rows)])
            return
        for row in rows:
            if (key := self.key_of(row)) == before:
                raise ambiguous(self)
            before = key

    def check_rising(self, keys: Sequence[Key]) -> None:
        """Whole numbers must rise: in a damaged file they may not, and whoever asks for more would get the same.

        Raises:
            SourceError: They do not.
        """
        if len(self.order_at) != 1:
            return
        numbers = [key[0] for key in keys]
        if set(map(type, numbers)) == {int} and any(map(operator.ge, numbers, numbers[1:])):
            raise SourceError(
                f"The rows of {self.name} do not come in the order of {self.order[0]}. The database file is malformed: "
                f"check it, as with PRAGMA integrity_check, or restore it.",
                source=self.name,
            )

    def settled(self, rows: Sequence[Any]) -> Rows:
        """Rows of plain data, which can travel; SQLite's columns of truth values and JSON as what they mean."""
        found: Rows = [tuple(row) for row in rows]
        odd = {
            at: None for at, column in enumerate(zip(*found, strict=True)) if not _PLAIN.issuperset(map(type, column))
        }
        if not odd and not self.kinds:
            return found
        return [
            tuple(
                _meant(cell, self.kinds[at]) if at in self.kinds else _plain(cell) if at in odd else cell
                for at, cell in enumerate(row)
            )
            for row in found
        ]

    def batches(self, rows: Rows, size: int) -> Iterator[Batch]:
        """Batches of at most *size* records."""
        for start in range(0, len(rows), size):
            yield _batch(self.names, rows[start : start + size])

    # --- errors ---

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever the database raises becomes a `SourceError`."""
        try:
            yield
        except FAILURES as error:
            raise refusal(self.name, self.place.understood(error)) from None
        except DatabaseError as error:
            raise refusal(self.name, error) from None


def refusal(name: str, error: DatabaseError) -> SourceError:
    """What a source raises where the database refused."""
    return SourceError(f"{name} cannot be read: {error.reason}.", source=name)


def ambiguous(reading: Reading) -> SourceError:
    """What a source raises where rows have the same key."""
    return SourceError(
        f"Two rows of {reading.name} have the same key ({', '.join(reading.order)}), so their order is not settled. "
        f"Give columns as 'key' that tell every row from every other, or leave 'key' out.",
        source=reading.name,
    )


def _tuple(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _batch(names: tuple[str, ...], rows: Rows) -> Batch:
    def record(row: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(names, row, strict=False))  # behind the fields come columns that only the order needs

    nested = any(not _NESTED.isdisjoint(map(type, column)) for column in zip(*rows, strict=True))
    if nested:
        return Batch([copy.deepcopy(record(row)) for row in rows], lambda i: copy.deepcopy(record(rows[i])))
    return Batch([record(row) for row in rows], lambda i: record(rows[i]))


def _plain(cell: Any) -> Any:
    return cell if type(cell) in _PLAIN else str(cell)


def _meant(cell: Any, kind: str) -> Any:
    """What a cell of SQLite means; what does not look like it stays as it is."""
    if kind == "bool":
        return bool(cell) if type(cell) is int and cell in (0, 1) else cell
    if type(cell) is not str:
        return cell
    try:
        return json.loads(cell, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        return cell


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of *pairs*. Raises `ValueError` where a key is there twice, of which one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large")
    return number
