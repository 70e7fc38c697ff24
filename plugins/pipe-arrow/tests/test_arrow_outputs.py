"""Files and folders of part files appear whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from arrow_files import FORMATS, begun, names, put, read, read_splits, write

from pipe_arrow import silent_file
from pipe_core import OptionsError, SinkError, SourceError, TargetExistsError, get_format
from pipe_core.formats.staged_file import StagedFile

RECORDS = [{"id": i, "text": f"record {i}"} for i in range(100)]


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "avro":
        pytest.importorskip("fastavro")
    return str(request.param)


def test_a_name_that_ends_in_a_slash_is_a_folder_of_part_files(tmp_path: Path, format: str) -> None:
    target = tmp_path / f"out.{format}"
    write(format, f"{target}/", RECORDS, pieces=7, part_size=30)
    assert names(target) == [f"part-0000{i}.{format}" for i in range(4)]
    assert [len(read(format, target / name).records) for name in names(target)] == [30, 30, 30, 10]
    assert read(format, target).records == RECORDS
    assert names(tmp_path) == [target.name]
    if format != "avro":
        assert read_splits(format, target, 1).records == RECORDS


def test_part_files_have_the_same_types_whenever_they_showed(tmp_path: Path) -> None:
    records = [{"x": None}, {"x": None}, {"x": 1}, {"x": 2}, {"x": 0.5}]
    write("parquet", f"{tmp_path}/out/", records, pieces=5, part_size=2)
    schemas = {str(pq.read_schema(path)) for path in (tmp_path / "out").iterdir()}
    assert len(schemas) == 1
    assert pyarrow.dataset.dataset(tmp_path / "out").to_table().column("x").to_pylist() == [None, None, 1.0, 2.0, 0.5]


def test_a_folder_is_not_visible_before_the_commit(tmp_path: Path) -> None:
    sink = begun("parquet", f"{tmp_path}/out/", part_size=10)
    put(sink, RECORDS)
    assert all(name.startswith(".") for name in names(tmp_path))
    sink.abort()
    sink.close()
    assert names(tmp_path) == []


def test_appending_adds_a_part_file_with_each_commit(tmp_path: Path, format: str) -> None:
    target = tmp_path / f"out.{format}"
    write(format, f"{target}/", RECORDS[:10], mode="append")
    sink = begun(format, target, mode="append")
    put(sink, RECORDS[10:20])
    sink.commit()
    sink.commit()
    put(sink, RECORDS[20:30])
    sink.commit()
    put(sink, RECORDS[30:40])
    sink.abort()
    sink.close()
    assert names(target) == [f"part-0000{i}.{format}" for i in range(3)]
    assert read(format, target).records == RECORDS[:30]
    assert names(tmp_path) == [target.name]


def test_appending_to_a_file_is_refused_and_part_files_are_named(tmp_path: Path, format: str) -> None:
    target = tmp_path / f"out.{format}"
    write(format, target, RECORDS)
    for path in (target, tmp_path / f"new.{format}"):
        with pytest.raises(SinkError, match="part files to a folder: end its name in '/'"):
            begun(format, path, mode="append")
    with pytest.raises(SinkError, match="is a file, and part files need a folder"):
        begun(format, f"{target}/", mode="append")
    assert names(tmp_path) == [target.name]


def test_appended_part_files_keep_to_the_columns_that_are_there(tmp_path: Path) -> None:
    target = f"{tmp_path}/out/"
    write("parquet", target, [{"a": 1, "b": "x"}], mode="append")
    write("parquet", target, [{"b": None, "a": None}], mode="append")
    write("parquet", target, [{"b": "y"}], mode="append")
    assert read("parquet", target).records == [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": None, "b": "y"}]
    with pytest.raises(SinkError, match="'a' is string, before it was int64"):
        write("parquet", target, [{"a": "text"}], mode="append")
    assert len(names(tmp_path / "out")) == 3


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = f"{tmp_path}/out.parquet/"
    write("parquet", target, RECORDS, part_size=10)
    with pytest.raises(TargetExistsError):
        begun("parquet", target)
    with pytest.raises(SinkError, match="end its name in '/'"):
        begun("parquet", target[:-1], mode="overwrite")
    sink = begun("parquet", target, mode="overwrite")
    put(sink, RECORDS[:5])
    sink.close()
    assert read("parquet", target).records == RECORDS
    write("parquet", target, RECORDS[:5], mode="overwrite")
    assert names(tmp_path) == ["out.parquet"]
    assert names(tmp_path / "out.parquet") == ["part-00000.parquet"]
    assert read("parquet", target).records == RECORDS[:5]


def test_an_aborted_folder_can_be_kept(tmp_path: Path) -> None:
    sink = begun("parquet", f"{tmp_path}/out/", part_size=40)
    put(sink, RECORDS)
    place = sink.abort(keep=True)
    sink.close()
    assert place == f"{tmp_path}/out.partial"
    assert read("parquet", place).records == RECORDS
    assert names(tmp_path) == ["out.partial"]


def test_an_aborted_file_that_was_kept_can_be_read(tmp_path: Path, format: str) -> None:
    sink = begun(format, tmp_path / "out")
    put(sink, RECORDS)
    place = sink.abort(keep=True)
    sink.close()
    assert read(format, place).records == RECORDS
    assert names(tmp_path) == ["out.partial"]


def test_an_empty_folder_can_be_read(tmp_path: Path) -> None:
    write("parquet", f"{tmp_path}/out/", [], fields=["id"])
    assert names(tmp_path / "out") == ["part-00000.parquet"]
    assert read("parquet", tmp_path / "out").records == []


def test_a_folder_with_other_columns_in_it_is_refused(tmp_path: Path) -> None:
    write("parquet", tmp_path / "1.parquet", [{"a": 1, "b": 2}])
    write("parquet", tmp_path / "2.parquet", [{"a": 1, "c": 2}])
    found = read("parquet", tmp_path)
    assert "2.parquet" in str(found.error)
    assert read("parquet", tmp_path, columns=["a"]).records == [{"a": 1}, {"a": 1}]


def test_what_is_neither_file_nor_folder_is_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        get_format("parquet").source(tmp_path / "a.parquet").open()


@pytest.mark.parametrize("target", ["-", "a.parquet.gz", "a.parquet.zst", "s3://bucket/a.parquet"])
def test_streams_compressed_files_and_urls_are_refused(target: str) -> None:
    for make in (get_format("parquet").source, get_format("parquet").sink):
        with pytest.raises(OptionsError):
            make(target)


class Disk:
    """Files whose n-th write finds no space."""

    def __init__(self, failing: int) -> None:
        self.writes = 0
        self.failing = failing

    def opened(self, raw: Any) -> Any:
        disk = self

        class File(io.FileIO):
            def write(self, data: Any, /) -> Any:
                disk.writes += 1
                if disk.writes == disk.failing:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data)

        return io.BufferedRandom(File(raw.fileno(), "r+b", closefd=False), 256)


def overwritten(format: str, path: Path, records: list[Any], options: dict[str, Any]) -> None:
    sink = begun(format, path, mode="overwrite", **options)
    try:
        put(sink, records, 3)
        sink.commit()
    finally:
        assert sink.abort() is None
        sink.close()


@pytest.mark.parametrize("late", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, format: str, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every write to the disk, one after the other, until all of them succeed."""
    records: list[dict[str, Any]] = [*RECORDS, {"id": 0.5, "text": None}] if late else RECORDS
    options = {} if format == "avro" else {"row_group_size": 40}
    path = tmp_path / "out"
    path.write_bytes(b"precious")
    for failing in range(1, 500):
        disk = Disk(failing)
        monkeypatch.setattr(silent_file, "_buffered", disk.opened)
        if failing > 1 and path.read_bytes() != b"precious":
            pytest.fail("a failure changed the target")
        with contextlib.suppress(SinkError) if failing > 1 else pytest.raises(SinkError, match="disk is full"):
            overwritten(format, path, records, options)
        assert names(tmp_path) == ["out"]
        if disk.writes < failing:
            assert failing > 3
            assert read(format, path).records == records
            return
    pytest.fail("it never succeeded")


