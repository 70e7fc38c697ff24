"""Damaged files: a named error, or what was written; never something else."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from arrow_files import FORMATS, read, read_splits, write

from pipe_core import SourceError

RECORDS = [
    {
        "id": i,
        "text": f"record {i} é",
        "x": i / 7,
        "when": dt.datetime(2020, 1, 1) + dt.timedelta(seconds=i),
        "n": [i] * (i % 3),
    }
    for i in range(300)
]
GROUPS: dict[str, dict[str, Any]] = {
    "parquet": {"row_group_size": 100},
    "feather": {"row_group_size": 100},
    "orc": {"stripe_bytes": 1 << 16},
    "avro": {},
}


def written(folder: Path, format: str, **options: Any) -> Path:
    if format == "avro":
        pytest.importorskip("fastavro")
    path = folder / f"a.{format}"
    write(format, path, RECORDS, **{**GROUPS[format], **options})
    return path


@pytest.mark.parametrize("format", ["parquet", "feather", "avro"])
@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path, format: str, seed: int) -> None:
    path = written(tmp_path, format)
    data = path.read_bytes()
    generator = random.Random(seed)
    found_errors = 0
    for _ in range(50):
        damaged, place = bytearray(data), generator.randrange(len(data) * 8)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = read(format, path)
        assert not found.rejected
        if found.error is None:
            assert found.records == RECORDS
        else:
            found_errors += 1
            assert found.records == RECORDS[: len(found.records)]
            assert path.name in found.error.source
    assert found_errors > 25


@pytest.mark.parametrize("compression", ["none", "snappy"])
def test_a_flipped_bit_in_a_page_is_always_found(tmp_path: Path, compression: str) -> None:
    path = written(tmp_path, "parquet", compression=compression)
    data = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(1).column(2)
    end = column.data_page_offset + column.total_compressed_size
    for place in range(end - 60, end - 20):
        damaged = bytearray(data)
        damaged[place] ^= 16
        path.write_bytes(damaged)
        found = read("parquet", path)
        assert found.error is not None
        assert found.error.position == 100
        assert found.records == RECORDS[:100]


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, format: str) -> None:
    path = written(tmp_path, format)
    data = path.read_bytes()
    for length in (0, 1, 10, len(data) // 2, len(data) - 9, len(data) - 1):
        path.write_bytes(data[:length])
        for found in (read(format, path), *([] if format == "avro" else [read_splits(format, path, 1000)])):
            assert isinstance(found.error, SourceError), length
            assert found.records == RECORDS[: len(found.records)]


def test_a_damaged_row_group_does_not_harm_the_splits_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, "parquet")
    column = pq.ParquetFile(path).metadata.row_group(2).column(0)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 10] ^= 1
    path.write_bytes(data)
    found = read_splits("parquet", path, 1)
    assert found.error is not None
    assert found.error.position == 0  # of its split
    assert found.records == RECORDS[:200]


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.Table.from_pylist(RECORDS)
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_file(tmp_path / "a.feather", table.schema) as writer:
        writer.write_table(table)
    for format in ("parquet", "feather"):
        assert read(format, tmp_path / f"a.{format}").records == RECORDS


def test_avro_of_others_is_read(tmp_path: Path) -> None:
    fastavro = pytest.importorskip("fastavro")
    schema = {
        "type": "record",
        "name": "r",
        "fields": [{"name": "id", "type": "long"}, {"name": "text", "type": "string"}],
    }
    records = [{"id": one["id"], "text": one["text"]} for one in RECORDS]
    with open(tmp_path / "a.avro", "wb") as file:
        fastavro.writer(file, schema, records)
    assert read("avro", tmp_path / "a.avro").records == records


def test_pages_are_only_checked_where_that_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path, "parquet", compression="none")
    column = pq.ParquetFile(path).metadata.row_group(0).column(2)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 20] ^= 1
    path.write_bytes(data)
    assert read("parquet", path).error is not None
    unchecked = read("parquet", path, verify_checksums=False)
    assert unchecked.error is None
    assert sum(one != other for one, other in zip(unchecked.records, RECORDS, strict=True)) == 1


def test_what_is_written_has_checksums_that_others_verify(tmp_path: Path) -> None:
    path = written(tmp_path, "parquet")
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        assert file.read().num_rows == 300
