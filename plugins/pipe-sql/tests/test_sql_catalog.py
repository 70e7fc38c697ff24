"""Tables as data sets: a window of dates is replaced in one transaction, and the rest stays."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from pipe_core import OptionsError, SinkError, SourceError, get_format
from pipe_core.kernel.contracts import WindowSource
from pipe_core.project.catalog import Catalog, DatasetRecordError
from pipe_core.project.dates import DateWindow

SECOND = DateWindow("2025-01-02", "2025-01-02")


class Sale(BaseModel):
    day: date
    amount: int


def sales(database: Any, **said: Any) -> Catalog:
    config = {"path": database.url, "options": {"table": "sales"}, "schema": Sale, "date_column": "day", **said}
    return Catalog({"sales": config})


def rows(*days: int, amount: int = 1) -> list[Sale]:
    return [Sale(day=date(2025, 1, day), amount=amount) for day in days]


def test_a_window_is_replaced_and_the_rest_is_not_touched(database: Any) -> None:
    data = sales(database)
    data.save("sales", rows(2), SECOND)
    data.save("sales", rows(1, 2, 2, 3))
    for _ in range(2):
        data.save("sales", rows(2, amount=9), SECOND)
        assert sorted((row.day.day, row.amount) for row in data.load("sales")) == [(1, 1), (2, 9), (3, 1)]
    assert data.load("sales", SECOND) == rows(2, amount=9)
    data.save("sales", [], SECOND)
    assert sorted(row.day.day for row in data.load("sales")) == [1, 3]
    with pytest.raises(DatasetRecordError, match="'day'"):
        data.save("sales", rows(3), SECOND)


def test_what_is_staged_is_not_seen_before_the_commit(database: Any) -> None:
    data = sales(database)
    data.save("sales", rows(1))
    staged = data.stage("sales", rows(7))
    assert staged.delivery == "exactly-once"
    assert data.load("sales") == rows(1)
    staged.close()
    for _ in range(2):
        data.settle("sales", staged.state)
        assert data.load("sales") == rows(7)
    data.stage("sales", rows(8)).abort()
    assert data.load("sales") == rows(7)


def test_a_window_is_staged_too(database: Any) -> None:
    data = sales(database)
    data.save("sales", rows(1, 2))
    staged = data.stage("sales", rows(2, amount=9), SECOND)
    staged.close()
    for _ in range(2):
        data.settle("sales", staged.state)
        assert sorted((row.day.day, row.amount) for row in data.load("sales")) == [(1, 1), (2, 9)]


def test_a_database_in_which_nobody_may_make_tables(postgres: Any) -> None:
    """Rows are written all the same, and are visible at once."""
    postgres.run(
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN PASSWORD 'clerk'",
        "CREATE TABLE sales (day date, amount integer)",
        "REVOKE CREATE ON SCHEMA public FROM public",
        "GRANT SELECT, INSERT, DELETE ON sales TO clerk",
    )
    url = f"postgresql://clerk:clerk@127.0.0.1:{postgres.server.port}/{postgres.name}"
    data = sales(postgres, path=url, mode="append")
    assert data.stage("sales", rows(1)).delivery == "at-least-once"
    assert data.load("sales") == rows(1)
    postgres.run("GRANT CREATE ON SCHEMA public TO clerk", "REVOKE SELECT ON sales FROM clerk")
    assert data.stage("sales", rows(2)).delivery == "at-least-once"
    assert postgres.run("SELECT count(*) FROM sales") == [(2,)]
    postgres.run("DROP OWNED BY clerk", "DROP ROLE clerk")


def test_a_row_that_is_refused_leaves_the_window_as_it_was(database: Any) -> None:
    database.run("CREATE TABLE sales (day date, amount integer CHECK (amount < 5))")
    data = sales(database)
    data.save("sales", rows(1, 2, 3))
    with pytest.raises(SinkError, match="The data set 'sales'"):
        data.save("sales", rows(2, amount=9), SECOND)
    assert len(data.load("sales")) == 3


def test_times(database: Any) -> None:
    database.run(
        "CREATE TABLE sales (day timestamp, amount integer)",
        "INSERT INTO sales VALUES ('2025-01-01 23:59:59', 1), ('2025-01-02 00:00:00', 2), ('2025-01-02 23:59:59.5', 3),"
        " ('2025-01-03 00:00:00', 4), (NULL, 5)",
    )
    data = sales(database, schema=None)
    assert [row["amount"] for row in data.load("sales", SECOND)] == [2, 3]
    data.save("sales", [{"day": datetime(2025, 1, 2, 12), "amount": 9}], SECOND)
    assert sorted(row["amount"] for row in data.load("sales")) == [1, 4, 5, 9]
    half = DateWindow("2025-01-02T12:00", "2025-01-02T13:00")
    data.save("sales", [], half)
    assert sorted(row["amount"] for row in data.load("sales")) == [1, 4, 5]


TEXTS = [
    None, "", "soon", "2025", "2025-01-01T23:59:59.5", "2025-01-02", "2025-01-02T00:00", "2025-01-02 12:00",
    "2025-01-02T12", "2025-01-02T12:00:00+00:00", "2025-01-02T12:59:59", "2025-01-02T13:00", "2025-01-02 23:59:59",
    "2025-01-03", "2025-01-03T00:00:00",
]  # fmt: skip
OFFSETS = ["2025-01-01T23:30:00-02:00", "2025-01-02T01:00:00+05:00", "2025-01-02T23:30:00-02:00", "20250102"]
WINDOWS = [
    SECOND,
    DateWindow("2025-01-02T12:00", "2025-01-02T13:00"),
    DateWindow("2025-01-02T12:00", "2025-01-02T12:00"),
]


@pytest.mark.parametrize("window", WINDOWS)
def test_the_rows_of_a_window_are_those_whose_date_is_in_it(database: Any, window: DateWindow) -> None:
    """What is replaced is what is read, and the rest stays; as it is with files."""
    texts = [*TEXTS, *OFFSETS] if database.dialect == "sqlite" else [*TEXTS, *OFFSETS[:3]]
    database.run("CREATE TABLE sales (day TEXT, amount INTEGER)")
    database.fill("sales", [(text, i) for i, text in enumerate(texts)])
    inside = [i for i, text in enumerate(texts) if text in window]
    data = sales(database, schema=None)
    assert sorted(row["amount"] for row in data.load("sales", window)) == inside
    data.save("sales", [], window)
    assert sorted(row["amount"] for row in data.load("sales")) == [i for i in range(len(texts)) if i not in inside]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_the_rows_of_a_window_of_a_column_with_a_type(postgres: Any, kind: str, window: DateWindow) -> None:
    days = [
        "2025-01-01 23:59:59",
        "2025-01-02",
        "2025-01-02 12:00",
        "2025-01-02 12:30",
        "2025-01-02 13:00",
        "2025-01-03",
    ]
    postgres.run(f"CREATE TABLE sales (day {kind}, amount integer)")
    postgres.fill("sales", [(day, i) for i, day in enumerate(days)])
    data = sales(postgres, schema=None)
    inside = sorted(row["amount"] for row in data.load("sales") if row["day"] in window)
    assert sorted(row["amount"] for row in data.load("sales", window)) == inside
    data.save("sales", [], window)
    assert sorted(row["amount"] for row in data.load("sales")) == [i for i in range(len(days)) if i not in inside]


@pytest.mark.parametrize(
    "what",
    [
        {"table": "sales"},
        {"table": "sales", "key": "n"},
        {"query": "SELECT * FROM sales", "key": "n"},
        {"table": "bare"},
    ],
)
def test_only_the_rows_of_some_dates_are_read(database: Any, what: Any) -> None:
    database.run(
        "CREATE TABLE sales (n INTEGER PRIMARY KEY, day DATE)",
        "CREATE VIEW bare AS SELECT * FROM sales",
    )
    database.fill("sales", [(n, f"2025-01-{n % 28 + 1:02}") for n in range(200)])
    expected = [n for n in range(200) if n % 28 in (3, 4)]
    for how in ("chunks", "splits"):
        source = get_format("sql", **what).source(database.url)
        assert isinstance(source, WindowSource)
        source.read_between("day", "2025-01-04", "2025-01-06")
        source.open()
        pieces = getattr(source, how)(lambda: 5)
        found = [row["n"] for piece in pieces or () for batch in piece.batches(3) for row in batch.records]
        source.close()
        assert found == expected or (pieces is None and what["table"] == "bare")
    source = get_format("sql", **what).source(database.url)
    source.read_between("month", "2025-01-04", "2025-01-06")
    with pytest.raises(SourceError, match="no column 'month'"):
        source.open()
    source.close()


def test_what_is_no_date_bounds_nothing(database: Any) -> None:
    for wrong in ("soon", "2025-01-01'; DROP TABLE sales; --"):
        with pytest.raises(OptionsError, match="are to be dates"):
            get_format("sql", table="sales").sink(database.url).replace_between("day", wrong, "2025-01-02")
        with pytest.raises(OptionsError, match="are to be dates"):
            get_format("sql", table="sales").source(database.url).read_between("day", "2025-01-01", wrong)


def test_options_for_one_direction_are_no_hindrance_for_the_other(database: Any) -> None:
    options = {"table": "sales", "key": ["day"], "on_conflict": "update"}
    data = sales(database, options=options, mode="append")
    data.save("sales", rows(1))
    data.save("sales", rows(1, amount=3))
    assert data.load("sales") == rows(1, amount=3)


def test_a_column_of_dates_that_is_missing(database: Any) -> None:
    database.run("CREATE TABLE sales (week integer)")
    with pytest.raises(SinkError, match="'day'"):
        sales(database, schema=None).save("sales", [], SECOND)
