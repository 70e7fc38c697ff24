"""Runs of records with checkpoints, into tables and from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipe_core import Pipe, SourceError, get_format
from pipe_core.runs.errors import ResumeError
from pipe_core.runtime.failpoints import armed
from pipe_core.testing.faults import SINK_FAULTS, resumed_behind

RECORDS = [{"n": n} if n < 2_000 else {"n": n, "text": f"Nr {n}"} for n in range(4_000)]
ROWS = [(row["n"], row.get("text")) for row in RECORDS]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pipe(source: Any, sink: Any, **options: Any) -> Pipe:
    return Pipe(source, sink, checkpoint="runs", checkpoint_seconds=1e-9, chunk_size=1_000, **options)


def table(database: Any, name: str = "sales", **options: Any) -> tuple[str, dict[str, Any]]:
    return database.url, {"table": name, **options}


def tables(database: Any) -> set[str]:
    if database.dialect == "sqlite":
        return {name for (name,) in database.run("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {name for (name,) in database.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


# --- sinks ---


@pytest.mark.parametrize("mode", ["error", "overwrite", "append"])
def test_a_table_has_every_record_once(database: Any, mode: Any) -> None:
    names = {f"sales_{number}": point for number, point in enumerate(SINK_FAULTS)}
    for name, point in names.items():
        if mode != "error":
            database.run(f"CREATE TABLE {name} (n INTEGER, text VARCHAR(40))", f"INSERT INTO {name} VALUES (-1, 'old')")
        report = resumed_behind(lambda name=name: pipe(RECORDS, table(database, name), mode=mode), point)
        assert (report.read, report.delivery) == (len(RECORDS), "exactly-once")
        assert (report.resumed_at or 0) >= 1_000
        expected = [(-1, "old"), *ROWS] if mode == "append" else ROWS
        assert database.run(f"SELECT n, text FROM {name} ORDER BY n") == expected
    assert tables(database) == {*names, "_pipe_commits"}, "nothing waits any more"


def test_conflicts_are_settled_once(database: Any) -> None:
    database.run("CREATE TABLE sales (n INTEGER PRIMARY KEY, text VARCHAR(40))", "INSERT INTO sales VALUES (7, 'old')")
    records = [{"n": n % 10, "text": f"Nr {n}"} for n in range(4_000)]
    target = table(database, on_conflict="update", key=["n"])
    resumed_behind(lambda: pipe(records, target, mode="append"), "checkpoint.sink.after=error@3")
    assert database.run("SELECT n, text FROM sales ORDER BY n") == [(n, f"Nr {3_990 + n}") for n in range(10)]


@pytest.mark.parametrize("point", ["commit.after=error@3", "sink.commit.before=error"])
def test_who_may_make_no_table_begins_anew(postgres: Any, point: str) -> None:
    """Its rows go to the table at once then, in one transaction; the report says what that means."""
    postgres.run("CREATE TABLE sales (n INTEGER, text VARCHAR(40))", "INSERT INTO sales VALUES (-1, 'old')")
    name = f"clerk_{postgres.name}"
    postgres.run(
        f"CREATE ROLE {name} LOGIN PASSWORD 'x'",
        f"GRANT ALL ON sales TO {name}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    url = f"postgresql://{name}:x@127.0.0.1:{postgres.server.port}/{postgres.name}"
    try:
        for mode, delivery in (("append", "at-least-once"), ("overwrite", "exactly-once")):
            report = resumed_behind(lambda mode=mode: pipe(RECORDS, (url, {"table": "sales"}), mode=mode), point)
            assert (report.resumed_at, report.delivery) == (None, delivery)
            assert any("resumed from the beginning" in note and "sales" in note for note in report.notes)
            expected = [(-1, "old"), *ROWS] if mode == "append" else ROWS
            assert postgres.run("SELECT n, text FROM sales ORDER BY n") == expected
    finally:
        postgres.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


# --- sources ---


def filled(database: Any) -> None:
    database.run("CREATE TABLE shop (id INTEGER PRIMARY KEY, name VARCHAR(40))")
    database.fill("shop", [(n, f"Nr {n}") for n in range(0, 8_000, 2)])


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO shop VALUES (1, 'new')",
        "INSERT INTO shop VALUES (9000, 'new')",
        "DELETE FROM shop WHERE id = 20",
        "UPDATE shop SET id = 9000 WHERE id = 7998",
    ],
)
def test_a_table_with_other_rows_is_refused(database: Any, change: str) -> None:
    filled(database)
    for source in (table(database, "shop"), (database.url, {"query": "SELECT * FROM shop", "key": "id"})):
        report = resumed_behind(lambda s=source: pipe(s, "a.jsonl", mode="overwrite"), "checkpoint.kept=error")
        assert (report.read, bool(report.resumed_at)) == (4_000, True)
        found: list[Any] = []
        Pipe("a.jsonl", found).run()
        assert [row["id"] for row in found] == list(range(0, 8_000, 2))
    with armed("checkpoint.kept=error"), pytest.raises(OSError, match="Input/output error"):
        pipe(table(database, "shop"), "out.jsonl").run()
    with pytest.raises(ResumeError, match=r"has changed \(statement was"):
        pipe(table(database, "shop", columns=["id"]), "out.jsonl").resume()
    database.run(change, "SELECT 1")
    with pytest.raises(ResumeError, match=r"shop has changed \((rows|last_key) was"):
        pipe(table(database, "shop"), "out.jsonl").resume()


def test_a_table_is_entered_at_any_row(database: Any) -> None:
    """By its key, which must tell the row from the one before."""
    filled(database)
    database.run("CREATE TABLE twice (id INTEGER, name VARCHAR(40))", "SELECT 1")
    database.fill("twice", [(1, "a"), (2, "b"), (2, "c"), (3, "d")])
    source = get_format("sql", table="shop").source(database.url)
    source.open()
    for count in (0, 1, 1_999, 3_999, 4_000):
        found = source.splits_from(count, lambda: 5_000)
        rows = [row["id"] for split in found for batch in split.batches(100) for row in batch.records]
        assert rows == list(range(2 * count, 8_000, 2)), count
    assert source.splits_from(4_001, lambda: 5_000) is None
    source.close()
    source = get_format("sql", table="twice", key="id").source(database.url)
    source.open()
    with pytest.raises(SourceError, match="same key"):
        list(source.splits_from(2, lambda: 1))
    source.close()


def test_a_query_without_a_key_is_read_in_the_same_order_or_refused(database: Any) -> None:
    filled(database)
    query = (database.url, {"query": "SELECT name FROM shop ORDER BY name"})
    if database.dialect == "postgresql":
        with pytest.raises(SourceError, match=r"without a key.*'key', or leave checkpoint= out"):
            pipe(query, "out.jsonl").run()
        assert list(Path("runs").iterdir()) == []
        return
    resumed_behind(lambda: pipe(query, "out.jsonl"), "checkpoint.kept=error@2")
    found: list[Any] = []
    Pipe("out.jsonl", found).run()
    assert [row["name"] for row in found] == sorted(f"Nr {n}" for n in range(0, 8_000, 2))
    with armed("checkpoint.kept=error@2"), pytest.raises(OSError, match="Input/output error"):
        pipe(query, "other.jsonl").run()
    database.run("DELETE FROM shop WHERE id = 20", "SELECT 1")
    with pytest.raises(ResumeError, match=r"has changed \(rows was 4000 and is 3999\)"):
        pipe(query, "other.jsonl").resume()


def test_a_file_is_read_and_written_at_once(sqlite: Any) -> None:
    """What waits in the file is no change of the table that is read."""
    filled(sqlite)
    for point in (SINK_FAULTS[0], *SINK_FAULTS[3:]):
        report = resumed_behind(lambda: pipe(table(sqlite, "shop"), table(sqlite, "copy"), mode="overwrite"), point)
        assert report.read == 4_000
        assert sqlite.run("SELECT * FROM copy ORDER BY id") == sqlite.run("SELECT * FROM shop ORDER BY id")
