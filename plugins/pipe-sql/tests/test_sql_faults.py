"""What a database may do in the middle of a run: the error names it, and the run goes on to the same rows behind it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from pipe_core import Entry, HookStore, Pipe, SinkError
from pipe_core.runtime.failpoints import armed
from pipe_sql.sqlite_store import SqliteStore
from pipe_sql.staged_rows import StagedRows

RECORDS = [{"n": n, "text": f"Nr {n}"} for n in range(4_000)]
ROWS = [(row["n"], row["text"]) for row in RECORDS]

_acts: dict[int, Callable[[], Any]] = {}
"""What happens before a record is written."""


def act(entry: Entry, store: HookStore) -> None:
    """Do what is to happen at this record."""
    _acts.pop(entry.raw_data["n"], int)()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    _acts.clear()


def pipe(database: Any, mode: Any = "append", **options: Any) -> Pipe:
    sink = database.url, {"table": "sales", **options}
    kept: dict[str, Any] = {"checkpoint": "runs", "checkpoint_seconds": 1e-9, "chunk_size": 1_000}
    return Pipe(RECORDS, sink, mode=mode, pre_validation_hooks=[act], **kept)


def made(database: Any) -> None:
    database.run("CREATE TABLE sales (n INTEGER, text VARCHAR(40))", "INSERT INTO sales VALUES (-1, 'old')")


def goes_on(database: Any, mode: Any = "append", before: list[Any] | None = None, at: int = 2_000) -> None:
    """The rows were as they had been, and are all there once when the run is resumed."""
    report = pipe(database, mode).resume()
    assert (report.resumed_at, report.read) == (at, len(RECORDS))
    before = [(-1, "old")] if before is None else before
    assert database.run("SELECT n, text FROM sales ORDER BY n") == [*before, *ROWS]


# --- SQLite ---


@contextlib.contextmanager
def locked(database: Any) -> Iterator[Callable[[], Any]]:
    """What locks the file until the block ends."""
    other = sqlite3.connect(database.path, isolation_level=None)
    try:
        yield lambda: other.execute("BEGIN IMMEDIATE")
    finally:
        other.close()


@pytest.mark.parametrize("moment", [2_500, 3_999], ids=["between", "end"])
def test_a_file_that_somebody_else_locks(sqlite: Any, moment: int) -> None:
    made(sqlite)
    with locked(sqlite) as lock:
        _acts[moment] = lock
        failing = pipe(sqlite, timeout=0.2)
        with pytest.raises(SinkError, match=r"sales.*locked by another connection\. Wait .* raise the option timeout"):
            failing.run()
        with pytest.raises(SinkError, match="locked by another connection"):
            pipe(sqlite, timeout=0.2).resume()
    assert sqlite.run("SELECT * FROM sales") == [(-1, "old")]
    goes_on(sqlite, at=moment // 1_000 * 1_000)


def test_a_file_that_somebody_else_locks_at_the_commit(sqlite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made(sqlite)
    commit = StagedRows.commit
    with locked(sqlite) as lock:

        def late(self: StagedRows) -> None:
            lock()
            commit(self)

        monkeypatch.setattr(StagedRows, "commit", late)
        with pytest.raises(SinkError, match="locked by another connection"):
            pipe(sqlite, timeout=0.2).run()
    monkeypatch.setattr(StagedRows, "commit", commit)
    goes_on(sqlite, at=len(RECORDS))


def test_a_file_that_becomes_read_only(sqlite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own switch refuses as a file system does that was mounted anew behind an error."""
    made(sqlite)
    attached = SqliteStore._attached

    @contextlib.contextmanager
    def read_only(self: SqliteStore) -> Iterator[None]:
        self._staging.execute("PRAGMA query_only = ON")
        try:
            with attached(self):
                yield
        finally:
            self._staging.execute("PRAGMA query_only = OFF")

    _acts[2_500] = lambda: monkeypatch.setattr(SqliteStore, "_attached", read_only)
    with pytest.raises(SinkError, match=r"sales.*readonly database"):
        pipe(sqlite).run()
    monkeypatch.setattr(SqliteStore, "_attached", attached)
    goes_on(sqlite)


