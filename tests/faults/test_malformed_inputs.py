"""Malformed files on other executors: what comes, what is named and how it ends is as on `sync`.

What each malformed file must give is tested with the formats. These are as large as several chunks, so that the bad
records are found by different workers, and damage behind what workers have begun.
"""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lz4.frame
import pytest

from pipe_core import FlowStatus, Pipe, PipeError, SourceError

if TYPE_CHECKING:
    from starting import Started

OK, L = b"1,2\n", b'{"x":1}\n'
BAD_ROWS = [b"1\n", b"1,2,3\n", b"\0,2\n", b"\xff,2\n", b"a" * 131_073 + b",2\n", b'5" pipe,"a\nb"\n']
BAD_LINES = [
    b'{"x":NaN}\n',
    b'{"x":1,"x":2}\n',
    b'{"x":"\xff"}\n',
    b'{"x":\n',
    b"[" * 100 + b"]" * 100 + b"\n",
    b"1e400\n",
]
CSV = b"x,y\n" + b"".join(OK * 6000 + row for row in BAD_ROWS * 2)
JSONL = b"".join(L * 3000 + line for line in BAD_LINES * 2)
OPEN = b"x,y\n" + OK * 20_000 + b'1,"2\n' + OK * 40_000 + b'3,"4\n' + OK * 100
ARRAY = b"[" + (L.replace(b"\n", b",") * 3000 + b'{"x":1e999},') * 6
PACKED, FRAMED = gzip.compress(CSV, mtime=0), lz4.frame.compress(JSONL, content_checksum=True)
FILES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "bad rows": ("csv", CSV, {}),
    "bad rows with a limit": ("csv", CSV, {"max_record_bytes": 1000}),
    "open quotes": ("csv", OPEN, {}),
    "bad lines": ("jsonl", JSONL, {}),
    "bad lines in ASCII": ("jsonl", JSONL, {"encoding": "ascii"}),
    "a cut array": ("json", ARRAY, {}),
    "UTF-16 cut": ("csv", CSV.decode("latin-1").encode("utf-16")[:-1], {"encoding": "utf-16"}),
    "gzip cut": ("csv.gz", PACKED[: len(PACKED) // 2], {}),
    "gzip and garbage": ("csv.gz", PACKED + b"garbage", {}),
    "lz4 cut": ("jsonl.lz4", FRAMED[:-5], {}),
    "gzip without its suffix": ("jsonl", PACKED, {}),
    "names twice": ("csv", b"x,x\n" + OK * 9, {}),
}
BREAKS = {name for name in FILES if "bad" not in name and "open" not in name}


def parquet(path: Path) -> None:
    """A file whose last row group is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"x": range(30_000), "y": [f"text {i}" for i in range(30_000)]})
    how = {"compression": "none", "use_dictionary": False}
    pq.write_table(table, path, row_group_size=5000, write_page_checksum=True, **how)
    column = pq.ParquetFile(path).metadata.row_group(5).column(1)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 100] ^= 4
    path.write_bytes(data)


def written(name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    if name == "parquet":
        parquet(folder / "given.parquet")
        return folder / "given.parquet", {}
    suffix, data, options = FILES[name]
    path = folder / f"given.{suffix}"
    path.write_bytes(data)
    return path, options


def run(path: Path, options: dict[str, Any], executor: Any, folder: Path) -> tuple[Any, ...]:
    """What the sinks hold, what the report says, and the error."""
    folder.mkdir()
    pipe = Pipe((path, options), folder / "good.jsonl", errors=folder / "bad.jsonl", executor=executor)
    error: PipeError | None = None
    try:
        pipe.run()
    except PipeError as problem:
        error = problem
    report = pipe.report
    assert report is not None
    assert report.conserved
    left = {one.name: one.read_bytes() for one in sorted(folder.iterdir())}
    lines = sum(data.count(b"\n") for data in left.values())
    assert lines == report.read == report.valid + report.failed
    assert report.status is (FlowStatus.COMPLETED if error is None else FlowStatus.FAILED)
    counts = (report.read, report.valid, report.failed, report.dropped, report.expanded)
    if isinstance(error, SourceError) and error.position:
        assert error.position == report.read
    return left, counts, None if error is None else (type(error), str(error), getattr(error, "position", None))


@pytest.mark.parametrize("name", [*FILES, "parquet"])
@pytest.mark.parametrize("executor", ["threads", "loky"])
def test_a_malformed_file_gives_the_same_as_on_sync(name: str, executor: str, started: Started, tmp_path: Path) -> None:
    if importlib.util.find_spec(f"pipe_{executor}") is None:
        pytest.skip(f"pipe-{executor} is not installed")
    if name == "parquet":
        pytest.importorskip("pipe_arrow")
    path, options = written(name, tmp_path)
    expected = run(path, options, "sync", tmp_path / "sync")
    found = run(path, options, started[executor], tmp_path / executor)
    assert found == expected
    error = expected[2]
    assert (error is not None) == (name in BREAKS or name == "parquet")
    assert error is None or error[0] is SourceError
    assert expected[1][0] > 0 or name in ("gzip without its suffix", "names twice")
