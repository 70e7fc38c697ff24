"""Tables and queries as sources."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection

from pipe_core import OptionsError, SourceError, SourceNotFoundError
from pipe_core.kernel.contracts import SizeNow
from pipe_core.kernel.index import suggestion
from pipe_sql import catalog
from pipe_sql.between import Between
from pipe_sql.catalog import Column, Table
from pipe_sql.failures import FAILURES, DatabaseError
from pipe_sql.options import SqlOptions
from pipe_sql.place import Place
from pipe_sql.reading import Key, Reading, ambiguous, refusal
from pipe_sql.split import SqlChunk, SqlSplit

SAMPLE: Final = 50
"""Rows at each end of a table that tell how large a row is."""
_EXACT: Final = (bool, int, str, bytes, uuid.UUID, datetime.date, datetime.time, decimal.Decimal)
"""What comes back from every database as what was sent. A key of anything else cannot cut a table."""
_COPY: Final = "pipe_rows"


class SqlSource:
    """The rows of a table, view or query.

    With a key it is read in ranges of keys, by the workers, in the order of the key. Without one it is read by one
    cursor, in the order in which the database gives the rows.

    Args:
        place: The database.
        options: What to read of it.
    """

    live = False

    def __init__(self, place: Place, options: SqlOptions) -> None:
        self._place = place
        self._options = options
        self._connection: Connection | None = None
        self._reading: Reading | None = None
        self._last: Key | None = None
        self._ordered = False
        self._rows = 0
        self._row_bytes = 1
        self._by_records = False
        self._pieces: Generator[SqlChunk, None, None] | None = None
        self._between: Between | None = None

    @property
    def name(self) -> str:
        """The URL without its password, and the table."""
        what = f"?table={self._table}" if self._options.table is not None else " (query)"
        return f"{self._place.name}{what}"

    @property
    def _table(self) -> str:
        parts = (self._options.db_schema, self._options.table)
        return ".".join(part for part in parts if part is not None)

    @property
    def fields(self) -> Sequence[str] | None:
        """The columns. Known after `open`."""
        return None if self._reading is None else self._reading.names

    @property
    def size(self) -> int | None:
        """About how many bytes; the number of rows where the driver reads; None where it is not known."""
        if not self._ordered:
            return None
        return self._rows if self._by_records else self._rows * self._row_bytes

    # --- opening ---

    def read_between(self, column: str, start: str, upper: str) -> None:
        """Before `open`: give only the rows of some dates.

        Args:
            column: The column with the dates.
            start: The first date or time, as ISO 8601.
            upper: That before which they are.

        Raises:
            OptionsError: These are no dates.
        """
        self._between = Between.of(column, start, upper)

    def open(self) -> None:
        """Connect, and find out what there is to read and by which key.

        Raises:
            SourceNotFoundError: The file, the database or the table does not exist.
            SourceError: The database does not answer or refuses; a column is not there; the key is none.
            OptionsError: An option does not fit this database.
        """
        try:
            self._connection = self._place.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._reading = self._table_reading() if self._options.table is not None else self._query_reading()
            if self._ordered:
                self._measure(self._connection, self._reading)
        except FAILURES as error:
            raise self._refusal(self._place.understood(error)) from None
        except DatabaseError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: DatabaseError) -> SourceError:
        if error.missing:
            return SourceNotFoundError(f"{self.name} does not exist: {error.reason}", source=self.name)
        return refusal(self.name, error)

    def _table_reading(self) -> Reading:
        name, schema, connection = self._options.table or "", self._options.db_schema, self._opened
        if schema is not None and self._place.dialect == "sqlite":
            raise OptionsError("SQLite has no schemas: leave out 'db_schema'.", problems={"db_schema": "no schemas"})
        table = catalog.describe(connection, self._place, name, schema)
        if table is None:
            hint = catalog.nearest(connection, self._place, name)
            raise SourceNotFoundError(
                f"There is no table '{self._table}' in {self._place.name}.{hint}", source=self.name
            )
        return self._planned(table, self._place.quoted(name, schema))

    def _query_reading(self) -> Reading:
        query = (self._options.query or "").strip().rstrip(";").strip()
        if self._options.db_schema is not None:
            text = "The option 'db_schema' goes with a table. Name the schema in the query."
            raise OptionsError(text, problems={"db_schema": "goes with a table"})
        if self._place.dialect == "postgresql":
            query = query.replace("%", "%%")
        origin = f"(\n{query}\n) AS q"  # the line ends keep a comment at its end from hiding what follows
        # With a parameter PostgreSQL takes one statement only: nothing can follow a query behind a ';'.
        statement = f"SELECT * FROM {origin} LIMIT {self._place.mark}"
        with self._opened.exec_driver_sql(statement, (0,)) as described:
            names = list(described.keys())
        if twice := {name for name in names if names.count(name) > 1 or name.endswith(":1")}:
            shown = ", ".join(f"'{name.removesuffix(':1')}'" for name in sorted(twice))
            raise SourceError(f"Two columns of {self.name} are called {shown}. Rename one with AS.", source=self.name)
        return self._planned(Table({name: Column() for name in names}, []), origin)

    def _planned(self, table: Table, origin: str) -> Reading:
        names = self._options.columns or tuple(table.columns)
        self._check_columns(names, table, "columns")
        kinds: Mapping[int, str] = {}
        if self._place.dialect == "sqlite":
            found = {at: table.columns[name].kind for at, name in enumerate(names)}
            kinds = {at: kind for at, kind in found.items() if kind in ("bool", "json")}
        quoted = tuple(map(self._place.quoted, names))
        plain = Reading(self._place, self.name, origin, names, quoted, (), (), False, kinds, self._condition(table))
        if self._options.key is not None:
            return self._with_given_key(plain, table, self._options.key)
        for key in table.keys:
            if (reading := self._with_key(plain, table, key, unique=True)) is not None:
                return reading
        if table.rowid is not None:
            self._ordered = True
            return _ordered(plain, (table.rowid,), unique=True)
        return plain

    def _condition(self, table: Table) -> str:
        if self._between is None:
            return ""
        self._check_columns([self._between.column], table, "read_between")
        return self._between.as_kept(table.columns[self._between.column].kind).condition(self._place)

    def _with_given_key(self, plain: Reading, table: Table, key: tuple[str, ...]) -> Reading:
        self._check_columns(key, table, "key")
        unique = any(set(known) <= set(key) for known in table.keys)
        reading = self._with_key(plain, table, key, unique=unique)
        if reading is None:
            raise SourceError(
                f"{self.name} cannot be read by the key ({', '.join(key)}): one of its columns is NULL in some row, "
                f"or of a type that does not come back as it was sent (a float, an interval, an array). Give another "
                f"'key', or none.",
                source=self.name,
            )
        return reading

    def _with_key(self, plain: Reading, table: Table, key: tuple[str, ...], *, unique: bool) -> Reading | None:
        """The reading by *key*, if no row would be lost by it."""
        reading = _ordered(plain, tuple(map(self._place.quoted, key)), unique=unique)
        doubtful = [self._place.quoted(name) for name in key if table.columns[name].nullable]
        if reading.has_null(self._opened, doubtful):
            return None
        last = reading.last(self._opened)
        exact = _EXACT if self._place.dialect == "postgresql" else (*_EXACT, float)
        if last is not None and not all(isinstance(value, exact) for value in last):
            return None
        self._ordered = True
        return reading

    def _check_columns(self, names: Sequence[str], table: Table, option: str) -> None:
        for name in names:
            if name not in table.columns:
                raise SourceError(
                    f"{self.name} has no column '{name}' (option {option}).{suggestion(name, table.columns)} "
                    f"Its columns: {', '.join(table.columns)}.",
                    source=self.name,
                )

    def _measure(self, connection: Connection, reading: Reading) -> None:
        self._last = reading.last(connection)
        self._rows = reading.count(connection)
        sizes = [sum(len(str(cell)) + 8 for cell in row) for row in reading.ends(connection, SAMPLE)]
        self._row_bytes = max(1, sum(sizes) // max(1, len(sizes)))

    @property
    def _opened(self) -> Connection:
        if self._connection is None:
            raise SourceError(f"{self.name} is not open for reading.", source=self.name)
        return self._connection

    # --- reading ---

    def splits(self, size: SizeNow) -> Iterator[SqlSplit] | None:
        """Ranges of keys of about ``size()`` bytes, in order; None without a key.

        They end with the last key that there was when the source was opened.
        """
        return self._ranges(size) if self._ordered else None

    def splits_from(self, count: int, size: SizeNow) -> Iterator[SqlSplit] | None:
        """See `CountedSource`: with a key."""
        return self._ranges(size, count) if self._ordered and count <= self._rows else None

    def chunks(self, size: SizeNow) -> Iterator[SqlChunk]:
        """Chunks of ``size()`` rows, in order."""
        self._by_records = True
        self._pieces = self._pages(size) if self._ordered else self._cursor(size)
        return self._pieces

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: what is read, how many rows there are, and the last key. Not what is in them.

        Without a key the rows are counted, which is to evaluate the query once more.

        Raises:
            SourceError: PostgreSQL gives rows without a key in another order each time.
        """
        reading = self._planned_reading
        if not self._ordered and self._place.dialect == "postgresql":
            raise SourceError(
                f"{self.name} is read without a key, in an order that may be another when the run is resumed. Name "
                f"columns that order the rows as 'key', or leave checkpoint= out.",
                source=self.name,
            )
        with reading.errors():
            rows = self._rows if self._ordered else reading.count(self._opened)
        asked = (reading.origin, reading.selected, reading.order, reading.condition)
        return {"rows": rows, "last_key": _digest(self._last), "statement": _digest(asked)}

    def close(self) -> None:
        """Close the cursor and the connection."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ranges(self, size: SizeNow, skip: int = 0) -> Iterator[SqlSplit]:
        reading, last, given = self._planned_reading, self._last, skip * self._row_bytes
        lower: Key | None = None
        if last is None:
            return
        if skip:
            with reading.errors():
                lower = reading.border(self._opened, None, last, skip)
                if lower is None:
                    return
                if not reading.unique and reading.border(self._opened, None, last, skip - 1) == lower:
                    raise ambiguous(reading)
        while True:
            count = max(1, size() // self._row_bytes)
            with reading.errors():
                upper = reading.border(self._opened, lower, last, count)
            if upper is None:
                yield SqlSplit(reading, lower, last, True, max(0, self._rows * self._row_bytes - given))
                return
            if upper == lower:
                raise ambiguous(reading)
            if lower is not None:
                reading.check_rising([lower, upper])
            yield SqlSplit(reading, lower, upper, False, count * self._row_bytes)
            lower, given = upper, given + count * self._row_bytes

    def _pages(self, size: SizeNow) -> Generator[SqlChunk, None, None]:
        reading, last, before = self._planned_reading, self._last, None
        while last is not None:
            count = max(1, size())
            overlap = before is not None and not reading.unique  # one row twice shows whether its key is
            with reading.errors():
                rows = reading.page(self._opened, before, last, closed=True, after=not overlap, limit=count + overlap)
            if overlap and rows and reading.key_of(rows[0]) == before:
                del rows[0]
            reading.check_order(rows, before)
            if not rows:
                return
            yield SqlChunk(reading, rows)
            before = reading.key_of(rows[-1])

    def _cursor(self, size: SizeNow) -> Generator[SqlChunk, None, None]:
        """Chunks in the order in which the database gives the rows."""
        reading = self._planned_reading
        if self._place.dialect == "sqlite":
            yield from self._copied(reading, size)
            return
        statement = f"SELECT {', '.join(reading.selected)} FROM {reading.rows}"
        with reading.errors(), self._place.connect() as connection:
            streaming = connection.execution_options(stream_results=True, max_row_buffer=1000)
            with streaming.exec_driver_sql(statement, ()) as cursor:
                while rows := cursor.fetchmany(max(1, size())):
                    yield SqlChunk(reading, reading.settled(rows))

    def _copied(self, reading: Reading, size: SizeNow) -> Iterator[SqlChunk]:
        """Chunks of a copy in a temporary table.

        An open cursor would keep everybody, this run's own sink included, from committing to the same file.
        """
        # Names of our own, so that no column of the query can hide the number of a row.
        names = tuple(f"c{at}" for at in range(len(reading.selected)))
        columns = ", ".join(f"{old} AS {new}" for old, new in zip(reading.selected, names, strict=True))
        plain = replace(reading, origin=f"temp.{_COPY}", selected=names, condition="")
        copy = _ordered(plain, ("rowid",), unique=True)
        with reading.errors(), self._place.connect() as connection:
            connection.exec_driver_sql(f"CREATE TEMP TABLE {_COPY} AS SELECT {columns} FROM {reading.rows}")
            last, before = copy.last(connection), None
            while last is not None and before != last:
                rows = copy.page(connection, before, last, closed=True, after=True, limit=max(1, size()))
                yield SqlChunk(copy, rows)
                before = copy.key_of(rows[-1])

    @property
    def _planned_reading(self) -> Reading:
        if self._reading is None:
            raise SourceError(f"{self.name} is not open for reading.", source=self.name)
        return self._reading


def _digest(value: object) -> str:
    """A hash, which shows nothing of what is in the table."""
    return hashlib.sha256(repr(value).encode(errors="surrogatepass")).hexdigest()[:16]


def _ordered(plain: Reading, order: tuple[str, ...], *, unique: bool) -> Reading:
    """The same, by a key. Its columns that are not among the fields are read behind them."""
    extra = tuple(name for name in order if name not in plain.selected)
    selected = (*plain.selected, *extra)
    at = tuple(selected.index(name) for name in order)
    return replace(plain, selected=selected, order=order, order_at=at, unique=unique)
