"""Odd values in a table come as they are, and a damaged database is a named error."""

from __future__ import annotations

import contextlib
import gzip
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipe_core import FlowStatus, Pipe, SourceError, SourceNotFoundError

ODD: dict[str, tuple[str, list[Any]]] = {
    "NUL in text": ("TEXT", ["a\0b", "\0", ""]),
    "separators": ("TEXT", ["\u2028\u2029\x85\ufeff", "\r\n", "a\rb"]),
    "no characters": ("TEXT", ["\ufffe\uffff", "\U0010ffff", "\x7f\x01"]),
    "what looks like SQL": ("TEXT", ["'; DROP TABLE t; --", "%s ? :a", '"']),
    "long text": ("TEXT", ["x" * 3_000_000, "", None]),
    "infinity": ("REAL", [math.inf, -math.inf, None]),
    "the smallest and the largest": ("INTEGER", [-(2**63), 2**63 - 1, 0]),
    "text in a column of integers": ("INTEGER", ["abc", "1x", "0x1F"]),
    "bytes in a column of integers": ("INTEGER", [b"\0\xff", b"", 1]),
    "floats in a column of integers": ("INTEGER", [1.5, -0.5, 1e300]),
    "numbers in a column of bytes": ("BLOB", [1, 1.5, "1"]),
    "no dates": ("DATE", ["not a date", "2020-13-45", 20]),
    "no moments": ("TIMESTAMP", ["2020-01-01 25:61:61", "", 1.5]),
    "no truth values": ("BOOLEAN", [7, "yes", -1]),
    "no JSON": ("JSON", ["{bad", "", "[" * 5000]),
    "JSON that would lose something": ("JSON", ['{"a": 1, "a": 2}', "NaN", "[1e400]", "-Infinity"]),
    "bytes as JSON": ("JSON", [b"{}", b"\xff", 1]),
}


def made(path: Path, declared: str, values: list[Any]) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, a {declared})")
        connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(values))


def run(path: Path, chunk_size: int | None) -> tuple[list[Any], SourceError | None]:
    records: list[Any] = []
    bad: list[Any] = []
    url = f"sqlite:///{path}"
    pipe = Pipe((url, {"table": "t"}), records, errors=bad, executor="sync", chunk_size=chunk_size)
    error = None
    try:
        pipe.run()
    except SourceError as problem:
        error = problem
    report = pipe.report
    assert report is not None
    assert report.conserved
    assert report.status is (FlowStatus.COMPLETED if error is None else FlowStatus.FAILED)
    assert (report.read, report.valid, report.failed, bad) == (len(records), len(records), 0, [])
    return records, error


@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize("name", ODD)
def test_odd_values_come_as_they_are(tmp_path: Path, name: str, chunk_size: int | None) -> None:
    declared, values = ODD[name]
    made(tmp_path / "odd.db", declared, values)
    records, error = run(tmp_path / "odd.db", chunk_size)
    assert error is None
    assert [record["id"] for record in records] == list(range(len(values)))
    assert [(type(record["a"]), record["a"]) for record in records] == [(type(value), value) for value in values]


@pytest.mark.parametrize("chunk_size", [None, 1])
def test_keys_of_all_types_come_once(tmp_path: Path, chunk_size: int | None) -> None:
    keys = [1, 1.5, math.inf, "", "\0", "1", b"", b"1"]  # in the order of SQLite
    with contextlib.closing(sqlite3.connect(tmp_path / "odd.db")) as connection, connection:
        connection.execute("CREATE TABLE t (k PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT INTO t VALUES (?)", [(key,) for key in reversed(keys)])
    records, error = run(tmp_path / "odd.db", chunk_size)
    assert error is None
    assert [(type(record["k"]), record["k"]) for record in records] == [(type(key), key) for key in keys]


@pytest.mark.parametrize("raw", [b"\xff", b"M\xfcller", b"\xed\xa0\x80", b"\xe2\x82"])
def test_text_that_is_none_is_named_with_its_column(tmp_path: Path, raw: bytes) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "odd.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.execute("INSERT INTO t VALUES (1, CAST(? AS TEXT))", (raw,))
    records, error = run(tmp_path / "odd.db", None)
    assert (records, type(error)) == ([], SourceError)
    assert "odd.db" in str(error)
    assert "UTF-8 column 'a'" in str(error)


# --- damaged files ----------------------------------------------------------------------------------------------------

ROWS = [f"row {i} " + "x" * 300 for i in range(300)]
PAGE = 4096


def _page(number: int, content: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[: PAGE * number] + (content * PAGE)[:PAGE] + data[PAGE * (number + 1) :]


def _cut(part: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * part)]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    **{f"cut at {percent} %": _cut(percent / 100) for percent in (1, 5, 20, 50, 70, 90, 99)},
    **{f"zeros in page {number}": _page(number, b"\0") for number in (0, 1, 2, 5, 11)},
    **{f"ones in page {number}": _page(number, b"\xff") for number in (0, 1, 3, 7)},
    **{f"text in page {number}": _page(number, b"damaged ") for number in (0, 1, 4)},
    "only its head": lambda data: data[:100],
    "wrong mark": lambda data: data.replace(b"SQLite", b"SQLITE"),
    "zeros before": lambda data: b"\0" * 512 + data,
    "compressed": lambda data: gzip.compress(data, mtime=0),
    "another page size": lambda data: data[:16] + b"\x02\x00" + data[18:],
    "CSV": lambda data: b"id,a\n1,2\n" * 300,
    "zeros": lambda data: b"\0" * 5000,
}


@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_database_is_named(tmp_path: Path, name: str, chunk_size: int | None) -> None:
    path = tmp_path / "damaged.db"
    made(path, "TEXT", ROWS)
    data = path.read_bytes()
    path.write_bytes(DAMAGES[name](data))
    assert path.read_bytes() != data
    records, error = run(path, chunk_size)
    assert type(error) is SourceError
    assert "damaged.db" in str(error)
    assert "malformed" in str(error) or "not a database" in str(error)
    assert [(record["id"], record["a"]) for record in records] == list(enumerate(ROWS))[: len(records)]


def test_an_empty_file_has_no_tables(tmp_path: Path) -> None:
    (tmp_path / "empty.db").write_bytes(b"")
    records, error = run(tmp_path / "empty.db", None)
    assert records == []
    assert type(error) is SourceNotFoundError
    assert "no table 't'" in str(error)
