"""Whole runs: from a file to a table to a file, interrupted ones, and what must never be seen."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import logging
import subprocess
import sys
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from pipe_core import Pipe, PipeError, SinkError, TargetExistsError, get_format

if TYPE_CHECKING:
    from conftest import Database, Postgres, Sqlite

CANARY = "c4nary"


class Order(BaseModel):
    id: int
    name: str
    amount: decimal.Decimal
    at: datetime.datetime
    number: uuid.UUID
    paid: bool
    tags: list[str] = []


def orders(count: int) -> Iterator[dict[str, str]]:
    for n in range(count):
        yield {
            "id": str(n),
            "name": f"Nr {n}, ü",
            "amount": f"{n}.10",
            "at": f"2024-05-01T12:00:{n % 60:02d}",
            "number": str(uuid.UUID(int=n)),
            "paid": "yes" if n % 2 else "no",
        }


def test_csv_to_a_table_to_json_lines(database: Database, tmp_path: Path) -> None:
    with open(tmp_path / "orders.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(next(orders(1))))
        writer.writeheader()
        writer.writerows(orders(2500))
    target = f"{database.url}?table=orders&key=id"
    first = Pipe(str(tmp_path / "orders.csv"), target, schema=Order).run()
    assert (first.valid, first.failed, first.delivery) == (2500, 0, "exactly-once")
    second = Pipe(
        f"{database.url}?table=orders",
        str(tmp_path / "orders.jsonl"),
        schema=Order,
    ).run()
    assert (second.valid, second.failed) == (2500, 0)
    direct = [Order.model_validate(one).model_dump(mode="json") for one in orders(2500)]
    assert [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text("utf-8").splitlines()] == direct


@pytest.mark.parametrize("chunk_size", [None, 7])
def test_a_table_is_read_alike_in_splits_and_in_chunks(database: Database, chunk_size: int | None) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    database.fill("t", [(n * n, n) for n in range(3000)])
    out: list[Any] = []
    report = Pipe(f"{database.url}?table=t", out, chunk_size=chunk_size, limit=2900).run()
    assert report.read == 2900
    assert out == [{"id": n * n, "n": n} for n in range(2900)]


def test_one_file_is_read_and_written_at_once(sqlite: Sqlite) -> None:
    sqlite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
    sqlite.fill("t", [(n, f"{n}" * 100) for n in range(20_000)])
    for mode in ("error", "append"):
        report = Pipe(f"{sqlite.url}?table=t", f"{sqlite.url}?table=copy_{mode}&timeout=1", mode=mode).run()
        assert report.valid == 20_000
        assert sqlite.run(f"SELECT count(*), min(id), max(id) FROM copy_{mode}") == [(20_000, 0, 19_999)]
    query = (sqlite.url, {"query": "SELECT text FROM t"})
    assert Pipe(query, f"{sqlite.url}?table=third&timeout=1", mode="append", limit=15_000).run().valid == 15_000


def test_a_table_cannot_be_its_own_target(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with pytest.raises(SinkError, match="is the source"):
        Pipe(f"{database.url}?table=t", f"{database.url}?table=t", mode="append").run()


@pytest.mark.parametrize("mode", ["overwrite", "append", "error"])
def test_a_run_that_fails_leaves_the_table_as_it_was(database: Database, mode: str) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    if mode != "error":
        database.fill("t", [(-n,) for n in range(1, 5)])
    before = database.run("SELECT id FROM t ORDER BY id")

    def records() -> Iterator[dict[str, int]]:
        yield from ({"id": n} for n in range(3000))
        raise OSError("the network is gone")

    with pytest.raises(PipeError, match="the network is gone"):
        Pipe(records(), f"{database.url}?table=t", mode=mode).run()
    assert database.run("SELECT id FROM t ORDER BY id") == before


def test_a_refused_row_fails_the_run_and_leaves_the_table_as_it_was(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with pytest.raises(SinkError, match=r"row 1,501 of those"):
        Pipe([{"id": min(n, 1499)} for n in range(3000)], f"{database.url}?table=t").run()
    assert database.run("SELECT count(*) FROM t") == [(0,)]


def test_a_table_with_rows_stops_a_run_before_anything_runs(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    seen: list[int] = []

    def hook(entry: Any, store: Any) -> None:
        seen.append(1)

    with pytest.raises(TargetExistsError):
        Pipe([{"id": 2}], f"{database.url}?table=t", pre_validation_hooks=[hook]).run()
    assert Pipe([{"id": 2}], f"{database.url}?table=t", mode="ignore", pre_validation_hooks=[hook]).run().read == 0
    assert not seen


def test_rejected_records_go_into_a_table(database: Database) -> None:
    records: list[Any] = [
        {"id": "x", "more": {"a": float("nan")}},
        {"id": b"\xff\0"},
        {"id": "\ud800\0"},
        {"id": 10**40},
        "no record at all",
        {"id": 1},
    ]

    class Small(BaseModel):
        id: int

    report = Pipe(records, [], schema=Small, errors=f"{database.url}?table=rejected").run()
    assert report.failed == len(database.run("SELECT * FROM rejected")) >= 4
    out: list[Any] = []
    Pipe(f"{database.url}?table=rejected", out).run()
    assert out[0]["position"] == 0
    assert out[0]["phase"] == "validation"
    assert out[0]["raw"]["id"] == "x"
    assert out[0]["errors"][0]["loc"] == ["id"]


def test_a_killed_run_leaves_the_table_as_it_was(database: Database, tmp_path: Path) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    script = tmp_path / "run.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pipe_core import Pipe\n"
        "def records():\n"
        "    for n in range(100, 50000):\n"
        "        if n == 49000:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield {'id': n}\n"
        "Pipe(records(), sys.argv[1], mode='overwrite').run()\n"
    )
    done = subprocess.run([sys.executable, script, f"{database.url}?table=t"], timeout=50, cwd=tmp_path)
    assert done.returncode == -9
    assert database.run("SELECT id FROM t") == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir()) in (["run.py"], ["run.py", "shop.db"])


def test_no_password_and_no_value_is_shown_anywhere(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    postgres.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    seen: list[Any] = []
    runs: list[tuple[Any, Any]] = [
        ([{"id": 1, "name": f"{CANARY}-value"}], f"{postgres.url}?table=t"),
        ([{"id": 2, "name": f"{CANARY}-value"}], f"{postgres.url}?table=t"),
        (f"{postgres.url}?table=t", []),
        (f"{postgres.url}?table=nothing", []),
        ((postgres.url, {"query": "SELECT nothing FROM t"}), []),
        ((postgres.url, {"query": "SELECT name::int FROM t"}), []),
        (postgres.url, []),
        ((postgres.url.replace("tester", "nobody"), {"table": "t"}), []),
        ((f"{postgres.url}?password={CANARY}2&sslmode=bogus", {"table": "t"}), []),
    ]
    for source, sink in runs:
        try:
            report = Pipe(source, sink, mode="append").run()
            seen += [report.to_dict(), repr(report), report.to_html(), report]
        except PipeError as error:
            seen += [str(error), repr(error), "".join(traceback.format_exception(error)), vars(error)]
    for made in (
        get_format("sql").source(f"{postgres.url}?table=t"),
        get_format("sql").sink(f"{postgres.url}?table=t"),
    ):
        seen += [repr(made), str(made), made.name, vars(made)]
    assert len(seen) > 20
    assert CANARY not in "\n".join(map(str, seen)) + caplog.text


def test_a_missing_driver_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    source = get_format("sql").source("postgresql://nobody@127.0.0.1:1/db?table=t")
    with pytest.raises(PipeError, match=r"pip install 'pipe-sql\[postgresql\]'"):
        source.open()
    source.close()


def test_describing_the_format_imports_no_database() -> None:
    code = (
        "import sys; from pipe_core import Kernel; Kernel().spec('formats', 'sql');"
        "assert not {'sqlalchemy', 'psycopg', 'sqlite3'} & set(sys.modules), sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr


MEASURE = """
import resource, sys
from pipe_core import Pipe
url, source = sys.argv[1], {"t": {"table": "t"}, "q": {"query": "SELECT * FROM t"}}[sys.argv[2]]
for limit in (10_000, 100_000):
    Pipe((url, source), (url, {"table": "copy"}), limit=limit, mode="overwrite").run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux counts it")
@pytest.mark.parametrize("kind", ["t", "q"])
def test_memory_does_not_grow_with_the_table(database: Database, kind: str) -> None:
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        f"INSERT INTO t SELECT i, '{'x' * 300}' FROM n",
    )
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, database.url, kind], capture_output=True, text=True, timeout=55
    )
    assert done.returncode == 0, done.stderr
    small, large = map(int, done.stdout.split())
    assert large - small < 16  # MiB; ten times the rows, 30 MB of text
    assert database.run("SELECT count(*) FROM copy") == [(100_000,)]
