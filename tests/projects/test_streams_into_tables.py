"""Streams that are killed at any moment, into tables: each record is there once."""

from __future__ import annotations

import random
import runpy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parents[2] / "core" / "tests" / "project" / "streaming"
KILLING: Any = runpy.run_path(str(HOME / "stream_killing.py"))


def in_sqlite(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "seen.db")) as connection:
        return [int(row[0]) for row in connection.execute("select n from seen order by rowid")]


def in_delta(folder: Path) -> list[int]:
    from deltalake import DeltaTable

    return sorted(DeltaTable(str(folder / "seen.delta")).to_pyarrow_table()["n"].to_pylist())


TABLES = pytest.mark.parametrize(
    ("sink", "read"),
    [
        ({"path": "sqlite:///seen.db?table=seen", "format": "sql"}, in_sqlite),
        ({"path": "seen.delta", "format": "delta"}, in_delta),
    ],
    ids=["sqlite", "delta"],
)


@TABLES
def test_each_record_is_in_the_table_once(sink: dict[str, Any], read: Any, tmp_path: Path) -> None:
    kills = KILLING["stream_with_kills"](tmp_path, sink, 2, random.Random(3), 0.8)
    assert read(tmp_path) == KILLING["EXPECTED"]
    assert kills


@pytest.mark.chaos
@pytest.mark.timeout(600)
@TABLES
def test_twenty_kills(sink: dict[str, Any], read: Any, tmp_path: Path) -> None:
    kills, chance = 0, random.Random(4)
    for number in range(20):
        (folder := tmp_path / str(number)).mkdir()
        kills += KILLING["stream_with_kills"](folder, sink, 7, chance, 1.5)
        assert read(folder) == KILLING["EXPECTED"]
        if kills >= 20:
            return
    pytest.fail(f"only {kills} kills")
