"""Writing: all rows or none, nothing changed on the way, and refusals that say what to do."""

from __future__ import annotations

import datetime
import decimal
import enum
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from pipe_core import Pipe, SinkError, TargetExistsError, get_format
from pipe_core.testing.formats import PlainSerializer
from pipe_sql import UnstorableError
from pipe_sql.catalog import postgres_column

if TYPE_CHECKING:
    from conftest import Database, Postgres, Sqlite


def put(
    database: Database, records: list[dict[str, Any]], mode: str = "error", *, commit: bool = True, **options: Any
) -> Any:
    """Write records in two pieces; the sink is left open unless it commits."""
    sink = get_format("sql", **{"table": "t", **options}).sink(database.url)
    try:
        sink.open(mode)
        encoder = sink.encoder()
        row = encoder.bind(PlainSerializer(None))
        for piece in (records[: len(records) // 2], records[len(records) // 2 :]):
            payload = encoder.join([row(record) for record in piece])
            sink.write(cloudpickle.loads(cloudpickle.dumps(payload)), len(piece))
        if commit:
            sink.commit()
    finally:
        if commit:
            sink.close()
    return sink


def table(database: Database) -> list[tuple[Any, ...]]:
    return database.run("SELECT * FROM t ORDER BY 1")


def there(database: Database) -> bool:
    catalog = "sqlite_master" if database.dialect == "sqlite" else "pg_tables"
    name = "name" if database.dialect == "sqlite" else "tablename"
    return bool(database.run(f"SELECT 1 FROM {catalog} WHERE {name} = 't'"))


ROWS = [{"id": n, "name": f"n{n}"} for n in range(10)]
CELLS = [(n, f"n{n}") for n in range(10)]


# --- modes, and what an interruption leaves ---


def test_a_table_is_made_at_the_commit(database: Database) -> None:
    sink = put(database, ROWS, commit=False)
    assert not there(database)
    assert not sink.exists()
    sink.commit()
    assert sink.exists()
    sink.close()
    assert table(database) == CELLS


@pytest.mark.parametrize("mode", ["error", "overwrite", "append"])
@pytest.mark.parametrize("ending", ["abort", "close"])
def test_an_interrupted_run_leaves_the_table_as_it_was(database: Database, mode: str, ending: str) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    if mode != "error":
        database.fill("t", [(-1, "old")])
    before = table(database)
    sink = put(database, ROWS, mode, commit=False)
    assert table(database) == before
    getattr(sink, ending)()
    sink.close()
    assert table(database) == before


@pytest.mark.parametrize("mode", ["error", "overwrite", "append"])
def test_an_interrupted_run_makes_no_table(database: Database, mode: str) -> None:
    put(database, ROWS, mode, commit=False).close()
    assert not there(database)


def test_a_table_with_rows_is_refused_and_one_without_is_filled(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    put(database, ROWS[:1])
    with pytest.raises(TargetExistsError, match=r"'t'.*has rows already.*mode='overwrite'"):
        put(database, ROWS)
    assert table(database) == CELLS[:1]


def test_overwriting_replaces_the_rows_and_not_the_columns(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, more INTEGER DEFAULT 7)")
    database.fill("t", [(n, "old", 0) for n in range(5, 50)])
    put(database, ROWS, "overwrite")
    assert table(database) == [(*cells, 7) for cells in CELLS]
    put(database, [], "overwrite")
    assert table(database) == []


def test_appending_commits_piece_by_piece(database: Database) -> None:
    sink = put(database, ROWS[:4], "append", commit=False)
    sink.commit()
    assert table(database) == CELLS[:4]
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    sink.write(encoder.join([row(record) for record in ROWS[4:7]]), 3)
    sink.commit()
    sink.commit()
    sink.write(encoder.join([row(record) for record in ROWS[7:]]), 3)
    sink.abort()
    sink.close()
    assert table(database) == CELLS[:7]
    put(database, ROWS[7:], "append")
    assert table(database) == CELLS


def test_rows_that_came_meanwhile_keep_mode_error_from_mixing(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    sink = put(sqlite, ROWS, commit=False)
    sqlite.fill("t", [(77, "somebody else's")])
    with pytest.raises(TargetExistsError):
        sink.commit()
    sink.close()
    assert table(sqlite) == [(77, "somebody else's")]


def test_nobody_else_writes_into_a_table_that_is_being_replaced(postgres: Postgres) -> None:
    import psycopg

    postgres.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    sink = put(postgres, ROWS, "overwrite", commit=False)
    with pytest.raises(psycopg.errors.LockNotAvailable):
        postgres.run("SET lock_timeout = 50", "INSERT INTO t VALUES (77, 'somebody else')")
    with pytest.raises(SinkError, match="a lock that another connection holds"):
        put(postgres, ROWS, "overwrite", timeout=0.2)
    sink.commit()
    sink.close()
    assert table(postgres) == CELLS


def test_a_locked_file_is_waited_for_and_then_named(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match=r"locked by another connection.*timeout"):
        put(sqlite, ROWS, timeout=0.1)
    other.execute("ROLLBACK")
    other.close()
    assert table(sqlite) == []


def test_what_was_read_before_an_error_can_be_kept(sqlite: Sqlite) -> None:
    sink = put(sqlite, ROWS, commit=False)
    place = sink.abort(keep=True)
    sink.close()
    assert place == f"{sqlite.path}.partial"
    assert get_rows(Path(place)) == CELLS
    assert not there(sqlite)


def get_rows(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT * FROM t").fetchall()
    connection.close()
    return rows


def test_a_file_that_could_not_be_filled_is_not_left(tmp_path: Path) -> None:
    sink = get_format("sql", table="t", key="id").sink(tmp_path / "new.db")
    sink.open("error")
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    with pytest.raises(SinkError, match=r"row 2 of those.*UNIQUE"):
        sink.write(encoder.join([row({"id": 1}), row({"id": 1})]), 2)
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"precious, and no database" * 40, b""])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    sink = get_format("sql", table="t").sink(path)
    if content:
        with pytest.raises(SinkError, match="not a database"):
            sink.open("overwrite")
    else:
        sink.open("overwrite")  # an empty file is an empty database
    sink.close()
    assert path.read_bytes() == content


def test_the_rules_of_the_file_hold_at_the_first_row_and_not_at_the_end(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE CHECK (length(name) < 5))")
    with pytest.raises(SinkError, match=r"row 2 of those.*CHECK constraint failed: length"):
        put(sqlite, [{"id": 1, "name": "a"}, {"id": 2, "name": "c4nary"}], commit=False)


def test_a_conflict_with_a_row_that_was_there_is_named_and_taken_back(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    database.fill("t", [(5, "old")])
    with pytest.raises(
        SinkError, match=r"'t' in .* refuses (row 6|one of the rows 1 to 10) of those|rows 1 to 10"
    ) as caught:
        put(database, ROWS, "append")
    assert any(word in str(caught.value) for word in ("UNIQUE constraint failed: t.id", '"t_pkey"'))
    assert "on_conflict" in str(caught.value)
    assert "n5" not in str(caught.value)
    assert table(database) == [(5, "old")]


@pytest.mark.parametrize(
    ("rule", "record", "says"),
    [
        ("name TEXT NOT NULL", {"id": 3, "name": None}, "(?i:not.null)"),
        ("name TEXT CHECK (name <> 'c4nary')", {"id": 3, "name": "c4nary"}, "(?i:check)"),
        ("name TEXT UNIQUE", {"id": 3, "name": "n1"}, "(?i:unique)"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_without_its_values(
    database: Database, rule: str, record: dict[str, Any], says: str
) -> None:
    database.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {rule})")
    with pytest.raises(SinkError, match=f"row 4 of those.*{says}") as caught:
        put(database, [*ROWS[:3], record, *ROWS[4:]])
    assert "c4nary" not in str(caught.value).replace("name <> 'c4nary'", "")  # SQLite shows the rule itself
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert table(database) == []


def test_a_value_of_a_wrong_type_is_refused_without_being_shown(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name INTEGER)")
    with pytest.raises(SinkError, match=r"row 2 of those.*InvalidTextRepresentation") as caught:
        put(postgres, [{"id": 1, "name": "1"}, {"id": 2, "name": "c4nary"}])
    assert "c4nary" not in str(caught.value)
    assert table(postgres) == []


# --- conflicts ---


@pytest.mark.parametrize(("how", "name"), [("ignore", "old"), ("update", "n5")])
@pytest.mark.parametrize("key", [None, ["id"]])
def test_conflicts_are_left_out_or_update_the_other_row(database: Database, how: str, name: str, key: Any) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, more INTEGER)")
    database.fill("t", [(5, "old", 1)])
    put(database, ROWS, "append", on_conflict=how, key=key)
    assert table(database) == [(n, name if n == 5 else text, 1 if n == 5 else None) for n, text in CELLS]


@pytest.mark.parametrize(("how", "name"), [("ignore", "first"), ("update", "second")])
def test_conflicts_within_a_run_are_settled_alike_in_a_new_table(database: Database, how: str, name: str) -> None:
    records = [{"id": 1, "name": "first"}, {"id": 2, "name": "x"}, {"id": 1, "name": "second"}]
    put(database, records, on_conflict=how, key="id")
    assert table(database) == [(1, name), (2, "x")]


def test_a_key_that_is_none_cannot_settle_conflicts(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    with pytest.raises(SinkError, match=r"unique index of the table is \(name\)\. There is \(id\)"):
        put(database, ROWS, on_conflict="ignore", key="name")
    with pytest.raises(SinkError, match="needs a key"):
        put(database, ROWS, on_conflict="update", table="new")
    with pytest.raises(SinkError, match="no 'code'"):
        put(database, ROWS, on_conflict="update", table="new", key="code")


def test_a_new_table_with_a_key_has_it(database: Database) -> None:
    put(database, ROWS, key="id")
    with pytest.raises(SinkError, match="on_conflict"):
        put(database, ROWS[:1], "append")


# --- columns ---


def test_a_schema_with_a_field_that_the_table_lacks_is_refused_before_anything_runs(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    sink = get_format("sql", table="t").sink(database.url)
    with pytest.raises(SinkError, match=r"no column 'nam'\. Did you mean 'name'"):
        sink.open("error", ("id", "nam"))
    sink.close()


def test_a_record_with_a_field_that_the_table_lacks_fails_alone(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    bad: list[Any] = []
    report = Pipe([ROWS[0], {"id": 1, "nam": "x"}, ROWS[2]], (database.url, {"table": "t"}), errors=bad).run()
    assert (report.valid, report.failed) == (2, 1)
    assert bad[0]["errors"][0]["type"] == "UnstorableError"
    assert "Did you mean 'name'" in bad[0]["errors"][0]["message"]


def test_records_with_different_fields_fill_a_new_table(database: Database) -> None:
    put(database, [{"id": 1}, {"id": 2, "a": "x"}, {"b": 1.5, "id": 3}, {"id": 4}])
    assert database.run("SELECT id, a, b FROM t ORDER BY id") == [
        (1, None, None), (2, "x", None), (3, None, 1.5), (4, None, None),
    ]  # fmt: skip


def test_a_field_that_is_missing_gets_the_default_of_the_column(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT DEFAULT 'nobody')")
    put(database, [{"id": 1}, {"id": 2, "name": None}, {"id": 3, "name": "x"}])
    assert table(database) == [(1, "nobody"), (2, None), (3, "x")]


def test_numbers_of_rows_are_the_database_s_own_where_the_record_has_none(database: Database) -> None:
    number = "INTEGER PRIMARY KEY AUTOINCREMENT" if database.dialect == "sqlite" else "SERIAL PRIMARY KEY"
    database.run(f"CREATE TABLE t (id {number}, name TEXT)", "INSERT INTO t (name) VALUES ('old')")
    put(database, [{"name": "b"}, {"name": "a"}], "append")
    assert table(database) == [(1, "old"), (2, "b"), (3, "a")]


def test_odd_names_are_quoted(database: Database) -> None:
    record = {"order": 1, "50% of ?": 2, 'a"b': 3, "%s": 4}
    put(database, [record], table='my " %s table', key="order")
    put(database, [{**record, "%s": 5}], "append", table='my " %s table', key="order", on_conflict="update")
    out: list[Any] = []
    Pipe((database.url, {"table": 'my " %s table'}), out).run()
    assert out == [{**record, "%s": 5}]


def test_a_view_of_sqlite_cannot_be_written(sqlite: Sqlite) -> None:
    sqlite.run("CREATE VIEW t AS SELECT 1 AS id")
    with pytest.raises(SinkError, match="it is a view"):
        put(sqlite, [{"id": 1}], "append")


def test_a_commit_that_is_killed_is_undone_by_the_next_who_opens_the_file(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO t VALUES (-1, 'old')")
    script = """
import os, sqlite3, sys
from pipe_core import Pipe, get_format
from pipe_core.testing.formats import PlainSerializer
sink = get_format("sql", table="t").sink(sys.argv[1])
sink.open("overwrite")
encoder = sink.encoder()
row = encoder.bind(PlainSerializer(None))
rows = [row({"id": n, "name": "x" * 500}) for n in range(20_000)]  # more than the cache holds
sink.write(encoder.join(rows), len(rows))
move = sink._store._move
def killed():
    move()
    assert os.path.exists(sys.argv[1].removeprefix("sqlite:///") + "-journal")
    os.kill(os.getpid(), 9)
sink._store._move = killed
sink.commit()
"""
    done = subprocess.run([sys.executable, "-c", script, sqlite.url], capture_output=True, text=True, timeout=50)
    assert done.returncode == -9, done.stderr
    assert table(sqlite) == [(-1, "old")]


# --- values ---


class Colour(enum.Enum):
    RED = "red"


class Words(str):
    pass


NOON = datetime.datetime(2024, 5, 1, 12, 0, 0, 5)
AWARE = NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
NUMBER = uuid.UUID(int=7)
VALUES: list[tuple[Any, Any, Any]] = [
    # given, in SQLite, in PostgreSQL
    (True, 1, True),
    (2**63 - 1, 2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63), -(2**63)),
    (0.1, 0.1, 0.1),
    (float("inf"), float("inf"), float("inf")),
    ("007", "007", "007"),
    ("zwölf 🎈 \u2028", "zwölf 🎈 \u2028", "zwölf 🎈 \u2028"),
    (b"\0\xff", b"\0\xff", b"\0\xff"),
    (decimal.Decimal("1.10"), "1.10", decimal.Decimal("1.10")),
    (NOON, NOON.isoformat(), NOON),
    (AWARE, AWARE.isoformat(), AWARE),
    (NOON.date(), "2024-05-01", NOON.date()),
    (NOON.time(), NOON.time().isoformat(), NOON.time()),
    (datetime.timedelta(days=1, seconds=1), "P1DT1S", datetime.timedelta(days=1, seconds=1)),
    (NUMBER, str(NUMBER), NUMBER),
    ({"a": [1, 10**30, "ü"]}, '{"a":[1,1000000000000000000000000000000,"ü"]}', {"a": [1, 10**30, "ü"]}),
    ([1, None], "[1,null]", [1, None]),
    ((1, 2), "[1,2]", [1, 2]),
    (Colour.RED, "red", "red"),
    (Words("text"), "text", "text"),
    (Path("a/b"), "a/b", "a/b"),
    (None, None, None),
]


@pytest.mark.parametrize(("given", "in_sqlite", "in_postgres"), VALUES, ids=[repr(one[0])[:20] for one in VALUES])
def test_values_are_kept_in_a_new_table(database: Database, given: Any, in_sqlite: Any, in_postgres: Any) -> None:
    put(database, [{"id": 1, "v": given}])
    ((found,),) = database.run("SELECT v FROM t")
    expected = in_sqlite if database.dialect == "sqlite" else in_postgres
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "sqlite_says", "postgres_says"),
    [
        (float("nan"), "NaN, which SQLite turns into NULL", None),
        (decimal.Decimal("sNaN"), "signalling", "signalling"),
        (2**63, "more than 64 bits", "more than 64 bits"),
        (-(2**63) - 1, "more than 64 bits", "more than 64 bits"),
        ("\ud800", "half of a character", "half of a character"),
        ("a\0b", None, "NUL"),
        ({"a": float("nan")}, "JSON has no word for", "JSON has no word for"),
        pytest.param(object(), *["object, which cannot be written"] * 2, id="object"),
    ],
    ids=str,
)
def test_what_a_database_would_change_fails_its_record_only(
    database: Database, value: Any, sqlite_says: str | None, postgres_says: str | None
) -> None:
    says = sqlite_says if database.dialect == "sqlite" else postgres_says
    bad: list[Any] = []
    report = Pipe([{"v": value}, {"v": None}], (database.url, {"table": "t"}), errors=bad).run()
    assert report.valid == (2 if says is None else 1)
    assert len(database.run("SELECT v FROM t")) == report.valid
    if says is not None:
        assert bad[0]["phase"] == "encode"
        assert bad[0]["errors"][0]["type"] == "UnstorableError"
        assert says in bad[0]["errors"][0]["message"]
        assert "column 'v'" in bad[0]["errors"][0]["message"]


def test_nan_becomes_null_where_that_is_asked_for(database: Database) -> None:
    put(database, [{"v": float("nan")}, {"v": decimal.Decimal("nan")}], nan="null")
    assert database.run("SELECT v FROM t") == [(None,), (None,)]


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ("SMALLINT", [1, 32767, 2.0, "12"], [32768, 1.5, float("nan")]),
        ("INTEGER", [-(2**31)], [2**31, decimal.Decimal("0.5")]),
        ("NUMERIC(5,2)", [1, decimal.Decimal("1.50")], [decimal.Decimal("1.505")]),
        ("NUMERIC", [2**80, decimal.Decimal("1.505")], []),
        ("DOUBLE PRECISION", [2**53, 1.5], [2**53 + 1]),
        ("TIMESTAMP", [NOON, "2024-05-01 12:00"], [AWARE]),
        ("TIMESTAMPTZ", [AWARE], [NOON]),
        ("DATE", [NOON.date()], [NOON]),
        ("TEXT[]", [["a", "b"]], []),
        ("JSONB", [{"a": 1}, [1], "text", 5, True], [{"a": float("nan")}]),
    ],
)
def test_columns_of_postgresql_get_what_they_keep_and_refuse_the_rest(
    postgres: Postgres, declared: str, good: list[Any], bad: list[Any]
) -> None:
    postgres.run(f"CREATE TABLE t (v {declared})")
    put(postgres, [{"v": value} for value in good])
    assert len(table(postgres)) == len(good)
    sink = get_format("sql", table="t").sink(postgres.url)
    sink.open("append")
    row = sink.encoder().bind(PlainSerializer(None))
    sink.close()
    for value in bad:
        with pytest.raises(UnstorableError):
            row({"v": value})


def test_values_come_back_from_json_columns_as_they_were(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v JSON, b BOOLEAN)")
    values = [{"a": [1]}, [], "text", "12", 12, 1.5, True, None]
    put(database, [{"id": n, "v": value, "b": n % 2 == 0} for n, value in enumerate(values)])
    out: list[Any] = []
    Pipe((database.url, {"table": "t"}), out).run()
    assert [record["v"] for record in out] == values
    assert [record["b"] for record in out] == [n % 2 == 0 for n in range(len(values))]


def test_a_new_sqlite_table_has_types_that_change_nothing(sqlite: Sqlite) -> None:
    mixed = [1, 1.0, "1", "007", b"1"]
    put(sqlite, [{"same": n, "mixed": value} for n, value in enumerate(mixed)])
    assert [(v, type(v)) for (v,) in sqlite.run("SELECT mixed FROM t")] == [(v, type(v)) for v in mixed]
    assert sqlite.run("SELECT name, type FROM pragma_table_info('t')") == [("same", "INTEGER"), ("mixed", "")]


def test_a_new_postgresql_column_widens_from_null_and_else_refuses(postgres: Postgres) -> None:
    put(postgres, [{"v": None}, {"v": None}, {"v": 5}, {"v": 2**40}])
    assert sorted(table(postgres), key=str) == [(1099511627776,), (5,), (None,), (None,)]
    with pytest.raises(SinkError, match=r"no type of column keeps all that is in 'v' \(int, text\)"):
        put(postgres, [{"v": 1}, {"v": "007"}], table="other")
    put(postgres, [{"v": 1.5}, {"v": 2}], table="third")
    assert postgres.run("SELECT v FROM third ORDER BY v") == [(1.5,), (2.0,)]


@pytest.mark.parametrize(
    ("declared", "kind", "bits", "scale"),
    [
        ("integer", "int", 32, None),
        ("numeric(10,2)", "numeric", 64, 2),
        ("numeric(10)", "numeric", 64, 0),
        ("numeric", "numeric", 64, None),
        ("timestamp(3) without time zone", "datetime", 64, None),
        ("timestamp with time zone", "datetimetz", 64, None),
        ("character varying(20)", "other", 64, None),
        ("text[]", "array", 64, None),
        ("my_schema.my_type[]", "array", 64, None),
        ('"Odd Type"', "other", 64, None),
    ],
)
def test_types_of_postgresql_are_understood(declared: str, kind: str, bits: int, scale: int | None) -> None:
    column = postgres_column(declared)
    assert (column.kind, column.bits, column.scale) == (kind, bits, scale)
