"""Sinks that runs with checkpoints are tried on, and what is in them."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PRELOAD = [
    name
    for name in (
        "pipe_core.testing.faults",
        "pipe_threads.backend",
        "pipe_sql.sql_format",
        "pipe_sql.sink",
        "sqlalchemy.dialects.sqlite",
        "sqlalchemy.dialects.postgresql.psycopg",
        "psycopg",
        "pipe_arrow.plugin",
        "pipe_arrow.table_format",
        "pipe_delta.plugin",
        "pipe_delta.delta_format",
    )
    if find_spec(name.partition(".")[0]) is not None
]
"""What the warm process imports, so that no program has to."""


@dataclass(frozen=True)
class KeptSink:
    """A sink.

    Attributes:
        target: What `Pipe` is given.
        content: What is in it, in a folder: equal where the rows are, and the bytes of plain files.
        needs: The package that writes it.
        only_final: Whether it has no checkpoint before its end.
    """

    target: str
    content: Callable[[Path], Any]
    needs: str = "pipe_core"
    only_final: bool = False

    @property
    def installed(self) -> bool:
        return find_spec(self.needs) is not None


def _bytes(name: str) -> Callable[[Path], bytes]:
    return lambda folder: (folder / name).read_bytes()


def _unzipped(folder: Path) -> bytes:
    return gzip.decompress((folder / "out.jsonl.gz").read_bytes())


def _parts(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((folder / "out.jsonl").iterdir()))


def _columns(folder: Path) -> list[int]:
    import pyarrow.parquet as pq

    path = folder / "out.parquet"
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [n for file in files for n in pq.ParquetFile(file).read(use_threads=False)["n"].to_pylist()]


def _delta(folder: Path) -> list[int]:
    import deltalake
    import pyarrow.parquet as pq

    files = deltalake.DeltaTable(folder / "out.delta").file_uris()
    return sorted(n for file in files for n in pq.ParquetFile(file).read(use_threads=False)["n"].to_pylist())


def _sqlite(folder: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(folder / "out.db")) as connection:
        rows = connection.execute("SELECT n FROM t ORDER BY rowid").fetchall()
        tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    return [rows, tables]


SINKS = {
    "jsonl": KeptSink("out.jsonl", _bytes("out.jsonl")),
    "csv": KeptSink("out.csv", _bytes("out.csv")),
    "json": KeptSink("out.json", _bytes("out.json")),
    "gzip": KeptSink("out.jsonl.gz", _unzipped),
    "parts": KeptSink("out.jsonl/", _parts),
    "parquet": KeptSink("out.parquet", _columns, "pipe_arrow", only_final=True),
    "parquet parts": KeptSink("out.parquet/", _columns, "pipe_arrow"),
    "sqlite": KeptSink("sqlite:///out.db?table=t", _sqlite, "pipe_sql"),
    "delta": KeptSink("out.delta", _delta, "pipe_delta"),
}


def left(folder: Path) -> list[str]:
    """What is in a folder beside the runs: hidden files, too."""
    return sorted(path.name for path in folder.iterdir() if path.name != "runs")
