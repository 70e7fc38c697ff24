"""Reading: whatever the keys are, every row comes exactly once and in order."""

from __future__ import annotations

import datetime
import decimal
import random
import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from pipe_core import OptionsError, Pipe, SourceError, SourceNotFoundError, get_format

if TYPE_CHECKING:
    from conftest import Database, Postgres, Sqlite


def opened(database: Database, **options: Any) -> Any:
    source = get_format("sql", **options).source(database.url)
    source.open()
    return source


def by_splits(database: Database, size: int, **options: Any) -> list[dict[str, Any]]:
    source = opened(database, **options)
    splits = list(source.splits(lambda: size))
    source.close()
    return [record for split in splits for batch in split.batches(7) for record in batch.records]


def by_chunks(database: Database, size: int, **options: Any) -> list[dict[str, Any]]:
    source = opened(database, **options)
    found = [r for chunk in source.chunks(lambda: size) for batch in chunk.batches(5) for r in batch.records]
    source.close()
    return found


SKEWED = [-(2**62), -1000, -7, *range(0, 300, 3), 2**40, 2**40 + 1, 2**62]
TEXTS = ["", " ", "A", "a", "aa", "ä", "b'c", 'd"e', "%s", "%", "?", "zwölf", "🎈", *map(str, range(100))]


@pytest.mark.parametrize("size", [1, 100, 3000, 1 << 20])
def test_splits_of_any_size_give_every_row_once_and_in_order(database: Database, size: int) -> None:
    database.run("CREATE TABLE t (id BIGINT PRIMARY KEY, text VARCHAR(40))")
    keys = random.Random(7).sample(SKEWED, len(SKEWED))
    database.fill("t", [(key, f"row {key}") for key in keys])
    database.run("DELETE FROM t WHERE id % 5 = 0 AND id > 0")
    expected = [{"id": key, "text": f"row {key}"} for key in SKEWED if key % 5 or key <= 0]
    assert by_splits(database, size, table="t") == expected
    assert by_chunks(database, size % 1000, table="t") == expected


@pytest.mark.parametrize("size", [1, 500])
def test_a_table_can_be_cut_by_texts(database: Database, size: int) -> None:
    database.run("CREATE TABLE t (name VARCHAR(20) PRIMARY KEY, n INTEGER)")
    database.fill("t", [(text, n) for n, text in enumerate(TEXTS)])
    expected = [{"name": text, "n": TEXTS.index(text)} for text in sorted(TEXTS)]
    assert by_splits(database, size, table="t") == expected
    assert by_chunks(database, 3, table="t") == expected


@pytest.mark.parametrize("size", [1, 400])
def test_a_table_can_be_cut_by_several_columns(database: Database, size: int) -> None:
    database.run("CREATE TABLE t (b INTEGER, a VARCHAR(9), n INTEGER, PRIMARY KEY (a, b))")
    rows = [(b, a, 10 * b) for a in ("x", "y", "z") for b in range(-3, 30)]
    database.fill("t", random.Random(1).sample(rows, len(rows)))
    expected = [{"b": b, "a": a, "n": n} for b, a, n in rows]
    assert by_splits(database, size, table="t") == expected
    assert by_chunks(database, 4, table="t") == expected


@pytest.mark.parametrize(
    ("declared", "keys"),
    [
        ("UUID", sorted(uuid.UUID(int=random.Random(n).getrandbits(128)) for n in range(50))),
        ("DATE", [datetime.date(1990, 1, 1) + datetime.timedelta(days=37 * n) for n in range(50)]),
        ("TIMESTAMP", [datetime.datetime(1990, 1, 1, microsecond=n) for n in range(50)]),
        ("NUMERIC", [decimal.Decimal(n) / 7 for n in range(-20, 30)]),
        ("BYTEA", [bytes([n, 0, 255 - n]) for n in range(50)]),
    ],
)
def test_postgresql_is_cut_by_keys_of_many_types(postgres: Postgres, declared: str, keys: list[Any]) -> None:
    postgres.run(f"CREATE TABLE t (k {declared} PRIMARY KEY)")
    postgres.fill("t", [(key,) for key in keys])
    expected = [{"k": row[0]} for row in postgres.run("SELECT k FROM t ORDER BY k")]
    assert by_splits(postgres, 50, table="t") == expected
    assert by_chunks(postgres, 3, table="t") == expected