def test_what_a_killed_run_left_goes_with_the_next_run(tmp_path: Path, format: str) -> None:
    target = tmp_path / f"out.{format}"
    staged = StagedFile(str(target))
    write(format, target, RECORDS, mode="overwrite")
    assert len(names(tmp_path)) == 2, "a run that lives lost its file"
    staged.close()  # as the system does for one that is killed
    write(format, target, RECORDS, mode="overwrite")
    assert names(tmp_path) == [target.name]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write("parquet", tmp_path / "real", RECORDS)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real").chmod(0o640)
    write("parquet", tmp_path / "link", RECORDS[:1], mode="overwrite")
    assert (tmp_path / "link").is_symlink()
    assert read("parquet", tmp_path / "real").records == RECORDS[:1]
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "brotli", "none"])
def test_parquet_is_compressed_as_asked(tmp_path: Path, compression: str) -> None:
    write("parquet", tmp_path / "a", RECORDS, compression=compression)
    used = pq.ParquetFile(tmp_path / "a").metadata.row_group(0).column(0).compression
    assert used == ("UNCOMPRESSED" if compression == "none" else compression.upper())
    assert read("parquet", tmp_path / "a").records == RECORDS


@pytest.mark.parametrize(
    ("format", "compressions"),
    [
        ("orc", ["zstd", "snappy", "zlib", "lz4", "none"]),
        ("feather", ["zstd", "lz4", "none"]),
        ("avro", ["deflate", "bzip2", "xz", "none"]),
    ],
    indirect=["format"],
)
def test_compressions_work_and_differ(tmp_path: Path, format: str, compressions: list[str]) -> None:
    outputs = set()
    for compression in compressions:
        write(format, tmp_path / compression, RECORDS, compression=compression)
        assert read(format, tmp_path / compression).records == RECORDS
        outputs.add((tmp_path / compression).read_bytes())
    assert len(outputs) == len(compressions)


def test_row_groups_have_the_size_that_was_asked_for(tmp_path: Path) -> None:
    write("parquet", tmp_path / "a", RECORDS, pieces=9, row_group_size=30)
    metadata = pq.ParquetFile(tmp_path / "a").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [30, 30, 30, 10]


def test_stripes_have_about_the_size_that_was_asked_for(tmp_path: Path) -> None:
    import pyarrow.orc as orc

    records = [{"text": random.Random(i).randbytes(50).hex()} for i in range(10_000)]
    write("orc", tmp_path / "small", records, stripe_bytes=1 << 16)
    write("orc", tmp_path / "large", records)
    assert orc.ORCFile(tmp_path / "small").nstripes > orc.ORCFile(tmp_path / "large").nstripes
