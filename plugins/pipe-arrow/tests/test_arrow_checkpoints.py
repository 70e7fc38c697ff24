"""Runs of records with checkpoints, into files of columns and from them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_files import FORMATS, names, read, write

from pipe_arrow.table_source import TableSource
from pipe_core import Pipe, get_format
from pipe_core.runs.errors import ResumeError
from pipe_core.runtime.failpoints import armed
from pipe_core.testing.faults import SINK_FAULTS, resumed_behind

RECORDS = [{"n": n} if n < 2_000 else {"n": n, "text": f"Nr {n}"} for n in range(4_000)]
"""A column comes behind the first checkpoints."""
WHOLE = [{"n": None, "text": None, **record} for record in RECORDS]


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "avro":
        pytest.importorskip("fastavro")
    return str(request.param)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    shutil.rmtree("runs", ignore_errors=True)


def pipe(source: Any, sink: Any, **options: Any) -> Pipe:
    return Pipe(source, sink, checkpoint="runs", checkpoint_seconds=1e-9, chunk_size=1_000, **options)


FOLDERS = [("parquet", point, mode) for point in SINK_FAULTS for mode in ("overwrite", "append")]
FOLDERS += [
    ("feather", SINK_FAULTS[1], "append"),
    ("orc", SINK_FAULTS[1], "overwrite"),
    ("avro", SINK_FAULTS[1], "append"),
]


@pytest.mark.parametrize(("format", "point", "mode"), FOLDERS, indirect=["format"])
def test_a_folder_has_every_record_once(format: str, point: str, mode: Any) -> None:
    target, old = f"out.{format}/", {"n": -1, "text": "old"}
    write(format, target, [old])
    report = resumed_behind(lambda: pipe(RECORDS, target, mode=mode), point)
    assert (report.read, report.delivery, report.notes) == (len(RECORDS), "exactly-once", report.notes[-1:])
    assert (report.resumed_at or 0) >= (1_000 if "checkpoint" in point else len(RECORDS))
    found = read(format, target).records
    before = [old] if mode == "append" else []
    assert [record["n"] for record in found] == [record["n"] for record in (*before, *RECORDS)]
    assert [record.get("text") for record in found[len(before) :]] == [record["text"] for record in WHOLE]
    assert names(Path()) == [target[:-1], "runs"], "nothing is beside it"


@pytest.mark.parametrize("point", ["commit.after=error@3", "checkpoint.kept=error", "sink.commit.after=error"])
def test_one_file_is_begun_anew_or_only_made_visible(format: str, point: str) -> None:
    """Its one checkpoint is that of its end, and the report says so."""
    target = f"out.{format}"
    report = resumed_behind(lambda: pipe(RECORDS, target), point)
    assert read(format, target).records == WHOLE
    assert report.delivery == "exactly-once"
    if point.startswith("commit.after"):
        assert report.resumed_at is None
        (note,) = (note for note in report.notes if "no checkpoint before everything is written" in note)
        assert f"{target} is one file" in note
        assert "in a folder of part files one can" in note
    else:
        assert report.resumed_at == len(RECORDS)
    assert names(Path()) == [target, "runs"]


@pytest.mark.parametrize("as_folder", [False, True], ids=["file", "folder"])
def test_a_source_that_has_changed_is_refused(format: str, as_folder: bool) -> None:
    source = f"in.{format}{'/' if as_folder else ''}"
    write(format, source, RECORDS)

    def make(**options: Any) -> Pipe:
        return pipe((source, options), "out.jsonl", mode="overwrite")

    assert resumed_behind(make, "checkpoint.kept=error").read == len(RECORDS)

    with armed("checkpoint.kept=error"), pytest.raises(OSError, match="Input/output error"):
        make().run()
    if as_folder:
        write(format, source, [{"n": -1}], mode="append")
    else:
        Path(source).unlink()
        write(format, source, [*RECORDS[:-1], {"n": -1}])
    with pytest.raises(ResumeError, match=r"has changed \(.*(ends is another one|part-00001.* is new)"):
        make().resume()
    assert make().resume(force=True).read >= len(RECORDS)


@pytest.mark.parametrize("group", [300, 1_000_000])
@pytest.mark.parametrize("most_rows", [1_000, 1 << 17])
@pytest.mark.parametrize("chunk_size", [None, 1_000])
def test_a_source_is_entered_at_any_record(
    group: int,
    most_rows: int,
    chunk_size: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Splits behind a record, in whatever row group of whatever file it is, are what the others would have been."""
    monkeypatch.setattr("pipe_arrow.table_source._MOST_ROWS", most_rows)
    Path("in").mkdir()
    records = [{"n": n} for n in range(7_000)]
    for number, (begin, end) in enumerate(((0, 2_500), (2_500, 2_500), (2_500, 7_000))):
        table = pa.table({"n": pa.array(range(begin, end), pa.int64())})
        pq.write_table(table, f"in/part-{number}.parquet", row_group_size=group)
    source = get_format("parquet").source("in")
    source.open()
    for count in (0, 1, 299, 300, 999, 1_000, 2_499, 2_500, 2_501, 6_999, 7_000):
        found = source.splits_from(count, lambda: 2_000)
        rows = [row for split in found for batch in split.batches(70) for row in batch.records]
        assert rows == records[count:], count
    assert source.splits_from(7_001, lambda: 2_000) is None
    source.close()

    def make() -> Pipe:
        options = {"checkpoint": "runs", "checkpoint_seconds": 1e-9, "chunk_size": chunk_size}
        return Pipe(("in", {"format": "parquet"}), "out.jsonl", **options)

    monkeypatch.setattr(TableSource, "chunks", lambda self, size: pytest.fail("the driver reads"))
    assert resumed_behind(make, "checkpoint.kept=error").read == 7_000
    out: list[Any] = []
    Pipe("out.jsonl", out).run()
    assert out == records


def test_other_columns_are_another_input() -> None:
    write("parquet", "in.parquet", RECORDS)
    with armed("checkpoint.kept=error"), pytest.raises(OSError, match="Input/output error"):
        pipe("in.parquet", "out.jsonl").run()
    with pytest.raises(ResumeError, match=r"has changed \(columns was None and is \['n'\]\)"):
        pipe(("in.parquet", {"columns": ["n"]}), "out.jsonl").resume()
    assert pipe("in.parquet", "out.jsonl").resume().read == len(RECORDS)