def test_a_key_that_does_not_come_back_as_it_was_is_not_used(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE t (k REAL PRIMARY KEY, n INTEGER)")
    postgres.fill("t", [(n / 7, n) for n in range(50)])
    source = opened(postgres, table="t")
    assert source.splits(lambda: 10) is None
    source.close()
    assert [record["n"] for record in by_chunks(postgres, 7, table="t")] == list(range(50))
    with pytest.raises(SourceError, match="does not come back"):
        opened_and_closed(postgres, table="t", key="k")


def opened_and_closed(database: Database, **options: Any) -> None:
    source = get_format("sql", **options).source(database.url)
    try:
        source.open()
    finally:
        source.close()


def test_rows_without_a_value_in_the_unique_column_are_not_lost(database: Database) -> None:
    database.run("CREATE TABLE t (k INTEGER UNIQUE, n INTEGER)")
    database.fill("t", [(None, 1), (5, 2), (None, 3), (4, 4)])
    assert sorted(record["n"] for record in by_chunks(database, 2, table="t")) == [1, 2, 3, 4]
    with pytest.raises(SourceError, match="NULL"):
        opened_and_closed(database, table="t", key="k")
    source = opened(database, table="t")
    if (splits := source.splits(lambda: 1)) is not None:  # by SQLite's rowid
        assert [r["n"] for split in splits for batch in split.batches(5) for r in batch.records] == [1, 2, 3, 4]
    source.close()


def test_a_given_key_that_is_none_is_noticed(database: Database) -> None:
    database.run("CREATE TABLE t (k INTEGER NOT NULL, n INTEGER)")
    for twice in range(1, 12):
        database.run("DELETE FROM t")
        database.fill("t", [(n, n) for n in range(12)] + [(twice, 99)])
        for read in (by_splits, by_chunks):
            for size in (1, 3, 60, 10_000):
                with pytest.raises(SourceError, match="same key"):
                    read(database, size, table="t", key="k")


def test_a_given_key_orders_a_query(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    database.fill("t", [(n, 100 - n) for n in range(100)])
    query = "SELECT n AS m, 'a%b' AS text FROM t WHERE n % 2 = 0 -- every second one\n;"
    expected = [{"m": m, "text": "a%b"} for m in range(2, 101, 2)]
    assert by_splits(database, 200, query=query, key="m") == expected
    assert by_chunks(database, 7, query=query, key="m") == expected
    assert sorted(by_chunks(database, 7, query=query), key=lambda record: record["m"]) == expected


def test_a_query_without_a_key_has_no_splits(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    database.fill("t", [(n,) for n in range(5000)])
    source = opened(database, query="SELECT id AS rowid FROM t")
    assert source.splits(lambda: 1) is None
    assert source.size is None
    assert [len(chunk) for chunk in source.chunks(lambda: 999)] == [999] * 5 + [5]
    source.close()
    assert [r["rowid"] for r in by_chunks(database, 999, query="SELECT id AS rowid FROM t ORDER BY -id")] == list(
        range(4999, -1, -1)
    )


def test_a_table_without_a_key_is_read_in_splits_by_rowid(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (rowid TEXT, _rowid_ TEXT)")
    sqlite.fill("t", [("same", "same")] * 50)
    assert by_splits(sqlite, 100, table="t") == [{"rowid": "same", "_rowid_": "same"}] * 50


def test_a_table_without_rowid_is_read_by_its_key(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID")
    sqlite.fill("t", [(str(n),) for n in range(30)])
    assert by_splits(sqlite, 50, table="t") == [{"k": text} for text in sorted(map(str, range(30)))]


def test_a_view_is_read(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "CREATE VIEW v AS SELECT id, id * 2 AS d FROM t")
    database.fill("t", [(n,) for n in range(20)])
    expected = [{"id": n, "d": 2 * n} for n in range(20)]
    assert by_chunks(database, 6, table="v") == expected
    assert by_splits(database, 40, table="v", key="id") == expected


def test_columns_are_chosen_and_ordered(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER)")
    database.fill("t", [(n, n + 1, n + 2) for n in range(10)])
    expected = [{"b": n + 2, "a": n + 1} for n in range(10)]
    assert by_splits(database, 40, table="t", columns=["b", "a"]) == expected
    assert by_chunks(database, 3, table="t", columns="b,a") == expected
    source = opened(database, table="t", columns="b,a")
    assert source.fields == ("b", "a")
    source.close()


def test_odd_names_are_quoted(database: Database) -> None:
    database.run('CREATE TABLE "my "" %s table" ("order" INTEGER PRIMARY KEY, "50% of ?" INTEGER)')
    database.fill('"my "" %s table"' if database.dialect == "sqlite" else '"my "" %%s table"', [(1, 2)])
    assert by_splits(database, 99, table='my " %s table') == [{"order": 1, "50% of ?": 2}]


def test_an_empty_table_has_no_records_but_fields(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    assert by_splits(database, 10, table="t") == by_chunks(database, 10, table="t") == []
    source = opened(database, table="t")
    assert source.fields == ("id", "n")
    assert source.size == 0
    source.close()


def test_rows_that_come_later_are_not_read_and_those_that_go_are_not_missed(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    database.fill("t", [(n,) for n in range(0, 100, 2)])
    source = opened(database, table="t")
    splits = source.splits(lambda: 60)
    found = [r["id"] for batch in next(splits).batches(9) for r in batch.records]
    database.run("DELETE FROM t WHERE id IN (60, 62, 98)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (200)")
    found += [r["id"] for split in splits for batch in split.batches(9) for r in batch.records]
    source.close()
    assert found == [n for n in range(0, 100, 2) if n not in (60, 62, 98)]


def test_a_split_is_small_and_shows_no_secret(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    database.fill("t", [(n,) for n in range(10)])
    source = opened(database, table="t")
    for split in source.splits(lambda: 30):
        assert len(cloudpickle.dumps(split)) < 2048
        assert "c4nary" not in repr(split)
        assert [b.records for b in cloudpickle.loads(cloudpickle.dumps(split)).batches(2)] == [
            b.records for b in split.batches(2)
        ]
    source.close()


def test_types_of_postgresql_come_as_those_of_python(postgres: Postgres) -> None:
    postgres.run(
        "CREATE TABLE t (id SERIAL PRIMARY KEY, d NUMERIC(6,2), at TIMESTAMPTZ, j JSONB, a TEXT[], net INET)",
        "INSERT INTO t VALUES (1, 12.50, '2024-05-01 12:00+02', '{\"a\": [1]}', '{x,y}', '10.0.0.1/8')",
    )
    (record,) = by_splits(postgres, 1, table="t")
    assert record["d"] == decimal.Decimal("12.50")
    assert record["at"] == datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC)
    assert (record["j"], record["a"], record["net"]) == ({"a": [1]}, ["x", "y"], "10.0.0.1/8")


def test_nested_values_are_fresh(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE t (id INTEGER PRIMARY KEY, j JSON)", "INSERT INTO t VALUES (1, '{\"a\": [1]}')")
    source = opened(postgres, table="t")
    (split,) = source.splits(lambda: 100)
    (batch,) = split.batches(10)
    batch.records[0]["j"]["a"].append(2)
    assert batch.raw(0) == {"id": 1, "j": {"a": [1]}}
    source.close()


def test_a_schema_of_postgresql_is_named(postgres: Postgres) -> None:
    postgres.run(
        "CREATE SCHEMA sales", "CREATE TABLE sales.t (id INTEGER PRIMARY KEY)", "INSERT INTO sales.t VALUES (4)"
    )
    assert by_splits(postgres, 1, table="t", db_schema="sales") == [{"id": 4}]
    with pytest.raises(SourceNotFoundError):
        opened_and_closed(postgres, table="t")


# --- what goes wrong ---


def test_a_wrong_table_is_named_with_the_nearest(database: Database) -> None:
    database.run("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    with pytest.raises(SourceNotFoundError, match=r"no table 'order'.*Did you mean 'orders'"):
        opened_and_closed(database, table="order")


def test_a_wrong_column_is_named_with_the_nearest(database: Database) -> None:
    database.run("CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER)")
    with pytest.raises(SourceError, match=r"no column 'amont'.*Did you mean 'amount'"):
        opened_and_closed(database, table="orders", columns="id,amont")
    with pytest.raises(SourceError, match="no column 'ID'"):
        opened_and_closed(database, table="orders", key="ID")


def test_a_wrong_query_says_what_the_database_says(database: Database) -> None:
    with pytest.raises(SourceError, match=r"syntax error|incomplete input") as caught:
        opened_and_closed(database, query="SELECT (")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_two_columns_of_a_query_with_one_name_are_refused(database: Database) -> None:
    with pytest.raises(SourceError, match=r"called 'a'\. Rename one with AS"):
        opened_and_closed(database, query="SELECT 1 AS a, 2 AS a")


def test_a_query_cannot_write(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    for query in ("DELETE FROM t RETURNING id", "SELECT 1) AS q; DELETE FROM t; SELECT (1"):
        with pytest.raises(SourceError):
            by_chunks(database, 1, query=query)
    assert database.run("SELECT count(*) FROM t") == [(1,)]


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    source = get_format("sql", table="t").source(tmp_path / "none.db")
    with pytest.raises(SourceNotFoundError, match=r"none\.db.*no such file"):
        source.open()
    source.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is no database, however long it may be" * 20)
    source = get_format("sql", table="t").source(tmp_path / "x.db")
    with pytest.raises(SourceError, match="not a database"):
        source.open()
    source.close()


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("sqlite:///x.db", {}, "needs a table or a query"),
        ("sqlite:///x.db?table=a", {"table": "b"}, "given twice"),
        ("sqlite:///x.db?tabel=a", {}, "Did you mean 'table'"),
        ("sqlite:///x.db?table=a&table=b", {}, "given twice"),
        ("sqlite:///x.db?table=a&query=select", {}, "not both"),
        ("sqlite:///x.db?table=a&timeout=soon", {}, "timeout"),
        ("sqlite://", {"table": "a"}, "must be a file"),
        ("sqlite:///:memory:", {"table": "a"}, "must be a file"),
        ("sqlite:///x.db", {"table": "a", "on_conflict": "ignore"}, "for writing only"),
        ("mysql://me:c4nary@host/db", {"table": "a", "format": "sql"}, "knows no 'mysql://'"),
        ("postgresql://me:c4nary@host:port/db", {"table": "a"}, "cannot be understood"),
    ],
)
def test_what_makes_no_sense_is_refused(target: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says) as caught:
        Pipe((target, options), []).run()
    assert "c4nary" not in str(caught.value)


def test_a_server_that_is_not_there_is_named() -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    url = f"postgresql://me:c4nary@127.0.0.1:{port}/db?table=t"
    source = get_format("sql").source(url)
    with pytest.raises(SourceError, match="refused") as caught:
        source.open()
    source.close()
    assert "127.0.0.1" in str(caught.value)
    assert "c4nary" not in str(caught.value)


def test_a_wrong_password_is_not_repeated(postgres: Postgres) -> None:
    source = get_format("sql", table="t").source(postgres.url.replace("c4nary", "wr0ng"))
    with pytest.raises(SourceError, match="password authentication failed") as caught:
        source.open()
    source.close()
    assert "wr0ng" not in str(caught.value)