def test_a_file_that_may_not_be_written_is_refused_before_anything_runs(
    sqlite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(sqlite)
    monkeypatch.setattr("pipe_sql.sink.os.access", lambda path, how: how != os.W_OK)
    with pytest.raises(SinkError, match="write access to the file is missing"):
        pipe(sqlite).run()
    assert sqlite.run("SELECT * FROM sales") == [(-1, "old")]


# --- both ---


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_table_that_somebody_drops(database: Any, mode: Any) -> None:
    made(database)
    _acts[2_500] = lambda: database.run("DROP TABLE sales", "SELECT 1")
    for attempt in (pipe(database, mode).run, pipe(database, mode).resume):
        with pytest.raises(SinkError, match=r"sales.*it is gone, which was there when the run began\. Make it again"):
            attempt()
        assert not there(database)
    database.run("CREATE TABLE sales (n INTEGER, text VARCHAR(40))", "SELECT 1")
    goes_on(database, mode, [], at=len(RECORDS))


def test_a_table_that_was_dropped_is_not_made_anew_by_who_goes_on(database: Any) -> None:
    """It had rules that nobody would know."""
    made(database)
    with armed("checkpoint.kept=error@2"), pytest.raises(OSError, match="Input/output error"):
        pipe(database).run()
    database.run("DROP TABLE sales", "SELECT 1")
    with pytest.raises(SinkError, match="it is gone, which was there when the run began"):
        pipe(database).resume()
    assert not there(database)
    database.run("CREATE TABLE sales (n INTEGER, text VARCHAR(40))", "SELECT 1")
    report = pipe(database).resume()
    assert report.resumed_at == (2_000 if database.dialect == "sqlite" else len(RECORDS))
    assert database.run("SELECT n, text FROM sales ORDER BY n") == ROWS


def there(database: Any) -> bool:
    master = "sqlite_master" if database.dialect == "sqlite" else "pg_catalog.pg_class"
    column = "name" if database.dialect == "sqlite" else "relname"
    return bool(database.run(f"SELECT 1 FROM {master} WHERE {column} = 'sales'"))


def test_a_commit_whose_answer_is_lost(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there, and nobody was told so: they do not come twice."""
    made(database)
    commit, is_last = Connection.commit, []
    move = StagedRows._move

    def moved(self: StagedRows, execute: Any) -> None:
        move(self, execute)
        is_last.append(True)

    def unanswered(self: Connection) -> None:
        commit(self)
        if is_last:
            raise OperationalError("COMMIT", None, ConnectionResetError("server closed the connection unexpectedly"))

    monkeypatch.setattr(StagedRows, "_move", moved)
    monkeypatch.setattr(Connection, "commit", unanswered)
    with pytest.raises(SinkError, match=r"sales"):
        pipe(database).run()
    monkeypatch.setattr(Connection, "commit", commit)
    assert len(database.run("SELECT n FROM sales")) == len(RECORDS) + 1
    goes_on(database, at=len(RECORDS))


# --- PostgreSQL ---


def end_backends(postgres: Any) -> None:
    """All other connections to the database are ended by an administrator."""
    postgres.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("moment", [500, 2_500, 3_999])
def test_a_connection_that_is_ended_in_a_transaction(postgres: Any, moment: int) -> None:
    made(postgres)
    _acts[moment] = lambda: end_backends(postgres)
    with pytest.raises(SinkError, match=r"sales.*(terminating connection|closed|lost)"):
        pipe(postgres).run()
    assert postgres.run("SELECT * FROM sales") == [(-1, "old")]
    if moment == 500:
        report = pipe(postgres).resume()
        assert (report.resumed_at, report.read) == (None, len(RECORDS))
        assert postgres.run("SELECT n, text FROM sales ORDER BY n") == [(-1, "old"), *ROWS]
    else:
        goes_on(postgres, at=moment // 1_000 * 1_000)


def test_a_connection_that_is_ended_at_the_commit(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made(postgres)
    move = StagedRows._move

    def ended(self: StagedRows, execute: Any) -> None:
        move(self, execute)
        end_backends(postgres)

    monkeypatch.setattr(StagedRows, "_move", ended)
    with pytest.raises(SinkError, match=r"sales.*(terminating connection|closed|lost)"):
        pipe(postgres).run()
    monkeypatch.setattr(StagedRows, "_move", move)
    assert postgres.run("SELECT * FROM sales") == [(-1, "old")]
    goes_on(postgres, at=len(RECORDS))


def test_a_transaction_that_others_were_in_the_way_of(postgres: Any) -> None:
    made(postgres)
    postgres.run(
        "CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'could not serialize access due to concurrent update' USING ERRCODE = '40001'; END $$",
        "CREATE TRIGGER busy AFTER INSERT ON sales EXECUTE FUNCTION busy()",
    )
    with pytest.raises(SinkError, match=r"sales.*could not serialize access"):
        pipe(postgres).run()
    postgres.run("DROP TRIGGER busy ON sales")
    assert postgres.run("SELECT * FROM sales") == [(-1, "old")]
    goes_on(postgres, at=len(RECORDS))
